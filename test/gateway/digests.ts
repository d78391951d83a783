// What a server got, by its digest, however slowly it reads.
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

export function digestOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Reads a body at an uneven pace and answers the digest of what it got. */
export async function answerDigest(
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of request) {
    hash.update(chunk as Buffer);
    if (Math.random() < 0.1) await delay(Math.random() * 5);
  }
  response.end(hash.digest("hex"));
}
