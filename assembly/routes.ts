// Bytes of "METHOD /path" → operation: MLflow's prefixes, then a trie of path segments.
import { ascii, lengthOf } from "./ascii";
import { same } from "./bytes";
import * as at from "./layout";

/** One letter a base, in the order of their trie roots: MLflow's two API families, the artifact proxy, the server's root. */
export const BASES: usize = ascii(`2 3 A /`);
const BASE_COUNT: u32 = 4;
const BASE_ROOT: u32 = 3;

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
  let hash: u32 = 2166136261;
  for (let i: u32 = 0; i < length; i++) hash = (hash ^ load<u8>(text + i)) * 16777619;
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
  method: u32, base: u32, prefix: usize, prefixChars: u32, route: usize, chars: u32, operation: u32,
): void {
  const node = walkText(walkText(1 + base, prefix, prefixChars), route, chars);
  store<u16>(routeAt(node) + OPERATION_OF_METHOD + (<usize>methodIndex(method) << 1), <u16>(operation + 1));
}

/** Sets the static prefix; its bytes stay where they are. */
export function setPrefix(address: usize, length: u32): void {
  prefixAddress = address;
  prefixLength = length;
}

function startsWith(address: usize, end: usize, text: usize): bool {
  const length = lengthOf(text);
  return address + length <= end && same(address, text, length);
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
    let to = from;
    let hash: u32 = 2166136261;
    while (to < end) {
      const byte = load<u8>(to);
      if (byte == 0x2f) break;
      hash = (hash ^ byte) * 16777619;
      to++;
    }
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

function methodOf(address: usize, length: u32): i32 {
  const first = load<u8>(address);
  if (length == 3 && first == 0x47) return 0; // GET
  if (length == 4 && first == 0x50) return 1; // POST
  if (length == 3 && first == 0x50) return 2; // PUT
  if (length == 5 && first == 0x50) return 3; // PATCH
  if (length == 6 && first == 0x44) return 4; // DELETE
  return -1;
}

/** Does this method only read? HEAD and OPTIONS do, beside GET. */
export function readsOnly(address: usize): bool {
  const first = load<u8>(address);
  return first == 0x47 || first == 0x48 || first == 0x4f;
}

/** Finds the operation of `length` bytes "METHOD /path[?query]". */
export function match(address: usize, length: u32): i32 {
  let end = address + length;
  let space = address;
  while (space < end && load<u8>(space) != 32) space++;
  if (space == end) return NO_ROUTE;
  const method = methodOf(address, <u32>(space - address));
  let path = space + 1;
  for (let i = path; i < end; i++) {
    const byte = load<u8>(i);
    if (byte == 0x3f || byte == 0x23) {
      end = i;
      break;
    }
  }
  if (prefixLength != 0) {
    if (path + prefixLength > end) return NO_ROUTE;
    if (!same(path, prefixAddress, prefixLength)) return NO_ROUTE;
    path += prefixLength;
  }
  let root: u32 = 0;
  let from = path;
  if (startsWith(path, end, ascii(`/ajax-api/`))) from += 10;
  else if (startsWith(path, end, ascii(`/api/`))) from += 5;
  if (from != path) {
    if (startsWith(from, end, ascii(`2.0/mlflow/`))) {
      root = 1;
      from += 11;
    } else if (startsWith(from, end, ascii(`3.0/mlflow/`))) {
      root = 2;
      from += 11;
    } else if (startsWith(from, end, ascii(`2.0/mlflow-artifacts/`))) {
      root = 3;
      from += 21;
    } else {
      return NO_ROUTE;
    }
    const found = method < 0 ? NO_ROUTE : walkPath(root, from, end, method);
    return found >= 0 ? found : UNKNOWN_ROUTE;
  }
  if (method < 0 || path == end || load<u8>(path) != 0x2f) return NO_ROUTE;
  return walkPath(1 + BASE_ROOT, path + 1, end, method);
}
