// Signs who pays for a run into a tag of it, so that another start, or another gateway beside, believes the tag again.
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  attributesOfTags,
  type GovernanceAttributes,
  governanceTags,
  type RunTag,
} from "../governance/attribution.js";

const SIGNATURE_TAG = "genops.gateway.signature";
const FILE = "gateway.key";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;

/** A key that nobody but the user of this process can read; made when there is none. @throws where it cannot be kept. */
function keyIn(folder: string): Buffer {
  const path = join(folder, FILE);
  try {
    return usable(readFileSync(path), path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const own = `${path}.${randomBytes(6).toString("hex")}`;
  writeFileSync(own, randomBytes(KEY_BYTES), { mode: 0o600, flag: "wx" });
  chmodSync(own, 0o600);
  try {
    // Whole or not at all, and the first of several that begin at once.
    linkSync(own, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(own, { force: true });
  }
  return usable(readFileSync(path), path);
}

function usable(key: Buffer, path: string): Buffer {
  if (key.length === KEY_BYTES) return key;
  throw new Error(`${path} is no key of a gateway; remove it, and runs of before are nobody's`);
}

/** What a signature speaks for: the attributes, and the experiment that they were said in. */
function digest(key: Buffer, nonce: string, experimentId: string, tags: readonly RunTag[]): Buffer {
  const said = tags
    .filter(({ key: name }) => name !== SIGNATURE_TAG)
    .map(({ key: name, value }) => [name, value])
    .sort();
  return createHmac("sha256", key)
    .update(JSON.stringify([nonce, experimentId, said]))
    .digest();
}

export class PayerSignatures {
  readonly #key: Buffer;

  /** Without a folder the key lasts as long as the process. @throws where a key cannot be kept. */
  constructor(folder: string | undefined) {
    this.#key = folder === undefined ? randomBytes(KEY_BYTES) : keyIn(folder);
  }

  /** The tags of a new run that say who pays, signed. */
  sign(attributes: GovernanceAttributes, experimentId: string): RunTag[] {
    const tags = governanceTags(attributes);
    if (tags.length === 0) return tags;
    const nonce = randomBytes(NONCE_BYTES).toString("base64url");
    const signature = digest(this.#key, nonce, experimentId, tags).toString("base64url");
    return [...tags, { key: SIGNATURE_TAG, value: `${nonce}.${signature}` }];
  }

  /** Who pays for a run by its tags; undefined unless a gateway with this key has said so. */
  payerOf(tags: readonly RunTag[], experimentId: string): GovernanceAttributes | undefined {
    const [nonce = "", given = ""] =
      tags.find(({ key }) => key === SIGNATURE_TAG)?.value.split(".") ?? [];
    const attributes = attributesOfTags(tags);
    const expected = digest(this.#key, nonce, experimentId, governanceTags(attributes));
    const signature = Buffer.from(given, "base64url");
    if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
      return undefined;
    }
    return attributes;
  }
}
