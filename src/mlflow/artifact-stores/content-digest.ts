// A digest by which two artifacts are known to be the same, read from at most 1 MiB of them.
import type { ArtifactContent } from "../stores.js";
import { readPart } from "./content.js";

/** Content up to this is digested whole; of what is larger, this much in equal parts over its length. */
const DIGESTED_BYTES = 2 ** 20;
const PARTS = 16;

/**
 * SHA-256 as hexadecimal text: of all bytes up to 1 MiB; above that of sixteen parts of 64 KiB, the first and
 * the last among them. Undefined where the runtime has no digests, and for what cannot be read.
 */
export async function contentDigest(content: ArtifactContent): Promise<string | undefined> {
  // Browsers have it on secure pages alone.
  const subtle = globalThis.crypto?.subtle;
  if (subtle === undefined) return undefined;
  try {
    const digest = new Uint8Array(await subtle.digest("SHA-256", await digested(content)));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch {
    // Whoever uploads it finds the same, and says so.
    return undefined;
  }
}

async function digested(content: ArtifactContent): Promise<Uint8Array<ArrayBuffer>> {
  const { sizeBytes } = content;
  if (sizeBytes <= DIGESTED_BYTES) return readPart(content, 0, sizeBytes);
  const length = DIGESTED_BYTES / PARTS;
  const bytes = new Uint8Array(DIGESTED_BYTES);
  for (let part = 0; part < PARTS; part++) {
    const start = Math.floor(((sizeBytes - length) * part) / (PARTS - 1));
    bytes.set(await readPart(content, start, start + length), part * length);
  }
  return bytes;
}
