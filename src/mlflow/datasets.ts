// Datasets as MLflow keeps them: where data is from, what it looks like, and which content it had.
// Source: mlflow/data/ (3.17).
import type { Dataset } from "./entities.js";
import { invalidParameter, MlflowError } from "./errors.js";
import { contextTags } from "./fluent/context-tags.js";
import { inferSchema, type Schema } from "./models/schema.js";
import { asTensor, tensorOf } from "./models/tensor.js";
import { schemeOf } from "./store-uri.js";
import { checkOptions } from "./validation.js";

/** Where data is from: a URL, a URI or path, or what a source of MLflow's says. */
export type DatasetSource =
  | string
  | { readonly type: string; readonly source: Readonly<Record<string, unknown>> };

export interface DatasetOptions {
  /** `dataset` when left out. */
  readonly name?: string | undefined;
  /** The program that runs, when left out. */
  readonly source?: DatasetSource | undefined;
  /** Identifies the content; told from it when left out. At most 36 characters. */
  readonly digest?: string | undefined;
}

/** A digest looks at no more rows than these, and at the number of all. */
const MAX_DIGESTED = 10_000;
const DIGEST_LENGTH = 8;
/** Of MLflow's database. */
const MAX_NAME_LENGTH = 500;
const MAX_DIGEST_LENGTH = 36;

/** As MLflow's readers of a source know it. */
function sourceOf(source: DatasetSource | undefined): { sourceType: string; source: string } {
  if (source === undefined) {
    return { sourceType: "code", source: JSON.stringify({ tags: contextTags() }) };
  }
  if (typeof source === "object" && source !== null) {
    const { type, source: fields } = source;
    if (typeof type !== "string" || type === "" || typeof fields !== "object") {
      throw invalidParameter("source", source, "pass { type, source }, or a URI.");
    }
    return { sourceType: type, source: JSON.stringify(fields) };
  }
  if (typeof source !== "string" || source === "") {
    throw invalidParameter("source", source, "pass a URL, a URI, a path, or { type, source }.");
  }
  const scheme = schemeOf(source);
  if (scheme === "http" || scheme === "https") {
    return { sourceType: "http", source: JSON.stringify({ url: source }) };
  }
  const isLocal = scheme === undefined || scheme === "file";
  return { sourceType: isLocal ? "local" : scheme, source: JSON.stringify({ uri: source }) };
}

async function digestOf(content: unknown): Promise<string> {
  const { subtle } = globalThis.crypto ?? {};
  if (subtle === undefined) {
    throw new MlflowError(
      "NOT_IMPLEMENTED",
      "This runtime computes no digests (a page needs https:// for it); pass the option digest.",
    );
  }
  const text = JSON.stringify(content, (_key, value) =>
    typeof value === "bigint" ? String(value) : value,
  );
  const hash = await subtle.digest("SHA-256", new TextEncoder().encode(text));
  const hexadecimal = Array.from(new Uint8Array(hash), (byte) =>
    byte.toString(16).padStart(2, "0"),
  );
  return hexadecimal.join("").slice(0, DIGEST_LENGTH);
}

function checkDatasetOptions(options: DatasetOptions): void {
  checkOptions("dataset", options, ["name", "source", "digest"]);
  const { name, digest } = options;
  if (
    name !== undefined &&
    (typeof name !== "string" || name === "" || name.length > MAX_NAME_LENGTH)
  ) {
    throw invalidParameter("name", name, `pass a text of at most ${MAX_NAME_LENGTH} characters.`);
  }
  const isDigest =
    typeof digest === "string" && digest !== "" && digest.length <= MAX_DIGEST_LENGTH;
  if (digest !== undefined && !isDigest) {
    const fix = `pass a text of at most ${MAX_DIGEST_LENGTH} characters.`;
    throw invalidParameter("digest", digest, fix);
  }
}

async function datasetOf(
  options: DatasetOptions,
  schema: object | undefined,
  profile: object | undefined,
  content: unknown,
): Promise<Dataset> {
  const { name = "dataset", source, digest } = options;
  return {
    name,
    digest: digest ?? (await digestOf(content)),
    ...sourceOf(source),
    schema: schema === undefined ? undefined : JSON.stringify(schema),
    profile: profile === undefined ? undefined : JSON.stringify(profile),
  };
}

/** Rows: an array of objects, one per row. Rejects with MlflowError for what are no rows. */
export async function fromRows(
  rows: readonly object[],
  options: DatasetOptions = {},
): Promise<Dataset> {
  checkDatasetOptions(options);
  const isRow = (row: unknown) => Object.prototype.toString.call(row) === "[object Object]";
  if (!Array.isArray(rows) || rows.length === 0 || !rows.every(isRow)) {
    throw invalidParameter("rows", rows, "pass an array of objects, one for each row.");
  }
  const columns = inferSchema(rows);
  const profile = { num_rows: rows.length, num_elements: rows.length * columns.length };
  const content = [rows.slice(0, MAX_DIGESTED), rows.length];
  return datasetOf(options, { mlflow_colspec: columns }, profile, content);
}

/**
 * A tensor of features, with a tensor of targets beside it where there is one: typed arrays,
 * `{ data, shape }`, tensors of TensorFlow.js or ONNX Runtime, or arrays inside arrays. Rejects with
 * MlflowError for what are no tensors.
 */
export async function fromTensors(
  features: unknown,
  options: DatasetOptions & { readonly targets?: unknown } = {},
): Promise<Dataset> {
  const { targets, ...rest } = options;
  checkDatasetOptions(rest);
  const parts = {
    features: asTensor("features", features),
    ...(targets !== undefined && { targets: asTensor("targets", targets) }),
  };
  const tensors = Object.entries(parts).map(([name, part]) => ({ name, tensor: tensorOf(part) }));
  const specs: Record<string, Schema> = {};
  const profile: Record<string, unknown> = {};
  for (const { name, tensor } of tensors) {
    specs[name] = inferSchema(parts[name as "features"]);
    profile[`${name}_shape`] = tensor.shape;
    profile[`${name}_size`] = tensor.values.length;
  }
  const schema = {
    mlflow_tensorspec: { features: specs.features, targets: specs.targets ?? null },
  };
  const content = tensors.map(({ tensor }) => [tensor.values.slice(0, MAX_DIGESTED), tensor.shape]);
  return datasetOf(rest, schema, profile, content);
}

/** Data that only its source tells about, such as a URL. */
export async function fromSource(
  source: DatasetSource,
  options: Omit<DatasetOptions, "source"> & { readonly schema?: Schema | undefined } = {},
): Promise<Dataset> {
  const { schema, ...rest } = options;
  checkDatasetOptions(rest);
  const columns = schema === undefined ? undefined : { mlflow_colspec: schema };
  const content = [options.name, sourceOf(source), schema ?? ""];
  return datasetOf({ ...rest, source }, columns, undefined, content);
}
