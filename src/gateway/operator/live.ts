// Server-sent events: how things stand, told when something has changed and at most once a second.
import type { ServerResponse } from "node:http";

const INTERVAL_MS = 1000;
/** Proxies close what is silent for a minute. */
const HEARTBEAT_MS = 15_000;
const LISTENERS_MAX = 64;

export class LiveEvents {
  readonly #snapshot: () => unknown;
  readonly #listeners = new Map<ServerResponse, () => boolean>();
  #timer: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;

  /** `snapshot` is what an event carries. */
  constructor(snapshot: () => unknown) {
    this.#snapshot = snapshot;
  }

  /** Is there room for another listener? */
  get isFull(): boolean {
    return this.#listeners.size >= LISTENERS_MAX;
  }

  /** Tells how things stand, and from then on each change; `isAdmitted` is asked before each. */
  listen(response: ServerResponse, isAdmitted: () => boolean): void {
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      // Not to be collected by a proxy in front.
      "x-accel-buffering": "no",
    });
    this.#listeners.set(response, isAdmitted);
    response.on("close", () => this.#leave(response));
    response.on("error", () => this.#leave(response));
    response.write(`retry: 2000\n\n${this.#event()}`);
    this.#heartbeat ??= setInterval(() => this.#send(": still here\n\n"), HEARTBEAT_MS).unref();
  }

  #event(): string {
    return `event: snapshot\ndata: ${JSON.stringify(this.#snapshot())}\n\n`;
  }

  #leave(response: ServerResponse): void {
    this.#listeners.delete(response);
    if (this.#listeners.size > 0) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }

  /** Something is not as it was. Costs next to nothing when nobody listens. */
  changed(): void {
    if (this.#listeners.size === 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#listeners.size > 0) this.#send(this.#event());
    }, INTERVAL_MS).unref();
  }

  #send(text: string): void {
    for (const [response, isAdmitted] of this.#listeners) {
      if (!isAdmitted()) response.end();
      // Who does not read misses what is old by then.
      else if (!response.writableNeedDrain) response.write(text);
    }
  }

  /** Ends every stream, so that nothing keeps the gateway from stopping. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const response of this.#listeners.keys()) response.end();
  }
}
