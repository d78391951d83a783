// The body of a request that is sent on as it comes, however that ends; the caller's connection stays whole.
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";

/** Why a body that broke off has no end. */
export const GONE = "The caller went away before the request was whole.";

/** Never reads more than what is taken of it; after its end the rest is read and thrown away. */
export class PassingBody extends Readable {
  readonly #request: IncomingMessage;
  readonly #onChunk: (chunk: Buffer) => void;

  /** @param onData Is shown each piece before it is sent on; returns false where the body is over for the server. */
  constructor(request: IncomingMessage, onData: ((chunk: Buffer) => boolean) | undefined) {
    super({ highWaterMark: 256 * 1024 });
    this.#request = request;
    this.#onChunk = (chunk) => {
      if (onData !== undefined && !onData(chunk)) this.destroy();
      else if (!this.push(chunk)) request.pause();
    };
    request.on("data", this.#onChunk);
    request.once("end", () => this.push(null));
    request.once("close", () => {
      if (!request.complete) this.destroy(new Error(GONE));
    });
  }

  override _read(): void {
    this.#request.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#request.off("data", this.#onChunk);
    this.#request.resume();
    done(error);
  }
}
