// The two directions of one request that was let in: sent on, answered, and settled exactly once.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Dispatcher } from "undici";
import type { GovernanceRefusal } from "../governance/errors.js";
import type { Pending } from "../governance/governor.js";
import { readReply } from "../instrumentation/wire/reply.js";
import type { Transfer } from "../instrumentation/wire/request.js";
import { sendError } from "./answer.js";
import { headerIn, replyHeaders } from "./headers.js";
import { GONE, PassingBody } from "./passing-body.js";
import type { Admitted, ExchangeRecord, Operative, Room } from "./room.js";
import { type Asker, isReset, reasonOfNoAnswer, type UpstreamRequest } from "./upstream.js";

/** Answers of more bytes are not read for what they teach. */
const TEACHING_BYTES_MAX = 32 * 2 ** 20;
/** Bytes of an answer that go with its headers in one piece; copying more would cost more than it saves. */
const ONE_PIECE_MAX = 64 * 1024;
const NO_BYTES = Buffer.alloc(0);

/** Ends an answer; as text, of one byte a letter, a small one is one write together with its headers. */
function endWith(response: ServerResponse, body: Buffer): void {
  if (body.length === 0) response.end();
  else if (body.length > ONE_PIECE_MAX) response.end(body);
  else response.end(body.toString("latin1"), "latin1");
}

function joined(chunks: readonly Buffer[], size: number): Buffer {
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size);
}

export class Flow implements Dispatcher.DispatchHandlers {
  readonly #room: Room;
  readonly #record: ExchangeRecord;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #admitted: Admitted | undefined;
  readonly #asker: Asker;
  readonly #readsReply: boolean;
  readonly #refuse: (error: GovernanceRefusal) => void;
  readonly #done: () => void;
  #sent: UpstreamRequest | undefined;
  #abort: ((error?: Error) => void) | undefined;
  #isSent = false;
  #isGone = false;
  #isSettled = false;
  #isCut = false;
  #isOver = false;
  #wasRepeated = false;
  /** Of the server's answer; 0 before it began. */
  #status = 0;
  #statusText = "";
  #headers: string[] = [];
  readonly #chunks: Buffer[] = [];
  #size = 0;
  /** Is the answer kept until it is whole? */
  #isRead = false;
  /** Is it sent when it is whole and booked, in one piece? */
  #isSmall = false;

  /** `refuse` answers the caller in place of the server; `done` is called when nothing more will come. */
  constructor(
    room: Room,
    record: ExchangeRecord,
    request: IncomingMessage,
    response: ServerResponse,
    admitted: Admitted | undefined,
    asker: Asker,
    readsReply: boolean,
    refuse: (error: GovernanceRefusal) => void,
    done: () => void,
  ) {
    this.#room = room;
    this.#record = record;
    this.#request = request;
    this.#response = response;
    this.#admitted = admitted;
    this.#asker = asker;
    this.#readsReply = readsReply;
    this.#refuse = refuse;
    this.#done = done;
  }

