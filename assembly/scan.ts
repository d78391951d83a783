// Bodies of requests as they came: whose run it is and how much they carry, without making an object of them.
//
// Understands what MLflow's server does: proto field names in both spellings, a null as absent, the last of two
// equal keys, and a whole body that old clients wrapped into a JSON string. It finds things; it does not validate.
import { ascii, lengthOf } from "./ascii";
import { same, zeros } from "./bytes";
import * as at from "./layout";
import * as status from "./status";

/** Words of the form that the scan leaves its answer in: two of text are address and length. */
const RUN: usize = 0;
const RUN_UUID: usize = 8;
const EXPERIMENT: usize = 16;
const COUNTS: usize = 24;
/** Metrics, params, tags; then datasets and models, which count as items alone. */
const COUNTED: u32 = 5;

const QUOTES: u64 = 0x2222222222222222;
const BACKSLASHES: u64 = 0x5c5c5c5c5c5c5c5c;

let cursor: usize = 0;
let end: usize = 0;
/** The text that was read last, without its quotes. */
let from: usize = 0;
let size: u32 = 0;
let escaped: bool = false;
/** Elements of the array that was passed last; negative when it was no array. */
let elements: i32 = 0;
/** Was there a list of what is logged, if only an empty one? */
let listed: bool = false;

/** The next byte that is no blank; 0 at the end. */
function peek(): u32 {
  while (cursor < end) {
    const byte = load<u8>(cursor);
    if (byte > 32) return byte;
    cursor++;
  }
  return 0;
}

/** Takes this byte. False when another comes. */
function take(byte: u32): bool {
  if (peek() != byte) return false;
  cursor++;
  return true;
}

/** Passes a text whose quote comes next. False when it does not end. */
function passText(): bool {
  cursor++;
  from = cursor;
  escaped = false;
  while (cursor < end) {
    while (cursor + 8 <= end) {
      const word = load<u64>(cursor);
      if ((zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES)) != 0) break;
      cursor += 8;
    }
    if (cursor >= end) return false;
    const byte = load<u8>(cursor);
    if (byte == 0x22) {
      size = <u32>(cursor - from);
      cursor++;
      return true;
    }
    if (byte == 0x5c) {
      escaped = true;
      cursor++;
    }
    cursor++;
  }
  return false;
}

/** Passes whatever value comes next. False when it does not end. */
function passValue(): bool {
  elements = -1;
  const first = peek();
  if (first == 0x22) return passText();
  if (first != 0x5b && first != 0x7b) {
    const begun = cursor;
    while (cursor < end) {
      const byte = load<u8>(cursor);
      if (byte <= 32 || byte == 0x2c || byte == 0x5d || byte == 0x7d) break;
      cursor++;
    }
    return cursor > begun;
  }
  let depth = 1;
  let commas = 0;
  let isEmpty = true;
  cursor++;
  while (cursor < end) {
    const byte: u32 = load<u8>(cursor);
    if (byte == 0x22) {
      if (!passText()) return false;
      isEmpty = false;
      continue;
    }
    cursor++;
    if (byte == 0x5d || byte == 0x7d) {
      if (--depth == 0) {
        if (first == 0x5b) elements = isEmpty ? 0 : commas + 1;
        return true;
      }
    } else if (byte == 0x5b || byte == 0x7b) {
      depth++;
      isEmpty = false;
    } else if (byte == 0x2c) {
      if (depth == 1) commas++;
    } else if (byte > 32) {
      isEmpty = false;
    }
  }
  return false;
}

function hexAt(address: usize): u32 {
  let value: u32 = 0;
  for (let i: usize = 0; i < 4; i++) {
    const byte: u32 = load<u8>(address + i);
    const digit = byte - 0x30;
    const letter = (byte | 32) - 0x61;
    if (digit > 9 && letter > 5) return 0xfffd;
    value = (value << 4) | (digit <= 9 ? digit : letter + 10);
  }
  return value;
}

