// What a registry in a folder consists of, and which names and tags it accepts.
import type { KeyValueMessage } from "../spec.js";
import { checkModelName, checkTagKey, registryTagValue } from "../validation.js";
import { refused } from "./messages.js";
import type { Meta } from "./meta-file.js";

export interface FoundModel {
  readonly name: string;
  readonly folder: string;
  readonly meta: Meta;
}

export interface FoundVersion {
  readonly name: string;
  readonly version: string;
  readonly folder: string;
  readonly meta: Meta;
}

export interface NewVersion {
  readonly name: string;
  readonly source: string;
  readonly runId?: string | undefined;
  readonly runLink?: string | undefined;
  readonly modelId?: string | undefined;
  /** Where the files are, when the source is the name of something else. */
  readonly storageLocation?: string | undefined;
  readonly description?: string | undefined;
  readonly tags: readonly KeyValueMessage[];
}

export function checkTag({ key, value = "" }: KeyValueMessage): void {
  checkTagKey(key);
  registryTagValue(key, value);
}

export function checkName(name: unknown): asserts name is string {
  checkModelName(name);
  if (/[%\\]|\p{Cc}/u.test(name)) {
    throw refused(
      `Invalid model name: '${name}'. In a folder it cannot contain '%', '\\' or control characters.`,
    );
  }
}

/** A field that is left out when there is nothing to tell. */
export function optional<K extends string>(
  key: K,
  text: string | undefined,
): { [P in K]?: string } {
  return (text === undefined ? {} : { [key]: text }) as { [P in K]?: string };
}
