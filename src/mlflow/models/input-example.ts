// An example of a model's input, kept beside it as Python keeps one.
// Source: `_Example` in mlflow/models/utils.py (3.17).
import { invalidParameter } from "../errors.js";
import { isTensor, nestedValues, tensorOf } from "./tensor.js";

const EXAMPLE_FILE = "input_example.json";
const SERVING_FILE = "serving_input_example.json";

export interface InputExample {
  /** `saved_input_example_info` of the `MLmodel` file. */
  readonly info: Readonly<Record<string, string>>;
  /** Texts by file name. */
  readonly files: Readonly<Record<string, string>>;
}

function isRecordOfTensors(example: object): boolean {
  const values = Object.values(example);
  return !Array.isArray(example) && values.length > 0 && values.every(isTensor);
}

/** As JSON; bytes as Python writes them: in base 64. */
function jsonOf(value: unknown, indent?: number): string {
  const text = JSON.stringify(
    value,
    (_key, inside: unknown) => {
      if (typeof inside === "bigint") return Number(inside);
      if (Object.prototype.toString.call(inside) !== "[object Uint8Array]") return inside;
      return btoa(Array.from(inside as Uint8Array, (byte) => String.fromCharCode(byte)).join(""));
    },
    indent,
  );
  if (text === undefined) {
    throw invalidParameter("inputExample", value, "pass tensors, or what JSON can tell.");
  }
  return text;
}

/** The files of an example, and how they are described. Throws `INVALID_PARAMETER_VALUE`. */
export function inputExampleOf(example: unknown): InputExample {
  const nested = (tensor: unknown) => nestedValues(tensorOf(tensor));
  let data = example;
  let type = "json_object";
  if (isTensor(example)) {
    [data, type] = [nested(example), "ndarray"];
  } else if (typeof example === "object" && example !== null && isRecordOfTensors(example)) {
    const entries = Object.entries(example).map(([name, tensor]) => [name, nested(tensor)]);
    [data, type] = [Object.fromEntries(entries), "ndarray"];
  }
  return {
    info: { artifact_path: EXAMPLE_FILE, serving_input_path: SERVING_FILE, type },
    files: {
      [EXAMPLE_FILE]: jsonOf(data),
      [SERVING_FILE]: jsonOf({ inputs: data }, 2),
    },
  };
}
