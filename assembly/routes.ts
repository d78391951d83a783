// Bytes of "METHOD /path" → operation: MLflow's prefixes, then the text of the whole route, then a trie of its segments.
import { ascii } from "./ascii";
import { MIX, mixed, same, zeros } from "./bytes";
import * as at from "./layout";

/** One letter a base, in the order of their trie roots: MLflow's two API families, the artifact proxy, the server's root. */
export const BASES: usize = ascii(`2 3 A /`);
const BASE_COUNT: u32 = 4;
const BASE_ROOT: u32 = 3;
const ARTIFACTS_ROOT: u32 = 3;
/** A method that no route has. */
const OTHER_METHOD: u32 = 5;

/** Answers of `match` for what no route names. */
export const NO_ROUTE: i32 = -1;
/** Under an MLflow prefix, but not in the table. */
export const UNKNOWN_ROUTE: i32 = -2;

const METHODS: u32 = 5;
const OPERATION_OF_METHOD: usize = 24;
const HASH: usize = 36;

/** Optional path before MLflow's own, as given to `mlflow server --static-prefix`. */
let prefixAddress: usize = 0;
let prefixLength: u32 = 0;

@inline
function routeAt(id: u32): usize {
  return at.routeBase + <usize>id * at.ROUTE_STRIDE;
}

function methodIndex(letter: u32): u32 {
  if (letter == 0x47 /* G */) return 0;
  if (letter == 0x50 /* P */) return 1;
  if (letter == 0x55 /* U */) return 2;
  if (letter == 0x41 /* A */) return 3;
  return 4;
}

let routes: u32 = 0;

function makeRoute(): u32 {
  if (routes >= at.ROUTE_CAPACITY) unreachable();
  return routes++;
}

/** Roots 1 to 4, one a base; 0 is no node. */
export function start(): void {
  routes = 1 + BASE_COUNT;
  measureQuick();
}

/** Where the segment that was hashed last ends: at a slash, or with the text. */
let segmentEnd: usize = 0;

function hashOfSegment(from: usize, end: usize): u32 {
  let hash: u64 = 0;
  while (from < end) {
    // What is left of the text, in the lowest bytes; before every text there are eight others.
    const left = end - from;
    const word = left >= 8 ? load<u64>(from) : load<u64>(end - 8) >> ((8 - left) << 3);
    const slash = zeros(word ^ SLASHES);
    if (slash != 0) {
      const bits = ctz(slash) & ~7;
      from += <usize>bits >> 3;
      if (bits != 0) hash = mixed(hash, word & (((<u64>1) << bits) - 1));
      break;
    }
    hash = mixed(hash, word);
    from += min(left, 8);
  }
  segmentEnd = from;
  return <u32>hash;
}

/** Child of `parent` for one segment of text, made when new. */
function childFor(parent: u32, text: usize, length: u32): u32 {
  const node = routeAt(parent);
  const parameter = length == 2 && load<u8>(text) == 0x7b; // {}
  const rest = length == 3 && load<u8>(text) == 0x7b; // {*}
  if (parameter || rest) {
    const slot = parameter ? 16 : 20;
    if (load<u32>(node + slot) == 0) store<u32>(node + slot, makeRoute());
    return load<u32>(node + slot);
  }
  const hash = hashOfSegment(text, text + length);
  let child = load<u32>(node);
  while (child != 0) {
    if (load<u32>(routeAt(child), HASH) == hash) return child;
    child = load<u32>(routeAt(child), 4);
  }
  const made = makeRoute();
  const entry = routeAt(made);
  store<u32>(entry, load<u32>(node), 4);
  store<u32>(entry, <u32>text, 8);
  store<u32>(entry, length, 12);
  store<u32>(entry, hash, HASH);
  store<u32>(node, made);
  return made;
}

function walkText(from: u32, text: usize, length: u32): u32 {
  let node = from;
  let start: u32 = 0;
  for (let i: u32 = 0; i <= length; i++) {
    if (i < length && load<u8>(text + i) != 0x2f) continue;
    if (i > start) node = childFor(node, text + start, i - start);
    start = i + 1;
  }
  return node;
}

