// A line a request, as JSON or as web servers write it; never what a request carries.
import { createWriteStream, type WriteStream } from "node:fs";
import type { GovernanceAttributes } from "../governance/attribution.js";
import type { AccessLogSetup } from "./configuration.js";

/** Lines that wait for a slow disk, in characters; more are dropped and counted. */
const WAITING_MAX = 16 * 2 ** 20;

/** One request that was answered. */
export interface AccessEntry {
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly remoteAddress: string;
  readonly method: string;
  /** As it came, without its query: queries may carry what is private. */
  readonly path: string;
  readonly httpVersion: string;
  /** 0 when the connection ended without an answer. */
  readonly status: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly userAgent: string | undefined;
  readonly operation: string | undefined;
  readonly attributes: GovernanceAttributes;
  readonly decision: string | undefined;
  readonly reasonCode: string | undefined;
  /** USD, exact; undefined where nothing was booked. */
  readonly cost: string | undefined;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** As the combined log format has it: 10/Oct/2000:13:55:36 +0000. */
function commonTime(ms: number): string {
  const date = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}`;
  return `${day}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
}

/** Text inside quotes: nothing in it may end them or the line. */
function quoted(text: string): string {
  return text.replace(
    /["\\\p{Cc}]/gu,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

function combined(entry: AccessEntry): string {
  const { remoteAddress, startMs, method, path, httpVersion, status, responseBytes } = entry;
  const request = quoted(`${method} ${path} HTTP/${httpVersion}`);
  const agent = quoted(entry.userAgent ?? "-");
  const who = quoted(entry.attributes.team ?? "-").replaceAll(" ", "_");
  return `${remoteAddress} - ${who} [${commonTime(startMs)}] "${request}" ${status} ${responseBytes} "-" "${agent}"`;
}

function json({ startMs, durationMs, attributes, ...entry }: AccessEntry): string {
  return JSON.stringify({
    time: new Date(startMs).toISOString(),
    durationMs: Math.round(durationMs * 1000) / 1000,
    ...entry,
    ...attributes,
  });
}

export class AccessLog {
  readonly #setup: AccessLogSetup;
  readonly #stream: WriteStream | NodeJS.WriteStream;
  readonly #onLost: (error: Error) => void;
  #lost = 0;

  /** `onLost`: lines cannot be written; the traffic goes on. */
  constructor(setup: AccessLogSetup, onLost: (error: Error) => void) {
    this.#setup = setup;
    this.#onLost = onLost;
    this.#stream =
      setup.path === undefined
        ? process.stdout
        : createWriteStream(setup.path, { flags: "a", mode: 0o640 });
    this.#stream.on("error", this.#failed);
  }

  readonly #failed = (error: Error): void => {
    this.#lost++;
    this.#onLost(error);
  };

  /** Lines that were not written. */
  get lost(): number {
    return this.#lost;
  }

  write(entry: AccessEntry): void {
    if (this.#stream.writableLength > WAITING_MAX) {
      this.#failed(new Error("the access log is written too slowly"));
      return;
    }
    const line = this.#setup.format === "json" ? json(entry) : combined(entry);
    this.#stream.write(`${line}\n`);
  }

  async close(): Promise<void> {
    const stream = this.#stream;
    if (stream === process.stdout) {
      stream.off("error", this.#failed);
      return;
    }
    await new Promise<void>((resolve) => stream.end(resolve));
  }
}
