// Tensors of several libraries, seen as one: numbers, their type as NumPy names it, and a shape.
import { invalidParameter } from "../errors.js";

/** A tensor by its parts. */
export interface TensorLike {
  readonly data: ArrayBufferView | readonly (number | bigint | boolean | string)[];
  /** Length of each dimension. */
  readonly shape: readonly number[];
  /** Type as NumPy names it; that of a typed array when left out. */
  readonly dtype?: string | undefined;
}

/** Types of typed arrays; `DataView` and `Uint8Array` alone are bytes and no tensors. */
const DTYPES: Readonly<Record<string, string>> = {
  Float32Array: "float32",
  Float64Array: "float64",
  Int8Array: "int8",
  Int16Array: "int16",
  Int32Array: "int32",
  BigInt64Array: "int64",
  Uint8Array: "uint8",
  Uint8ClampedArray: "uint8",
  Uint16Array: "uint16",
  Uint32Array: "uint32",
  BigUint64Array: "uint64",
};
/** NumPy's names of types that libraries call otherwise. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  string: "object",
  str: "object",
  double: "float64",
  float: "float32",
};

interface Parts {
  readonly data?: unknown;
  readonly shape?: unknown;
  readonly dims?: unknown;
  readonly dtype?: unknown;
  readonly type?: unknown;
  readonly dataSync?: () => ArrayLike<unknown>;
}

const tagOf = (value: unknown) => Object.prototype.toString.call(value).slice(8, -1);

function shapeOf(parts: Parts): readonly number[] | undefined {
  const shape = parts.shape ?? parts.dims;
  return Array.isArray(shape) && shape.every((length) => Number.isSafeInteger(length))
    ? (shape as number[])
    : undefined;
}

/** Typed arrays (other than bytes), `{ data, shape }`, and tensors of TensorFlow.js and ONNX Runtime. */
export function isTensor(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const tag = tagOf(value);
  if (tag in DTYPES) return tag !== "Uint8Array";
  const parts = value as Parts;
  return shapeOf(parts) !== undefined && (typeof parts.dataSync === "function" || "data" in parts);
}

function shapeOfNested(value: unknown): number[] {
  return Array.isArray(value) ? [value.length, ...shapeOfNested(value[0])] : [];
}

/** The values, row by row; undefined when some are missing or deeper than the shape. */
function flattened(value: unknown, [length, ...inner]: readonly number[]): unknown[] | undefined {
  if (length === undefined) return typeof value === "object" ? undefined : [value];
  if (!Array.isArray(value) || value.length !== length) return undefined;
  const rows = value.map((row) => flattened(row, inner));
  return rows.every((row) => row !== undefined) ? rows.flat() : undefined;
}

/**
 * What is a tensor as it is, and arrays inside arrays as the tensor that NumPy makes of them.
 * Throws MlflowError `INVALID_PARAMETER_VALUE` for anything else.
 */
export function asTensor(field: string, value: unknown): unknown {
  if (isTensor(value) || tagOf(value) === "Uint8Array") return value;
  const shape = shapeOfNested(value);
  const data = Array.isArray(value) ? flattened(value, shape) : undefined;
  if (data?.every((one) => ["number", "bigint", "boolean", "string"].includes(typeof one))) {
    const isWhole = data.length > 0 && data.every((one) => Number.isSafeInteger(one));
    return { data, shape, dtype: isWhole ? "int64" : undefined } satisfies Parts;
  }
  const fix =
    "pass a typed array, { data, shape }, a tensor of TensorFlow.js or ONNX Runtime, or arrays of one length inside each other.";
  throw invalidParameter(field, value, fix);
}

/** The parts of a tensor. */
export interface Tensor {
  readonly values: readonly unknown[];
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE` when the shape is not that of the values. */
export function tensorOf(value: unknown): Tensor {
  const own = DTYPES[tagOf(value)];
  if (own !== undefined) {
    const values = Array.from(value as ArrayLike<unknown>);
    return { values, dtype: own, shape: [values.length] };
  }
  const parts = value as Parts;
  const data = typeof parts.dataSync === "function" ? parts.dataSync() : parts.data;
  if (typeof data !== "object" || data === null || !("length" in data)) {
    throw invalidParameter("data of a tensor", data, "pass a typed array, or an array of values.");
  }
  const values = Array.from(data as ArrayLike<unknown>);
  const shape = shapeOf(parts) ?? [];
  const count = shape.reduce((product, length) => product * length, 1);
  if (count !== values.length) {
    const fix = `it means ${count} values, and there are ${values.length}.`;
    throw invalidParameter("shape of a tensor", `[${shape.join(", ")}]`, fix);
  }
  const named = parts.dtype ?? parts.type;
  const written = typeof named === "string" ? named : undefined;
  const dtype = written ?? DTYPES[tagOf(data)] ?? dtypeOfValues(values);
  return { values, dtype: OTHER_NAMES[dtype] ?? dtype, shape };
}

function dtypeOfValues(values: readonly unknown[]): string {
  if (values.every((value) => typeof value === "bigint")) return "int64";
  if (values.every((value) => typeof value === "boolean")) return "bool";
  return values.every((value) => typeof value === "number") ? "float64" : "object";
}

/** The values as arrays inside arrays, as JSON has a tensor. */
export function nestedValues({ values, shape, dtype }: Tensor): unknown {
  const plain = values.map((value) => {
    if (dtype === "bool") return Boolean(value);
    return typeof value === "bigint" ? Number(value) : value;
  });
  if (shape.length === 0) return plain[0];
  let level: readonly unknown[] = plain;
  for (const length of shape.slice(1).reverse()) {
    const groups: unknown[] = [];
    for (let start = 0; start < level.length; start += length) {
      groups.push(level.slice(start, start + length));
    }
    level = groups;
  }
  return level;
}