/** Adds one method of one route. */
export function addRoute(
  letter: u32, base: u32, prefix: usize, prefixChars: u32, route: usize, chars: u32, operation: u32,
): void {
  const method = methodIndex(letter);
  const node = walkText(walkText(1 + base, prefix, prefixChars), route, chars);
  store<u16>(routeAt(node) + OPERATION_OF_METHOD + (<usize>method << 1), <u16>(operation + 1));
  if (1 + base <= LITERAL_ROOTS) addLiteral(method, 1 + base, prefix, prefixChars, route, chars, operation);
}

// ── routes without parameters, which are nearly all calls ────────────────────────────────────────

/** The two API families. In a path there are sixteen bytes before the rest of it, of which the last are "/mlflow/". */
const LITERAL_ROOTS: u32 = 2;

let textEnd: usize = 0;

/** Place of a route by its last sixteen bytes, which tell most from each other, and take as long whatever the text is. */
@inline
function placeOfText(meta: u32, last: u64, before: u64): u32 {
  // The upper bits know of every bit of the last word.
  return <u32>(((((before ^ meta) * MIX) ^ last) * MIX) >> 54);
}

@inline
function literalOf(place: u32): usize {
  return at.literalBase + <usize>(place & (at.LITERAL_CAPACITY - 1)) * at.LITERAL_STRIDE;
}

/** Length, root and method of a text in one word. */
@inline
function metaOf(length: u32, key: u32): u32 {
  return (length << 8) | key;
}

/** The entry of a literal route, or an empty one. The text begins behind "/mlflow/". */
function literalAt(key: u32, from: usize, end: usize): usize {
  const length = <u32>(end - from);
  const meta = metaOf(length, key);
  let place = placeOfText(meta, load<u64>(end - 8), load<u64>(end - 16));
  while (true) {
    const entry = literalOf(place);
    const text = <usize>load<u32>(entry);
    if (text == 0) return entry;
    place++;
    if (load<u32>(entry, 4) != meta) continue;
    let left = length;
    while (left >= 8 && load<u64>(end - left) == load<u64>(text - left)) left -= 8;
    if (left < 8 && load<u64>(end - 8) == load<u64>(text - 8)) return entry;
  }
}

/** The upper so many bytes of a word. */
function upperBytes(count: i32): u64 {
  return count <= 0 ? 0 : count >= 8 ? ~(<u64>0) : ~(<u64>0) << ((8 - count) << 3);
}

function addLiteral(method: u32, root: u32, prefix: usize, prefixChars: u32, route: usize, chars: u32, operation: u32): void {
  for (let i: u32 = 0; i < chars; i++) if (load<u8>(route + i) == 0x7b) return;
  if (textEnd == 0) textEnd = at.literalTextBase;
  store<u64>(textEnd, API_2);
  store<u64>(textEnd, MLFLOW, 8);
  const from = textEnd + 16;
  memory.copy(from, prefix, prefixChars);
  let end = from + prefixChars;
  // A prefix is whole segments, with or without a slash behind them.
  if (chars != 0 && prefixChars != 0 && load<u8>(end - 1) != 0x2f) store<u8>(end++, 0x2f);
  memory.copy(end, route, chars);
  end += chars;
  if (end > at.literalTextBase + at.LITERAL_BYTES) unreachable();
  const key = (root << 3) | method;
  const entry = literalAt(key, from, end);
  store<u32>(entry, <u32>end);
  const length = <u32>(end - from);
  store<u32>(entry, metaOf(length, key), 4);
  store<u32>(entry, operation, 8);
  store<u64>(entry, upperBytes(<i32>length - 16), 16);
  store<u64>(entry, upperBytes(<i32>length - 24), 24);
  for (let word: usize = 1; word <= 4; word++) store<u64>(entry + 24 + (word << 3), load<u64>(end - (word << 3)));
  textEnd = end;
}

/** Sets the static prefix; its bytes stay where they are. */
export function setPrefix(address: usize, length: u32): void {
  prefixAddress = address;
  prefixLength = length;
  measureQuick();
}

function sameSegment(entry: usize, segment: usize, length: u32): bool {
  return load<u32>(entry, 12) == length && same(segment, load<u32>(entry, 8), length);
}

/** Operation of a method at a trie node, or NO_ROUTE. */
function operationAtNode(node: u32, method: u32): i32 {
  return <i32>load<u16>(routeAt(node) + OPERATION_OF_METHOD + (<usize>method << 1)) - 1;
}