/** Replaces the escapes of the text that was read last, in its own place: it only gets shorter. */
function unescape(): void {
  if (!escaped) return;
  const last = from + size;
  let to = from;
  for (let next = from; next < last; ) {
    let byte: u32 = load<u8>(next++);
    if (byte == 0x5c && next < last) {
      byte = load<u8>(next++);
      if (byte == 0x6e) byte = 10;
      else if (byte == 0x74) byte = 9;
      else if (byte == 0x72) byte = 13;
      else if (byte == 0x62) byte = 8;
      else if (byte == 0x66) byte = 12;
      else if (byte == 0x75 && next + 4 <= last) {
        let code = hexAt(next);
        next += 4;
        if ((code & 0xf800) == 0xd800) {
          const low = next + 6 <= last && load<u16>(next) == 0x755c ? hexAt(next + 2) : 0;
          if (code < 0xdc00 && (low & 0xfc00) == 0xdc00) {
            code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
            next += 6;
          } else {
            code = 0xfffd;
          }
        }
        to = putCode(to, code);
        continue;
      }
    }
    store<u8>(to++, <u8>byte);
  }
  size = <u32>(to - from);
  escaped = false;
}

/** Writes a code point as UTF-8; its escape was longer. */
function putCode(to: usize, code: u32): usize {
  if (code < 0x80) {
    store<u8>(to, <u8>code);
    return to + 1;
  }
  const bytes: u32 = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (let i = bytes - 1; i > 0; i--) {
    store<u8>(to + i, <u8>(0x80 | (code & 0x3f)));
    code >>= 6;
  }
  store<u8>(to, <u8>((0xf00 >> bytes) | code));
  return to + bytes;
}

function is(text: usize): bool {
  return size == lengthOf(text) && same(from, text, size);
}

/** Takes the value of a text field that comes next: where it is, or nothing when it is no text. */
function keepText(word: usize): bool {
  const isText = peek() == 0x22;
  if (!passValue()) return false;
  if (isText) unescape();
  store<u32>(at.form + word, isText ? <u32>from : 0);
  store<u32>(at.form + word, isText ? size : 0, 4);
  return true;
}

/** Place of the array that the text read last names; COUNTED when it names none. */
function arrayNamed(): u32 {
  if (is(ascii(`metrics`))) return 0;
  if (is(ascii(`params`))) return 1;
  if (is(ascii(`tags`))) return 2;
  if (is(ascii(`datasets`))) return 3;
  return is(ascii(`models`)) ? 4 : COUNTED;
}

function passField(): bool {
  if (peek() != 0x22 || !passText()) return false;
  unescape();
  // The name lies where the value will be read, so it is looked at before.
  const array = arrayNamed();
  const word: usize =
    is(ascii(`run_id`)) || is(ascii(`runId`)) ? RUN
    : is(ascii(`run_uuid`)) || is(ascii(`runUuid`)) ? RUN_UUID
    : is(ascii(`experiment_id`)) || is(ascii(`experimentId`)) ? EXPERIMENT
    : COUNTS;
  if (!take(0x3a)) return false;
  if (word != COUNTS) return keepText(word);
  if (!passValue()) return false;
  if (array < COUNTED) {
    store<u32>(at.form + COUNTS + (<usize>array << 2), elements < 0 ? 0 : elements);
    if (elements >= 0) listed = true;
  }
  return true;
}

/**
 * Scans `length` bytes at `address`. Answers how many things it logs (1 when it has no list of them), or CORRUPT
 * for what is no object. In the form: address and length of the run's id and (words 4, 5) of the experiment's,
 * 0 when there is none; words 6, 7, 8: metrics, params, tags. Texts with escapes are replaced in place.
 */
export function scan(address: usize, length: u32): i32 {
  cursor = address;
  end = address + length;
  listed = false;
  memory.fill(at.form, 0, COUNTS + COUNTED * 4);
  if (peek() == 0x22) {
    if (!passText()) return status.CORRUPT;
    unescape();
    cursor = from;
    end = from + size;
  }
  if (!take(0x7b)) return status.CORRUPT;
  if (!take(0x7d)) {
    do {
      if (!passField()) return status.CORRUPT;
    } while (take(0x2c));
    if (!take(0x7d)) return status.CORRUPT;
  }
  if (load<u32>(at.form, RUN + 4) == 0) store<u64>(at.form, load<u64>(at.form, RUN_UUID), RUN);
  let items = 0;
  for (let i: usize = 0; i < COUNTED; i++) items += load<i32>(at.form + COUNTS + (i << 2));
  return items > 0 || listed ? items : 1;
}
