// Answers that the gateway gives by itself, in the form that MLflow's clients show.
import type { ServerResponse } from "node:http";

export interface OwnAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly errorCode: string;
  readonly message: string;
}

export function errorBody({
  errorCode,
  message,
}: Pick<OwnAnswer, "errorCode" | "message">): string {
  return JSON.stringify({ error_code: errorCode, message });
}

/** Sends a text, unless an answer has begun; then the connection ends, so that nobody takes half for the whole. */
export function sendText(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  text: string,
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const length = String(Buffer.byteLength(text));
  // Set for itself, so that the access log finds it.
  response.setHeader("content-length", length);
  response.writeHead(status, headers).end(text);
}

export function sendError(response: ServerResponse, answer: OwnAnswer): void {
  const headers = { "content-type": "application/json", ...answer.headers };
  sendText(response, answer.status, headers, errorBody(answer));
}