  start(request: UpstreamRequest): void {
    this.#sent = request;
    const left = () => {
      if (this.#response.writableFinished || this.#isCut) return;
      this.#isGone = true;
      // What the server has whole is done there, whoever waits for the answer.
      if (!this.#isSent) this.#abort?.(new Error(GONE));
    };
    // Somebody may have gone while it was found out who pays.
    if (this.#response.destroyed) left();
    else this.#response.once("close", left);
    this.#room.upstream.send(request, this);
  }

  /** The body as it comes. Bytes that nobody has declared are held on budgets while they go by. */
  passing(counts: boolean): PassingBody {
    const pending = this.#admitted?.pending;
    const isCounted = counts && pending?.operation.upload !== undefined;
    return new PassingBody(this.#request, isCounted ? this.#counting(pending) : undefined);
  }

  #counting(pending: Pending): (chunk: Buffer) => boolean {
    const { governor } = this.#room;
    let total = 0;
    return (chunk) => {
      total += chunk.length;
      let refused: GovernanceRefusal | undefined;
      try {
        refused = governor.grow(pending, total);
      } catch (error) {
        governor.contain(error);
      }
      if (refused === undefined) return true;
      // Without its last chunk the server throws away what it has, and keeps an older file of that name.
      this.#isCut = true;
      this.#isSettled = true;
      this.#abort?.();
      this.#refuse(refused);
      this.#done();
      return false;
    };
  }

  // ── told by the connection to the server ───────────────────────────────────────────────────────

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort;
    if (this.#isGone || this.#isCut) abort(new Error(GONE));
  }

  onRequestSent(): void {
    this.#isSent = true;
  }

  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void, statusText: string): boolean {
    // What comes before the answer is for the connection alone.
    if (status < 200 || this.#isCut) return true;
    this.#status = status;
    this.#statusText = statusText;
    const raw = rawHeaders.map((text) => text.toString("latin1"));
    const response = this.#response;
    const isOpen = !response.headersSent && !response.destroyed;
    const length = Number(headerIn(raw, "content-length") ?? Number.NaN);
    this.#isSmall = isOpen && length <= ONE_PIECE_MAX && this.#request.method !== "HEAD";
    this.#isRead = this.#isSmall || this.#readsReply || status !== 200;
    this.#headers = replyHeaders(raw);
    if (isOpen && !this.#isSmall) {
      response.writeHead(status, statusText, this.#headers);
      response.on("drain", resume);
      response.once("close", resume);
    }
    if (!this.#request.complete) this.#request.resume();
    return true;
  }

  onData(chunk: Buffer): boolean {
    if (this.#isCut) return true;
    this.#record.responseBytes = (this.#record.responseBytes ?? 0) + chunk.length;
    if (this.#isRead && this.#size <= TEACHING_BYTES_MAX) {
      this.#size += chunk.length;
      this.#chunks.push(chunk);
    }
    return this.#isSmall || this.#response.destroyed || this.#response.write(chunk);
  }

  onComplete(): void {
    this.#end(true);
  }

  onError(error: Error): void {
    if (this.#isCut) return;
    if (this.#status > 0) this.#end(false);
    else if (this.#mayRepeat(error)) {
      this.#wasRepeated = true;
      this.#room.upstream.send(this.#sent as UpstreamRequest, this, true);
    } else this.#broken(error);
  }

  /** A kept connection may be closed just as it is used; what changes nothing is sent again then, once. */
  #mayRepeat(error: Error): boolean {
    const { method, body } = this.#sent ?? {};
    const changesNothing = body === undefined && (method === "GET" || method === "HEAD");
    return changesNothing && isReset(error) && !this.#wasRepeated && !this.#isGone;
  }

  // ── what became of it ──────────────────────────────────────────────────────────────────────────

  #broken(error: Error): void {
    this.#settle(() => this.#fail(error));
    const { upstream, idleTimeoutMs } = this.#room;
    if (!this.#isGone && error.message !== GONE) {
      if (!this.#request.complete) this.#response.shouldKeepAlive = false;
      sendError(this.#response, {
        status: 502,
        errorCode: "TEMPORARILY_UNAVAILABLE",
        message: `genops: the MLflow server at ${upstream.url.host} gave no answer: ${reasonOfNoAnswer(error, idleTimeoutMs)}`,
      });
    }
    this.#done();
  }

  #fail(error: unknown): void {
    const pending = this.#admitted?.pending;
    if (pending !== undefined) this.#room.governor.fail(pending, error);
  }

  /** Whatever goes wrong in the books, the answer goes its way. */
  #settle(how: () => void): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    try {
      how();
    } catch (error) {
      this.#room.governor.contain(error);
    }
  }

  /** What was sent is what was done: only the last bytes of an answer wait for the books. */
  #end(isWhole: boolean): void {
    if (this.#isOver || this.#isCut) return;
    this.#isOver = true;
    const response = this.#response;
    const body = this.#size <= TEACHING_BYTES_MAX ? joined(this.#chunks, this.#size) : undefined;
    this.#settle(() => this.#settleBy(isWhole ? body : undefined));
    if (this.#isSmall && !response.destroyed) {
      response.writeHead(this.#status, this.#statusText, this.#headers);
      if (isWhole) endWith(response, body ?? NO_BYTES);
      else {
        // As much as came, and then the end that the server made.
        response.flushHeaders();
        if (body !== undefined && body.length > 0) response.write(body);
        setImmediate(() => response.destroy());
      }
    } else if (isWhole) response.end();
    else response.destroy();
    this.#done();
  }

  #settleBy(body: Uint8Array | undefined): void {
    const { governor, transfers, payers } = this.#room;
    const { reading, pending } = this.#admitted ?? {};
    if (reading === undefined || pending === undefined) return;
    const { call, transfer } = reading;
    const status = this.#status;
    if (transfer !== undefined) {
      this.#settleTransfer(transfer, body, reading, pending);
      return;
    }
    const result = readReply(governor, pending.operation, call, { status, body });
    if (result.kind === "succeeded") governor.succeed(pending, result.outcome);
    else if (status === 200) governor.succeed(pending, {});
    else governor.fail(pending, result.error);
    if (status === 200) this.#record.cost = governor.engine.lastCost();
    const { startedRun, endedRun } = result.kind === "succeeded" ? result.outcome : {};
    transfers.endedRun(endedRun?.runId);
    const madeRun = startedRun?.runId ?? (pending.operation.claimsRun && pending.operation.runId);
    if (result.kind === "succeeded" && madeRun) payers.made(madeRun, this.#admitted?.identity);
    if (startedRun !== undefined && pending.operation.name === "create_promptlab_run") {
      void payers.mark(startedRun, pending.attributes, this.#asker);
    }
  }

  #settleTransfer(
    transfer: Transfer,
    body: Uint8Array | undefined,
    { operation, call }: Operative,
    pending: Pending,
  ): void {
    const { governor, transfers } = this.#room;
    const answer = { status: this.#status, body };
    const result = readReply(governor, operation, call, answer, transfer);
    const asker = this.#asker;
    if (transfer.step === "abort") governor.cancel(pending);
    else if (result.kind === "failed") governor.fail(pending, result.error);
    else if (transfer.step === "create" && result.transferKey !== undefined) {
      transfers.keep(result.transferKey, pending);
    } else if (transfer.step === "presign") {
      transfers.watch(pending, transfer, asker);
    } else transfers.settle(pending, transfer, asker);
  }
}
