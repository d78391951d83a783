// A model's signature: what goes in, what comes out, and what can be asked beside it.
// Source: mlflow/models/signature.py (3.17).
import { invalidParameter } from "../errors.js";
import { checkOptions } from "../validation.js";
import { inferSchema, type ScalarType, type Schema } from "./schema.js";

/** A parameter of a model's prediction, with its default. */
export interface ParamSpec {
  readonly name: string;
  readonly type: ScalarType;
  readonly default: unknown;
  /** `[-1]` for a list; null for one value. */
  readonly shape: readonly [-1] | null;
}

export interface ModelSignature {
  readonly inputs?: Schema | undefined;
  readonly outputs?: Schema | undefined;
  readonly params?: readonly ParamSpec[] | undefined;
}

const SCALARS: readonly string[] = [
  "boolean",
  "integer",
  "long",
  "float",
  "double",
  "string",
  "binary",
  "datetime",
];

function paramSpec(name: string, value: unknown): ParamSpec {
  const [field] = inferSchema(Array.isArray(value) ? value : [value]);
  if (field === undefined || !SCALARS.includes(field.type)) {
    const fix = "pass texts, numbers, booleans or dates, or arrays of them.";
    throw invalidParameter(`param '${name}'`, value, fix);
  }
  const shape = Array.isArray(value) ? ([-1] as const) : null;
  return { name, type: field.type as ScalarType, default: value, shape };
}

/**
 * The signature that samples of a model's input, output and parameters show; see `inferSchema` for what
 * can be a sample. Throws MlflowError `INVALID_PARAMETER_VALUE` for what has no schema.
 */
export function inferSignature(
  input?: unknown,
  output?: unknown,
  params?: Readonly<Record<string, unknown>>,
): ModelSignature {
  return {
    ...(input !== undefined && { inputs: inferSchema(input) }),
    ...(output !== undefined && { outputs: inferSchema(output) }),
    ...(params !== undefined && {
      params: Object.entries(params).map(([name, value]) => paramSpec(name, value)),
    }),
  };
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE` for what is no signature. */
export function checkSignature(signature: ModelSignature): void {
  checkOptions("signature", signature, ["inputs", "outputs", "params"]);
  for (const [field, schema] of Object.entries(signature)) {
    if (schema !== undefined && !Array.isArray(schema)) {
      throw invalidParameter(
        `signature.${field}`,
        schema,
        "pass an array, as inferSignature does.",
      );
    }
  }
}

/** As an `MLmodel` file has it: each part as JSON in a text. */
export function signatureFields({ inputs, outputs, params }: ModelSignature) {
  const json = (part: readonly object[] | undefined) =>
    part === undefined ? null : JSON.stringify(part);
  const required = (schema: Schema | undefined) =>
    schema?.map((field) => (field.type === "tensor" ? field : { required: true, ...field }));
  return { inputs: json(required(inputs)), outputs: json(required(outputs)), params: json(params) };
}
