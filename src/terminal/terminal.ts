// What a terminal can take: colour, width, and one line that rewrites itself.
import picocolors from "picocolors";

/** Paints text; without colour it gives the text back. */
export type Paint = ReturnType<typeof picocolors.createColors>;

/** The part of a stream that decides. */
export interface TerminalStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Widest line that any command prints. */
export const MAX_WIDTH = 80;
const MIN_WIDTH = 72;

/** A flag beats NO_COLOR, which beats FORCE_COLOR; otherwise a terminal gets colours and nothing else does. */
export function wantsColour(
  stream: TerminalStream,
  flag: boolean | undefined,
  environment: NodeJS.ProcessEnv = process.env,
): boolean {
  if (flag !== undefined) return flag;
  if (environment.NO_COLOR) return false;
  if (environment.FORCE_COLOR) return environment.FORCE_COLOR !== "0";
  return stream.isTTY === true && environment.TERM !== "dumb";
}

export function paintFor(stream: TerminalStream, flag: boolean | undefined): Paint {
  return picocolors.createColors(wantsColour(stream, flag));
}

/** Columns to fill. */
export function widthOf(stream: TerminalStream): number {
  return Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, stream.columns ?? MAX_WIDTH));
}

/** Text without its colours. */
export function stripAnsi(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is looked for.
  return text.replace(/\u001b\[[0-9;]*m/g, "");
}

const ERASE_LINE = "\r\u001b[K";

/** One line that is written over and over; silent where there is no terminal. The cursor is never hidden. */
export class ProgressLine {
  readonly #stream: TerminalStream;
  #shown = "";

  constructor(stream: TerminalStream) {
    this.#stream = stream;
  }

  show(text: string): void {
    if (this.#stream.isTTY !== true || text === this.#shown) return;
    this.#shown = text;
    this.#stream.write(`${ERASE_LINE}${text}`);
  }

  /** Leaves the line empty, for whoever writes next. */
  clear(): void {
    if (this.#shown === "") return;
    this.#shown = "";
    this.#stream.write(ERASE_LINE);
  }
}
