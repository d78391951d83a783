// A connection to nobody: what a request of Node's gets that must not be sent, and that is answered as by MLflow.
import { Duplex } from "node:stream";
import type { RefusalAnswer } from "../wire/refusal.js";

/** Takes the whole request, and answers with what was decided. */
export class RefusingSocket extends Duplex {
  #hasAnswered = false;
  readonly #answer: RefusalAnswer;

  constructor(answer: RefusalAnswer) {
    super();
    this.#answer = answer;
  }

  override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
    done();
    this.answer();
  }

  override _read(): void {}

  answer(): void {
    if (this.#hasAnswered) return;
    this.#hasAnswered = true;
    const { status, headers, body } = this.#answer;
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const length = Buffer.byteLength(body);
    const reason = { 400: "Bad Request", 403: "Forbidden", 429: "Too Many Requests" }[status];
    setImmediate(() => {
      this.push(
        `HTTP/1.1 ${status} ${reason}\r\n${lines.join("")}content-length: ${length}\r\nconnection: close\r\n\r\n${body}`,
      );
      this.push(null);
    });
  }

  // What callers ask of the socket that they believe it to be.
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}
