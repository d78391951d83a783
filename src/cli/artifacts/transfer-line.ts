// The progress of a transfer: a bar on a terminal, and the counts for whoever asks at its end.
import type { TransferProgress } from "../../mlflow/artifact-stores/artifact-store.js";
import { bar, shorten, textWidth } from "../../terminal/layout.js";
import { ProgressLine, paintFor, type TerminalStream, widthOf } from "../../terminal/terminal.js";

const CELLS = 20;
/** Milliseconds; a terminal shows no more pictures than this that anybody sees. */
const BETWEEN_PICTURES_MS = 80;

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A size as a person reads it. */
export function readableSize(bytes: number): string {
  const unit = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** unit;
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** Silent where there is no terminal. */
export class TransferLine {
  readonly #line: ProgressLine;
  readonly #stream: TerminalStream;
  readonly #sign: string;
  readonly #transferred = new Map<string, number>();
  #shownAtMs = Number.NEGATIVE_INFINITY;

  constructor(stream: TerminalStream, direction: "up" | "down") {
    this.#stream = stream;
    this.#line = new ProgressLine(stream);
    this.#sign = direction === "up" ? "↑" : "↓";
  }

  /** Files that were begun. */
  get files(): number {
    return this.#transferred.size;
  }

  /** Bytes carried, of all files together. */
  get bytes(): number {
    let sum = 0;
    for (const bytes of this.#transferred.values()) sum += bytes;
    return sum;
  }

  readonly onProgress = ({ path, transferredBytes, totalBytes }: TransferProgress): void => {
    this.#transferred.set(path, transferredBytes);
    const now = performance.now();
    if (this.#stream.isTTY !== true || now - this.#shownAtMs < BETWEEN_PICTURES_MS) return;
    this.#shownAtMs = now;
    const paint = paintFor(this.#stream, undefined);
    const known = totalBytes !== undefined && totalBytes > 0;
    const filled = known ? bar(BigInt(transferredBytes), BigInt(totalBytes), CELLS) : "";
    const track = paint.cyan(filled) + paint.dim("░".repeat(CELLS - textWidth(filled)));
    const size = totalBytes === undefined ? "" : ` of ${readableSize(totalBytes)}`;
    const text = `${this.#sign} ${readableSize(transferredBytes)}${size}  ${path}`;
    this.#line.show(`  ${track} ${shorten(text, widthOf(this.#stream) - CELLS - 5)}`);
  };

  /** Leaves the line empty, for whoever writes next. */
  clear(): void {
    this.#line.clear();
  }
}
