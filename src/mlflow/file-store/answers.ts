// Which part of a folder answers which endpoint.
import type * as spec from "../spec.js";

type Handler = (request: never) => Promise<unknown>;

/** Handlers by endpoint. */
export class Answers {
  readonly #handlers = new Map<string, Handler>();

  /** Undefined for an endpoint that a folder cannot answer. */
  handlerOf({ method, route }: spec.Endpoint<never, unknown>): Handler | undefined {
    return this.#handlers.get(`${method} ${route}`);
  }

  on<Request extends object, Response>(
    { method, route }: spec.Endpoint<Request, Response>,
    handler: (request: Request) => Promise<Response>,
  ): void {
    this.#handlers.set(`${method} ${route}`, handler as Handler);
  }

  /** For calls that answer with an empty message. */
  onWrite<Request extends object>(
    endpoint: spec.Endpoint<Request, spec.Empty>,
    handler: (request: Request) => Promise<void>,
  ): void {
    this.on(endpoint, async (request) => {
      await handler(request);
      return {};
    });
  }
}
