// The body of a request that is sent on as it comes, however that ends; the caller's connection stays whole.
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { MessageChannel } from "node:worker_threads";

/** Why a body that broke off has no end. */
export const GONE = "The caller went away before the request was whole.";

/** Pieces that are held to be freed; more come only from a body so small in its pieces that nobody waits for it. */
const HELD_MAX = 64;

/** Leads nowhere: what is given away through it is freed. */
const { port1: nowhere } = new MessageChannel();
nowhere.close();

/**
 * Frees the memory of a piece at once. Left to the garbage collector, an artifact's pieces make it collect everything
 * there is once in 40 MB, on two cores at half the throughput, as it counts memory outside of its heap like its own.
 */
function free({ buffer, byteLength }: Buffer): void {
  // What shares its memory with others is not its own to free.
  if (buffer.byteLength === byteLength) nowhere.postMessage(undefined, [buffer as ArrayBuffer]);
}

/**
 * Never reads more than what is taken of it; after its end the rest is read and thrown away. Whoever takes its pieces
 * by `data` calls `resume` only when all of them are sent, as their memory is freed then.
 */
export class PassingBody extends Readable {
  readonly #request: IncomingMessage;
  readonly #onChunk: (chunk: Buffer) => void;
  /** Given to who sends them, since all that was given before was sent. */
  #given: Buffer[] = [];

  /** @param onData Is shown each piece before it is sent on; returns false where the body is over for the server. */
  constructor(request: IncomingMessage, onData: ((chunk: Buffer) => boolean) | undefined) {
    super({ highWaterMark: 256 * 1024 });
    this.#request = request;
    this.#onChunk = (chunk) => {
      if (onData !== undefined && !onData(chunk)) this.destroy();
      else if (!this.push(chunk)) request.pause();
    };
    // It flows only when somebody else takes its pieces.
    this.pause();
    this.on("data", (chunk: Buffer) => {
      if (this.#given.length === HELD_MAX) this.#given = [];
      this.#given.push(chunk);
    });
    request.on("data", this.#onChunk);
    request.once("end", () => this.push(null));
    request.once("close", () => {
      if (!request.complete) this.destroy(new Error(GONE));
    });
  }

  override resume(): this {
    for (const piece of this.#given) free(piece);
    this.#given = [];
    return super.resume();
  }

  override _read(): void {
    this.#request.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#request.off("data", this.#onChunk);
    this.#request.resume();
    this.#given = [];
    done(error);
  }
}