function walkPath(root: u32, address: usize, end: usize, method: u32): i32 {
  let node = root;
  let rest: i32 = NO_ROUTE;
  let from = address;
  while (from < end) {
    const hash = hashOfSegment(from, end);
    const to = segmentEnd;
    const length = <u32>(to - from);
    if (length == 0) return NO_ROUTE;
    const here = routeAt(node);
    const wildcard = load<u32>(here, 20);
    if (wildcard != 0 && operationAtNode(wildcard, method) >= 0) rest = operationAtNode(wildcard, method);
    let child = load<u32>(here);
    while (child != 0) {
      const entry = routeAt(child);
      if (load<u32>(entry, HASH) == hash && sameSegment(entry, from, length)) break;
      child = load<u32>(entry, 4);
    }
    if (child == 0) child = load<u32>(here, 16);
    if (child == 0) return rest;
    node = child;
    from = to + 1;
  }
  const found = operationAtNode(node, method);
  return found >= 0 ? found : rest;
}

/** Does this method only read? HEAD and OPTIONS do, beside GET. */
export function readsOnly(address: usize): bool {
  const first = load<u8>(address);
  return first == 0x47 || first == 0x48 || first == 0x4f;
}

// Texts of eight bytes and less, as the words that they are in memory.
const MLFLOW: u64 = 0x2f776f6c666c6d2f; // "/mlflow/"
const API_2: u64 = 0x302e322f6970612f; // "/api/2.0"
const POST_AP: u64 = 0x70612f2054534f50; // "POST /ap", then "i/2.0/ml"
const API_3: u64 = 0x302e332f6970612f; // "/api/3.0"
const AJAX: u64 = 0x70612d78616a612f; // "/ajax-ap", then
const AJAX_2: u64 = 0x6c6d2f302e322f69; // "i/2.0/ml"
const AJAX_3: u64 = 0x6c6d2f302e332f69; // "i/3.0/ml"
const MLFLOW_: u64 = 0x2d776f6c666c6d2f; // "/mlflow-", then
const ARTIFACT: u64 = 0x7463616669747261; // "artifact", then "s/"
const S_SLASH: u32 = 0x2f73;
const QUESTION_MARKS: u64 = 0x3f3f3f3f3f3f3f3f;
const SLASHES: u64 = 0x2f2f2f2f2f2f2f2f;
const HASHES: u64 = 0x2323232323232323;
const API: u32 = 0x6970612f; // "/api"
const I_SLASH: u32 = 0x2f69; // "i/"

/** Where the path after an API's prefix begins, and in `root` below which node it is; 0 when it is below none. */
let root: u32 = 0;
function behindPrefix(path: usize, end: usize): usize {
  if (path + 16 > end) return 0;
  const first = load<u64>(path);
  const second = load<u64>(path, 8);
  let from = path + 8;
  root = 2;
  if (first == API_2) root = 1;
  else if (first == AJAX) {
    if (second == AJAX_2) root = 1;
    else if (second != AJAX_3) return 0;
    from = path + 13;
    if (from + 8 > end) return 0;
  } else if (first != API_3) return 0;
  const family = load<u64>(from);
  if (family == MLFLOW) return from + 8;
  if (root != 1 || family != MLFLOW_ || from + 18 > end || load<u64>(from, 8) != ARTIFACT || load<u16>(from, 16) != S_SLASH) return 0;
  root = ARTIFACTS_ROOT;
  return from + 18;
}

/** Is this a path of an API, whatever it is there? */
function isApi(path: usize, end: usize): bool {
  if (path + 5 > end) return false;
  if (load<u32>(path) == API && load<u8>(path, 4) == 0x2f) return true;
  return path + 10 <= end && load<u64>(path) == AJAX && load<u16>(path, 8) == I_SLASH;
}

const G: u32 = 0x20544547; // "GET "
const P: u32 = 0x54534f50; // "POST"
const U: u32 = 0x20545550; // "PUT "
const A: u32 = 0x43544150; // "PATC", then "H "
const D: u32 = 0x454c4544; // "DELE", then "TE "

/** "POST /api/2.0/mlflow/" is so long. */
const QUICK_BYTES_MIN: u32 = 21;
/** And so much of a route is looked at. */
const QUICK_ROUTE_MAX: u32 = 32;
const POST_KEY: u32 = (1 << 3) | 1;
/** Before it nothing is written that a request could be. */
const QUICK_FROM: usize = 1024;
/** How far from there a request may begin to be looked at quickly: not at all behind a static prefix. */
let quickSpan: usize = 0;

