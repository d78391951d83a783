// What an Authorization header says, and whose token it is.
import { createHash, createHmac, randomBytes } from "node:crypto";
import type { Grant, TokenGrant } from "../configuration/callers.js";

export type Credentials =
  | { readonly kind: "bearer"; readonly token: string }
  | { readonly kind: "basic"; readonly user: string; readonly password: string };

const SCHEME = /^(Bearer|Basic) +(\S+) *$/i;

/**
 * The text of base64 as RFC 4648 has it, and undefined for anything else: who is more lenient, or lenient in another
 * way, reads another user in it than the server behind.
 */
function decoded(base64: string): string | undefined {
  const bytes = Buffer.from(base64, "base64");
  return bytes.toString("base64") === base64 ? bytes.toString("utf8") : undefined;
}

/** Undefined for no header, and for schemes that say nothing here. */
export function credentialsOf(header: string | undefined): Credentials | undefined {
  const [, scheme = "", value = ""] = SCHEME.exec(header ?? "") ?? [];
  switch (scheme.toLowerCase()) {
    case "bearer":
      return { kind: "bearer", token: value };
    case "basic": {
      const text = decoded(value);
      const at = text?.indexOf(":") ?? -1;
      if (text === undefined || at < 0) return undefined;
      return { kind: "basic", user: text.slice(0, at), password: text.slice(at + 1) };
    }
    default:
      return undefined;
  }
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

export interface KnownToken {
  readonly grant: Grant;
  /** The same for the same token, whatever it grants. */
  readonly identity: string;
}

/**
 * The tokens that are known, by a digest with a key of this process's own: how long a look-up takes then tells
 * nothing of how near a guess has come.
 */
export class TokenBook {
  readonly #key = randomBytes(32);
  readonly #grants = new Map<string, KnownToken>();

  constructor(grants: readonly TokenGrant[]) {
    for (const grant of grants) {
      const digest = "sha256" in grant ? Buffer.from(grant.sha256, "hex") : sha256(grant.token);
      const identity = `token ${digest.toString("hex")}`;
      this.#grants.set(this.#name(digest), { grant, identity });
    }
  }

  find(token: string): KnownToken | undefined {
    return this.#grants.get(this.#name(sha256(token)));
  }

  #name(digest: Buffer): string {
    return createHmac("sha256", this.#key).update(digest).digest("base64");
  }
}
