// Puts governance tags into the body that creates a run, and leaves all its other bytes as they are.
import type { RunTag } from "../../governance/attribution.js";
import { parseJson, utf8Of } from "./json.js";
import { elementsOf, membersOf, type Span, textOf, wholeSpan } from "./json-spans.js";

const ENCODER = new TextEncoder();
const OPENING_BRACKET = 0x5b;
const QUOTE = 0x22;

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** An array of tags with ours at its end; what has a key of ours is left out. */
function withTags(body: Uint8Array, array: Span, ours: readonly RunTag[]): Uint8Array {
  const keys = new Set(ours.map(({ key }) => key));
  const elements = elementsOf(body, array);
  const parts: Uint8Array[] = [];
  // What is between two that stay is theirs.
  let previous: { readonly index: number; readonly end: number } | undefined;
  elements.forEach((element, index) => {
    const tag = parseJson(textOf(body, element)) as { readonly key?: unknown } | null;
    if (typeof tag?.key === "string" && keys.has(tag.key)) return;
    if (previous?.index === index - 1) {
      parts.push(body.subarray(previous.end, element.start));
    } else if (previous !== undefined) {
      parts.push(ENCODER.encode(","));
    }
    parts.push(body.subarray(element.start, element.end));
    previous = { index, end: element.end };
  });
  const text = ours.map((tag) => JSON.stringify(tag)).join(",");
  parts.push(ENCODER.encode(previous === undefined || text === "" ? text : `,${text}`));
  const first = elements[0]?.start ?? array.end - 1;
  const last = elements.at(-1)?.end ?? array.end - 1;
  return joined([body.subarray(0, first), ...parts, body.subarray(last)]);
}

/**
 * The body of a `runs/create` call with these tags among its own; those of the same keys are replaced. A body
 * that is a JSON text inside a JSON text stays one. The body must be one that MLflow reads.
 * @throws {SyntaxError} for what is no JSON object, or has tags that are no list.
 */
export function spliceTags(body: Uint8Array, tags: readonly RunTag[]): Uint8Array {
  if (body.length === 0) return ENCODER.encode(JSON.stringify({ tags }));
  const text = utf8Of(body);
  if (text === undefined) throw new SyntaxError("The body of the request is not UTF-8.");
  const message = parseJson(text);
  const whole = wholeSpan(body);
  if (typeof message === "string" && body[whole.start] === QUOTE) {
    const inner = utf8Of(spliceTags(ENCODER.encode(message), tags)) ?? "";
    return ENCODER.encode(JSON.stringify(inner));
  }
  if (message === null) return ENCODER.encode(JSON.stringify({ tags }));
  if (typeof message !== "object" || Array.isArray(message)) {
    throw new SyntaxError("The body of the request is no JSON object.");
  }
  const members = membersOf(body, whole);
  // Of several the last counts.
  const own = members.findLast(({ name }) => name === "tags")?.value;
  const list = JSON.stringify(tags);
  if (own === undefined) {
    const first = whole.start + 1;
    const added = `"tags":${list}${members.length > 0 ? "," : ""}`;
    return joined([body.subarray(0, first), ENCODER.encode(added), body.subarray(first)]);
  }
  if (body[own.start] === OPENING_BRACKET) return withTags(body, own, tags);
  if (textOf(body, own) !== "null") throw new SyntaxError("The tags of the run are no list.");
  return joined([body.subarray(0, own.start), ENCODER.encode(list), body.subarray(own.end)]);
}