function measureQuick(): void {
  quickSpan = prefixLength == 0 ? (<usize>memory.size() << 16) - QUICK_FROM - 64 : 0;
}

/**
 * Operation of a POST to a literal route of the first API family, as nearly all calls of a training are; NO_ROUTE for
 * all else. It calls nothing, and leaves at once for what it does not know.
 */
@inline
export function matchQuickly(address: usize, length: u32): i32 {
  const left = length - QUICK_BYTES_MIN;
  if (left > QUICK_ROUTE_MAX || address - QUICK_FROM >= quickSpan) return NO_ROUTE;
  if (((load<u64>(address) ^ POST_AP) | (load<u64>(address, 8) ^ AJAX_2) | (load<u64>(address, 13) ^ MLFLOW)) != 0) return NO_ROUTE;
  const end = address + length;
  const meta = metaOf(left, POST_KEY);
  const last = load<u64>(end - 8);
  const before = load<u64>(end - 16);
  const entry = literalOf(placeOfText(meta, last, before));
  const other =
    (last ^ load<u64>(entry, 32)) | (before ^ load<u64>(entry, 40)) |
    ((load<u64>(end - 24) ^ load<u64>(entry, 48)) & load<u64>(entry, 16)) |
    ((load<u64>(end - 32) ^ load<u64>(entry, 56)) & load<u64>(entry, 24)) | <u64>(meta ^ load<u32>(entry, 4));
  return other == 0 ? load<i32>(entry, 8) : NO_ROUTE;
}

/** Finds the operation of `length` bytes "METHOD /path[?query]". */
export function match(address: usize, length: u32): i32 {
  let end = address + length;
  if (length < 5) return NO_ROUTE;
  const word = load<u32>(address);
  let method: u32 = OTHER_METHOD;
  let path = address;
  if (word == P && load<u8>(address, 4) == 0x20) {
    method = 1;
    path += 5;
  } else if (word == G) {
    method = 0;
    path += 4;
  } else if (word == U) {
    method = 2;
    path += 4;
  } else if (word == A && length > 8 && load<u16>(address, 4) == 0x2048) {
    method = 3;
    path += 6;
  } else if (word == D && length > 8 && load<u16>(address, 4) == 0x4554 && load<u8>(address, 6) == 0x20) {
    method = 4;
    path += 7;
  } else {
    while (path < end && load<u8>(path) != 32) path++;
    if (path == end) return NO_ROUTE;
    path++;
  }
  if (prefixLength != 0) {
    if (path + prefixLength > end || !same(path, prefixAddress, prefixLength)) return NO_ROUTE;
    path += prefixLength;
  }
  const from = behindPrefix(path, end);
  const found = literal(method, from, end);
  return found >= 0 ? found : matchRest(method, path, from, end);
}

/** Operation of a route without parameters; NO_ROUTE when it is none. */
function literal(method: u32, from: usize, end: usize): i32 {
  if (from == 0 || root > LITERAL_ROOTS) return NO_ROUTE;
  const entry = literalAt((root << 3) | method, from, end);
  return load<u32>(entry) != 0 ? load<i32>(entry, 8) : NO_ROUTE;
}

/** What is no literal route as it stands: it has a query or parameters, or is of the server's own root, or of none. */
function matchRest(method: u32, path: usize, from: usize, end: usize): i32 {
  let query = path;
  while (query + 8 <= end && (zeros(load<u64>(query) ^ QUESTION_MARKS) | zeros(load<u64>(query) ^ HASHES)) == 0) query += 8;
  while (query < end && load<u8>(query) != 0x3f && load<u8>(query) != 0x23) query++;
  if (query != end) {
    end = query;
    const found = literal(method, from, end);
    if (found >= 0) return found;
  }
  if (from != 0) {
    const found = method == OTHER_METHOD ? NO_ROUTE : walkPath(root, from, end, method);
    return found >= 0 ? found : UNKNOWN_ROUTE;
  }
  if (method == OTHER_METHOD || path == end || load<u8>(path) != 0x2f || isApi(path, end)) return NO_ROUTE;
  return walkPath(1 + BASE_ROOT, path + 1, end, method);
}
