// The JSON body of a request as MLflow's server understands it, or the reason why it must not pass.
//
// Source: `_get_request_message` and `_get_normalized_request_json` of mlflow/server/handlers.py (3.17), and
// protobuf's ParseDict: fields in both spellings, null as absent, the last of equal names, a body that old
// clients encoded twice, and an empty message for what is no JSON at all. Where a later or other server might
// read somebody else's name in it, a body is refused.
import { parseJson, utf8Of } from "./json.js";
import { type Member, membersOf, textOf, wholeSpan } from "./json-spans.js";

/** A request message in MLflow's own names (snake_case). */
export type WireMessage = Readonly<Record<string, unknown>>;

/** Why a request must not pass, for whoever sent it. */
export interface Doubt {
  /** Path of what is wrong: `body`, `path`, or a field's name. */
  readonly field: string;
  readonly message: string;
}

export type ReadBody = { readonly message: WireMessage } | { readonly doubt: Doubt };

/** Fields that say whose a call is, what it is about and how much it carries. */
const GOVERNED: ReadonlySet<string> = new Set([
  "run_id",
  "run_uuid",
  "experiment_id",
  "source_run_id",
  "model_id",
  "run_name",
  "name",
  "new_name",
  "key",
  "version",
  "stage",
  "status",
  "source",
  "artifact_location",
  "path",
  "upload_id",
  "metrics",
  "params",
  "tags",
  "datasets",
  "models",
  "trace",
]);
/** MLflow refuses other values than text in these, wherever they stand. */
const IDS: readonly string[] = ["run_id", "run_uuid", "experiment_id", "source_run_id", "model_id"];
const LISTS: readonly string[] = ["metrics", "datasets", "models"];
/** A field of an extension, at which protobuf stops reading. */
const EXTENSION = /^\[[\w.]*\]$/;
const HALF_CHARACTER = /\p{Cs}/u;
const ENCODER = new TextEncoder();

/** Name of a field from protobuf's other spelling of it: `runId` → `run_id`. */
function fieldOf(name: string): string {
  return /^[a-z]\w*[A-Z]/.test(name)
    ? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    : name;
}

function doubt(field: string, problem: string): { readonly doubt: Doubt } {
  return { doubt: { field, message: `${field}: ${problem}` } };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** Are all of a new run's tags such that MLflow reads them, and what comes after them? */
function areTags(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  return value.every((tag: unknown) => {
    if (typeof tag !== "object" || tag === null || Array.isArray(tag)) return false;
    const { key, value: content } = tag as { key?: unknown; value?: unknown };
    return [key, content].every((part) => part == null || typeof part === "string");
  });
}

/** What is wrong with a message whose fields are each there once; undefined when nothing is. */
function doubtOf(message: Record<string, unknown>): { readonly doubt: Doubt } | undefined {
  for (const field of IDS) {
    const value = message[field];
    if (value != null && (typeof value !== "string" || HALF_CHARACTER.test(value))) {
      return doubt(field, "must be a text; send the id in quotes");
    }
  }
  const { run_id: runId, run_uuid: oldId } = message;
  if (isText(runId) && isText(oldId) && runId !== oldId) {
    return doubt("run_id", "differs from run_uuid, which is its old name; send one of them");
  }
  for (const field of LISTS) {
    if (message[field] != null && !Array.isArray(message[field])) {
      return doubt(field, "must be a list");
    }
  }
  return undefined;
}

/** Like {@link readBody} for the call that creates a run: what it says is read to the end, or refused. */
export function doubtOfNewRun(message: WireMessage): Doubt | undefined {
  for (const field of ["user_id", "run_name"]) {
    if (message[field] != null && typeof message[field] !== "string") {
      return doubt(field, "must be a text").doubt;
    }
  }
  if (message.tags == null || areTags(message.tags)) return undefined;
  return doubt("tags", 'must be a list of {"key": "…", "value": "…"}').doubt;
}

/** Reads the object in `bytes`; `parsed` is the same, as it was parsed. */
function readObject(bytes: Uint8Array, parsed: Readonly<Record<string, unknown>>): ReadBody {
  const message: Record<string, unknown> = {};
  const seen = new Map<string, Member>();
  const members = membersOf(bytes, wholeSpan(bytes));
  for (const member of members) {
    const { name, value } = member;
    if (EXTENSION.test(name)) return doubt(name, "is no field of MLflow's; leave it out");
    const field = fieldOf(name);
    if (GOVERNED.has(field)) {
      const before = seen.get(field);
      if (before !== undefined && textOf(bytes, before.value) !== textOf(bytes, value)) {
        const both = before.name === name ? "twice" : `as ${before.name} and as ${name}`;
        return doubt(field, `is in the body ${both}, with different values; send it once`);
      }
      seen.set(field, member);
    }
    // Null is absent to protobuf; and no field has the other's name.
    if (parsed[name] !== null && name !== "__proto__") message[field] = parsed[name];
  }
  return doubtOf(message) ?? { message };
}

const NOTHING: ReadBody = { message: {} };

function readText(bytes: Uint8Array, mayBeDoubled: boolean): ReadBody {
  const text = utf8Of(bytes);
  if (text === undefined) return doubt("body", "must be JSON in UTF-8, without a byte order mark");
  let parsed: unknown;
  try {
    parsed = parseJson(text);
  } catch {
    return doubt("body", "is no JSON; MLflow would take it for an empty message");
  }
  if (parsed === null) return NOTHING;
  if (typeof parsed === "string" && mayBeDoubled) return readText(ENCODER.encode(parsed), false);
  if (typeof parsed !== "object" || Array.isArray(parsed)) {
    return doubt("body", "must be a JSON object");
  }
  return readObject(bytes, parsed as Readonly<Record<string, unknown>>);
}

/** Longest JSON body that is read, in bytes; batches are 1 MB at most, traces may be longer. */
const BODY_BYTES_MAX = 64 * 2 ** 20;

/** Reads a JSON body. No body at all is an empty message. */
export function readBody(
  body: Uint8Array | undefined,
  contentEncoding: string | undefined,
): ReadBody {
  if (body === undefined || body.length === 0) return NOTHING;
  const encoding = contentEncoding?.trim().toLowerCase() ?? "";
  if (encoding !== "" && encoding !== "identity") {
    return doubt("content-encoding", `MLflow reads no ${encoding}; send the body as it is`);
  }
  if (body.length > BODY_BYTES_MAX) {
    return doubt("body", `has more than ${BODY_BYTES_MAX} bytes`);
  }
  return readText(body, true);
}

/** Query parameters as MLflow reads them: of equal names the first, by their own spelling alone. */
export function readQuery(query: string): WireMessage {
  const message: Record<string, unknown> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    if (!Object.hasOwn(message, name)) message[name] = value;
  }
  return message;
}
