// A line for each request: JSON, or what web servers write. Never a header, never a body.
import { createWriteStream, type WriteStream } from "node:fs";
import type { AccessLogSetup } from "./configuration.js";

/** Characters that wait to be written before lines are left out and counted. */
const WAITING_MAX = 16 * 2 ** 20;
const TARGET_MAX = 2048;

/** One request that has ended. */
export interface AccessEntry {
  /** Milliseconds since 1970, of its beginning. */
  readonly startMs: number;
  readonly remoteAddress: string | undefined;
  readonly method: string;
  /** Path and query as they came. */
  readonly target: string;
  readonly httpVersion: string;
  /** 0 when the connection was gone before there was any. */
  readonly status: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly durationMs: number;
  /** Name that the MLflow server has accepted, or nothing. */
  readonly user?: string | undefined;
  readonly team?: string | undefined;
  readonly project?: string | undefined;
  /** MLflow's operation, for example `log_metric`. */
  readonly operation?: string | undefined;
  /** Why it was refused, when it was. */
  readonly reasonCode?: string | undefined;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `23/Feb/2026:08:00:00 +0000`. */
function clfTime(ms: number): string {
  const iso = new Date(ms).toISOString();
  const month = MONTHS[Number(iso.slice(5, 7)) - 1];
  return `${iso.slice(8, 10)}/${month}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`;
}

/** What would end a field or a line is written by its code. */
function field(text: string | undefined): string {
  if (!text) return "-";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not get into the log.
  return text.slice(0, TARGET_MAX).replace(/[\u0000-\u001f"\\\u007f-\uffff]/g, (each) => {
    return `\\x${each.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}

function combinedLine(entry: AccessEntry): string {
  const user = field(entry.user).replace(/ /g, "\\x20");
  const request = field(`${entry.method} ${entry.target} HTTP/${entry.httpVersion}`);
  const { remoteAddress = "-", startMs, status, responseBytes } = entry;
  return `${remoteAddress} - ${user} [${clfTime(startMs)}] "${request}" ${status} ${responseBytes} "-" "-"\n`;
}

function jsonLine({ startMs, target, durationMs, ...entry }: AccessEntry): string {
  const line = {
    time: new Date(startMs).toISOString(),
    ...entry,
    target: target.slice(0, TARGET_MAX),
    durationMs: Number(durationMs.toFixed(3)),
  };
  return `${JSON.stringify(line)}\n`;
}

/** Somewhere lines go to. */
type Sink = Pick<WriteStream, "write" | "writableLength">;

/** Never throws and never waits; what cannot be written is counted, and told once it can be again. */
export class AccessLog {
  readonly #setup: AccessLogSetup;
  readonly #warn: (message: string) => void;
  #file: WriteStream | undefined;
  #sink: Sink;
  #lost = 0;

  /** `warn` is told when the file cannot be written. */
  constructor(setup: AccessLogSetup, warn: (message: string) => void) {
    this.#setup = setup;
    this.#warn = warn;
    this.#sink = this.#open();
  }

  #open(): Sink {
    const { path } = this.#setup;
    if (path === undefined) return process.stdout;
    const file = createWriteStream(path, { flags: "a", mode: 0o640 });
    file.on("error", (error) => {
      this.#lost++;
      this.#warn(`accessLog: cannot write ${JSON.stringify(path)}: ${error.message}`);
    });
    this.#file = file;
    return file;
  }

  write(entry: AccessEntry): void {
    if (this.#sink.writableLength > WAITING_MAX || this.#file?.destroyed === true) {
      this.#lost++;
      return;
    }
    if (this.#lost > 0) {
      this.#warn(`accessLog: ${this.#lost} lines could not be written`);
      this.#lost = 0;
    }
    this.#sink.write(this.#setup.format === "json" ? jsonLine(entry) : combinedLine(entry));
  }

  /** Goes on in a file of the same name: the one before may have been moved away by a log rotation. */
  reopen(): void {
    const before = this.#file;
    if (before === undefined) return;
    this.#sink = this.#open();
    before.end();
  }

  /** All lines are written then. */
  close(): Promise<void> {
    const file = this.#file;
    if (file === undefined || file.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      file.on("close", () => resolve());
      file.end();
    });
  }
}
