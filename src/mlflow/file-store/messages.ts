// What the rooms of the file store share in speaking: missing things, and key-value messages.
import { MlflowError } from "../errors.js";
import type { KeyValueMessage } from "../spec.js";

export function doesNotExist(message: string): MlflowError {
  return new MlflowError("RESOURCE_DOES_NOT_EXIST", `RESOURCE_DOES_NOT_EXIST: ${message}`, {
    errorCode: "RESOURCE_DOES_NOT_EXIST",
  });
}

export function alreadyExists(message: string): MlflowError {
  return new MlflowError("RESOURCE_ALREADY_EXISTS", `RESOURCE_ALREADY_EXISTS: ${message}`, {
    errorCode: "RESOURCE_ALREADY_EXISTS",
  });
}

export function refused(message: string): MlflowError {
  return new MlflowError("INVALID_PARAMETER_VALUE", `INVALID_PARAMETER_VALUE: ${message}`, {
    errorCode: "INVALID_PARAMETER_VALUE",
  });
}

/** A list as MLflow's JSON has it: left out when it is empty. */
export function listed<K extends string, T>(
  key: K,
  items: readonly T[],
): { readonly [P in K]?: readonly T[] } {
  return (items.length === 0 ? {} : { [key]: items }) as { readonly [P in K]?: readonly T[] };
}

/** The value of a tag among messages. */
export function valueOfTag(
  messages: readonly KeyValueMessage[] | undefined,
  key: string,
): string | undefined {
  return messages?.findLast((message) => message.key === key)?.value;
}
