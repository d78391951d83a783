// MLflow's schema of data: columns with types, or tensors with shapes, told from a sample.
// Source: mlflow/types/schema.py and mlflow/types/utils.py (3.17).
import { invalidParameter, MlflowError } from "../errors.js";
import { isTensor, tensorOf } from "./tensor.js";

export type ScalarType =
  | "boolean"
  | "integer"
  | "long"
  | "float"
  | "double"
  | "string"
  | "binary"
  | "datetime";

/** The type of a column or of what is inside one, as MLflow's JSON has it. */
export type ColumnType =
  | { readonly type: ScalarType }
  | { readonly type: "any" }
  | { readonly type: "array"; readonly items: ColumnType }
  | { readonly type: "map"; readonly values: ColumnType }
  | {
      readonly type: "object";
      readonly properties: Readonly<Record<string, ColumnType & { readonly required: boolean }>>;
    };

/** A column. Without a name it is the only one. */
export type ColumnSpec = ColumnType & {
  readonly name?: string | undefined;
  readonly required?: boolean | undefined;
};

/** A tensor; -1 in its shape is any length. Without a name it is the only one. */
export interface TensorSpec {
  readonly name?: string | undefined;
  readonly type: "tensor";
  /** Type as NumPy names it, such as `float32`. */
  readonly "tensor-spec": { readonly dtype: string; readonly shape: readonly number[] };
}

/** Columns, or tensors. */
export type Schema = readonly ColumnSpec[] | readonly TensorSpec[];

const ANY: ColumnType = { type: "any" };
const tagOf = (value: unknown) => Object.prototype.toString.call(value).slice(8, -1);

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return tagOf(value) === "Object";
}

function isMissing(value: unknown): boolean {
  return value === null || value === undefined || Number.isNaN(value);
}

function isNumeric(type: ColumnType): boolean {
  return type.type === "long" || type.type === "double";
}

/** One type for both; JavaScript's numbers are whole ones only when all of them are. */
function merged(one: ColumnType, other: ColumnType, column?: string): ColumnType {
  if (one.type === "any") return other;
  if (other.type === "any") return one;
  if (isNumeric(one) && isNumeric(other) && one.type !== other.type) return { type: "double" };
  if (one.type === "array" && other.type === "array") {
    return { type: "array", items: merged(one.items, other.items, column) };
  }
  if (one.type === "object" && other.type === "object") {
    const names = [...new Set([...Object.keys(one.properties), ...Object.keys(other.properties)])];
    const properties = names.map((name) => {
      const [left, right] = [one.properties[name], other.properties[name]];
      const type = merged(left ?? ANY, right ?? ANY, name);
      return [name, { ...type, required: (left?.required && right?.required) === true }];
    });
    return { type: "object", properties: Object.fromEntries(properties) };
  }
  if (one.type === other.type) return one;
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `No schema: values of ${column === undefined ? "one column" : `the column '${column}'`} are of the types ${one.type} and ${other.type}; give them one type.`,
  );
}

/** `column`: whose values they are, for the message when they do not go together. */
function typeOfAll(values: readonly unknown[], column?: string): ColumnType {
  return values.map(typeOf).reduce((one, other) => merged(one, other, column), ANY);
}

function typeOf(value: unknown): ColumnType {
  if (isMissing(value)) return ANY;
  switch (typeof value) {
    case "boolean":
      return { type: "boolean" };
    case "bigint":
      return { type: "long" };
    case "number":
      return { type: Number.isSafeInteger(value) ? "long" : "double" };
    case "string":
      return { type: "string" };
  }
  if (tagOf(value) === "Date") return { type: "datetime" };
  if (tagOf(value) === "Uint8Array") return { type: "binary" };
  if (Array.isArray(value)) {
    return value.length === 0 ? ANY : { type: "array", items: typeOfAll(value) };
  }
  if (ArrayBuffer.isView(value))
    return { type: "array", items: typeOfAll(Array.from(value as never)) };
  if (isRecord(value)) {
    const properties = Object.entries(value).map(([name, inside]) => {
      const type = typeOf(inside);
      return [name, { ...type, required: type.type !== "any" }];
    });
    return properties.length === 0
      ? ANY
      : { type: "object", properties: Object.fromEntries(properties) };
  }
  throw invalidParameter(
    "schema",
    value,
    "pass texts, numbers, booleans, dates, bytes, arrays or plain objects of them.",
  );
}

function columnsOf(rows: readonly Readonly<Record<string, unknown>>[]): ColumnSpec[] {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return names.map((name) => ({
    ...typeOfAll(
      rows.map((row) => row[name]),
      name,
    ),
    name,
    required: rows.every((row) => !isMissing(row[name])),
  }));
}

function tensorSpec(value: unknown, name?: string): TensorSpec {
  const { dtype, shape } = tensorOf(value);
  return {
    ...(name !== undefined && { name }),
    type: "tensor",
    // The first dimension counts examples, of which there may be any number.
    "tensor-spec": { dtype, shape: shape.length === 0 ? [] : [-1, ...shape.slice(1)] },
  };
}

/**
 * The schema that a sample shows: of tensors (typed arrays, `{ data, shape }`, tensors of TensorFlow.js
 * or of ONNX Runtime, or an object of them), else of columns (an array of objects, an object, an array
 * of values, one value). Numbers are `long` when all of a column are whole, else `double`.
 * Throws MlflowError `INVALID_PARAMETER_VALUE` for what has no schema.
 */
export function inferSchema(sample: unknown): Schema {
  if (isTensor(sample)) return [tensorSpec(sample)];
  if (Array.isArray(sample)) {
    if (sample.length > 0 && sample.every(isRecord)) return columnsOf(sample);
    return [{ ...(sample.length === 0 ? { type: "string" } : typeOfAll(sample)), required: true }];
  }
  if (isRecord(sample)) {
    const entries = Object.entries(sample);
    if (entries.length > 0 && entries.every(([, value]) => isTensor(value))) {
      return entries.map(([name, value]) => tensorSpec(value, name));
    }
    return entries.map(([name, value]) => ({
      ...typeOf(value),
      name,
      required: Array.isArray(value) ? !value.some(isMissing) : !isMissing(value),
    }));
  }
  return [{ ...typeOf(sample), required: true }];
}
