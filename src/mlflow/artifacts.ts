// What an artifact is made of: content types, and text or objects as bytes.
import { isBlob } from "./artifact-stores/content.js";
import { invalidParameter, MlflowError } from "./errors.js";
import { writeJson } from "./json.js";
import { plainOf } from "./plain-values.js";
import type { ArtifactContent } from "./stores.js";

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  css: "text/css",
  csv: "text/csv",
  gif: "image/gif",
  htm: "text/html",
  html: "text/html",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  js: "text/javascript",
  json: "application/json",
  log: "text/plain",
  md: "text/markdown",
  pdf: "application/pdf",
  png: "image/png",
  svg: "image/svg+xml",
  txt: "text/plain",
  webp: "image/webp",
  xml: "text/xml",
  yaml: "text/plain",
  yml: "text/plain",
  zip: "application/zip",
};

/** By file extension; anything unknown is `application/octet-stream`. */
export function contentTypeOf(path: string): string {
  const extension = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
  return CONTENT_TYPES[extension] ?? "application/octet-stream";
}

/** A file on disk as an artifact, named by `artifactPath`. */
export function fileContent(
  localPath: string,
  sizeBytes: number,
  artifactPath: string,
): ArtifactContent {
  return { sizeBytes, contentType: contentTypeOf(artifactPath), source: { localPath } };
}

/** A text as an artifact, in UTF-8. */
export function textContent(text: unknown, artifactPath: string): ArtifactContent {
  if (typeof text !== "string") throw invalidParameter("text", text, "pass a text.");
  const source = new TextEncoder().encode(text);
  return { sizeBytes: source.byteLength, contentType: contentTypeOf(artifactPath), source };
}

/** The bytes of a buffer or a view of one; by its tag, as a test runner or a frame may have classes of its own. */
function bytesIn(value: unknown): Uint8Array | undefined {
  const tag = Object.prototype.toString.call(value);
  if (tag === "[object Uint8Array]") return value as Uint8Array;
  if (tag === "[object ArrayBuffer]") return new Uint8Array(value as ArrayBuffer);
  if (!ArrayBuffer.isView(value)) return undefined;
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

/** Bytes as an artifact: in memory, or in a Blob, which a runtime may keep elsewhere. */
export function bytesContent(bytes: unknown, artifactPath: string): ArtifactContent {
  const contentType = contentTypeOf(artifactPath);
  if (isBlob(bytes)) return { sizeBytes: bytes.size, contentType, source: bytes };
  const source = bytesIn(bytes);
  if (source !== undefined) return { sizeBytes: source.byteLength, contentType, source };
  throw invalidParameter(
    "bytes",
    bytes,
    "pass a Uint8Array, another view or buffer, a Blob, or a stream of bytes.",
  );
}

let writeYaml: ((value: object) => string) | undefined;
let readYaml: ((text: string) => unknown) | undefined;

/** Makes YAML usable, where the runtime's build carries a writer and a reader. */
export function registerYaml(
  write: (value: object) => string,
  read: (text: string) => unknown,
): void {
  writeYaml = write;
  readYaml = read;
}

/** What a text of YAML says; where there is no reader, of such YAML as is JSON. Throws for others. */
export function parsedYaml(text: string): unknown {
  if (readYaml !== undefined) return readYaml(text);
  try {
    return JSON.parse(text);
  } catch {
    throw new MlflowError("NOT_IMPLEMENTED", "YAML cannot be read in this runtime, JSON can.");
  }
}

/** An object as a text that YAML readers understand: as JSON, which is YAML, where there is no writer. */
export function yamlText(value: object): string {
  return writeYaml === undefined ? JSON.stringify(value, undefined, 2) : writeYaml(value);
}

/** An object as an artifact: YAML when the name ends in `.yaml` or `.yml`, else JSON. */
export function dictContent(value: unknown, artifactPath: string): ArtifactContent {
  if (typeof value !== "object" || value === null) {
    throw invalidParameter("dictionary", value, "pass an object or an array.");
  }
  if (/\.ya?ml$/.test(artifactPath)) {
    if (writeYaml === undefined) {
      throw new MlflowError(
        "NOT_IMPLEMENTED",
        `YAML cannot be written in this runtime; give '${artifactPath}' a name that ends in .json.`,
      );
    }
    return textContent(writeYaml(plainOf(value) as object), artifactPath);
  }
  try {
    return textContent(writeJson(plainOf(value), 2), artifactPath);
  } catch {
    throw invalidParameter("dictionary", value, "it cannot be written as JSON.");
  }
}
