// One governed request: read, decided, sent on, and settled by what the server answers.
import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import { type Transform, Transform as TransformStream } from "node:stream";
import type { GovernanceAttributes } from "../governance/attribution.js";
import type { Decision } from "../governance/decision.js";
import type { GovernanceRefusal } from "../governance/errors.js";
import type { Governor, Pending } from "../governance/governor.js";
import type { Operation } from "../governance/operation.js";
import { tagsOf } from "../instrumentation/mlflow-calls.js";
import { answerTo, answerToDoubt, type RefusalAnswer } from "../instrumentation/wire/refusal.js";
import { readReply, wantsReply } from "../instrumentation/wire/reply.js";
import {
  readRequest,
  type Transfer,
  type WireCall,
  type WireReading,
  wantsBody,
} from "../instrumentation/wire/request.js";
import { spliceTags } from "../instrumentation/wire/splice.js";
import { type OwnAnswer, sendError, sendText } from "./answer.js";
import { type IdentifiedCaller, isAdministration, NO_ADMINISTRATION } from "./callers.js";
import { replyHeaders, requestHeaders } from "./headers.js";
import { forgedTag, isForeign, type Payers, payerOfNewRun, UntoldPayerError } from "./payers.js";
import type { Transfers } from "./transfers.js";
import {
  type Asker,
  collect,
  endedAtRest,
  reasonOf,
  type Upstream,
  WORKSPACE_HEADER,
} from "./upstream.js";

/** What an exchange works with; the same for all until the gateway is configured anew. */
export interface Room {
  readonly governor: Governor;
  readonly upstream: Upstream;
  readonly payers: Payers;
  readonly transfers: Transfers;
  readonly isSecure: boolean;
  /** Are callers told apart by credentials, so that a run can be somebody else's? */
  readonly tellsApart: boolean;
  readonly bodyBytesMax: number;
  readonly idleTimeoutMs: number;
  readonly staticPrefix: string;
  readonly storeUri: string;
}

/** How an exchange went, for the access log. */
export interface ExchangeRecord {
  operation?: string;
  attributes?: GovernanceAttributes;
  /** Atto-USD. */
  cost?: bigint;
  decision?: string;
  reasonCode?: string;
  responseBytes?: number;
}

/** Answers of more bytes are not read for what they teach. */
const TEACHING_BYTES_MAX = 32 * 2 ** 20;
const NO_BYTES = new Uint8Array();
const GONE = "The caller went away before the request was whole.";

type Operative = Extract<WireReading, { readonly kind: "operation" }>;

/** A call that was let in. */
interface Admitted {
  readonly reading: Operative;
  readonly pending: Pending | undefined;
  readonly body: Uint8Array | undefined;
}

export class Exchange {
  readonly #record: ExchangeRecord;
  readonly #room: Room;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #caller: IdentifiedCaller;
  readonly #target: string;
  readonly #expectsContinue: boolean;
  readonly #asker: Asker;

  constructor(
    room: Room,
    request: IncomingMessage,
    response: ServerResponse,
    caller: IdentifiedCaller,
    target: string,
    record: ExchangeRecord,
    expectsContinue: boolean,
  ) {
    this.#record = record;
    this.#room = room;
    this.#request = request;
    this.#response = response;
    this.#caller = caller;
    this.#target = target;
    this.#expectsContinue = expectsContinue;
    this.#asker = {
      authorization: caller.hidesAuthorization ? undefined : request.headers.authorization,
      workspaces: request.headersDistinct[WORKSPACE_HEADER] ?? [],
    };
  }

  /** Rejects only for what nobody expected; the connection is then closed. */
  async run(): Promise<void> {
    const { governor, staticPrefix, bodyBytesMax } = this.#room;
    const method = this.#request.method ?? "GET";
    let body: Uint8Array | undefined;
    if (wantsBody(method, this.#target, governor, { staticPrefix })) {
      const declared = Number(this.#request.headers["content-length"] ?? 0);
      if (declared > bodyBytesMax) return this.#tooLarge();
      this.#continue();
      try {
        body = await collect(this.#request, bodyBytesMax);
      } catch (error) {
        if (error instanceof RangeError) return this.#tooLarge();
        this.#response.destroy();
        return;
      }
    }
    const reading = this.#read(method, body);
    if (reading.kind === "refused") {
      this.#record.decision = "REFUSED";
      this.#refuse(answerToDoubt(reading.message));
      return;
    }
    if (reading.kind === "foreign") {
      await this.#forward(undefined, body);
      return;
    }
    const admitted = await this.#admit(reading, body);
    if (admitted !== undefined) await this.#forward(admitted, admitted.body);
  }

  #read(method: string, body: Uint8Array | undefined): WireReading {
    const { governor, staticPrefix, storeUri } = this.#room;
    const { headers } = this.#request;
    const length = headers["content-length"];
    const experimentId = headers["x-mlflow-experiment-id"];
    return readRequest(
      {
        method,
        target: this.#target,
        contentEncoding: headers["content-encoding"],
        contentLength: length === undefined ? undefined : Number(length),
        experimentId: typeof experimentId === "string" ? experimentId : undefined,
        body,
      },
      governor,
      { staticPrefix, storeUri },
    );
  }

  #tooLarge(): void {
    this.#record.decision = "REFUSED";
    this.#refuse({
      status: 413,
      errorCode: "INVALID_PARAMETER_VALUE",
      message: `genops: the request has more than ${this.#room.bodyBytesMax} bytes; send less at a time, or raise limits.bodyBytes of the gateway`,
    });
  }

  /** Answers instead of the server. What the caller still sends is not read: the connection ends. */
  #refuse(answer: RefusalAnswer | OwnAnswer): void {
    if (!this.#request.complete) this.#response.shouldKeepAlive = false;
    if ("body" in answer) sendText(this.#response, answer.status, answer.headers, answer.body);
    else sendError(this.#response, answer);
  }

  #refuseWith(error: GovernanceRefusal): void {
    this.#record.decision =
      "code" in error && error.code === "RATE_LIMITED" ? "RATE_LIMITED" : "BLOCKED";
    this.#record.reasonCode = error.reasonCode;
    this.#refuse(answerTo(error));
  }

  #continue(): void {
    if (this.#expectsContinue && !this.#response.headersSent) this.#response.writeContinue();
  }

  // ── decision ───────────────────────────────────────────────────────────────────────────────────

  async #admit(reading: Operative, body: Uint8Array | undefined): Promise<Admitted | undefined> {
    const { governor } = this.#room;
    const { operation } = reading;
    this.#record.operation = operation.name;
    const entry = governor.engine.operations[governor.engine.operation(operation.name)];
    if (
      entry !== undefined &&
      isAdministration(entry) &&
      !this.#caller.isAdmin &&
      !isOwnUser(reading.call)
    ) {
      const decision: Decision = {
        result: "BLOCKED",
        policy: "administration",
        reasonCode: "x_caller_refused",
        reason: NO_ADMINISTRATION,
        field: operation.name,
      };
      this.#refuseWith(governor.refuse(operation, this.#caller.attributes, decision));
      return undefined;
    }
    try {
      return await this.#decide(
        reading,
        body,
        entry?.counted === true || operation.name === "update_run",
      );
    } catch (error) {
      // A fault of ours stops nobody's training.
      governor.contain(error);
      return { reading, pending: undefined, body };
    }
  }

  async #decide(
    reading: Operative,
    body: Uint8Array | undefined,
    changes: boolean,
  ): Promise<Admitted | undefined> {
    const { governor, transfers } = this.#room;
    const { transfer, call } = reading;
    const forged = changes ? this.#forged(reading.operation, call) : undefined;
    if (forged !== undefined) {
      this.#refuseBy(reading.operation, "genops-tags", "x_reserved_tag", forged);
      return undefined;
    }
    if (transfer?.step === "complete" || transfer?.step === "abort") {
      const pending = transfers.kept(transfer.key ?? "");
      if (pending !== undefined) {
        if (this.#room.tellsApart && isForeign(pending.attributes, this.#caller)) {
          this.#refuseForeign(reading.operation);
          return undefined;
        }
        transfers.take(transfer.key ?? "");
        return { reading, pending, body };
      }
    }
    let attributes = this.#caller.attributes;
    let sent = body;
    let claimsRun = false;
    if (reading.operation.name === "create_run") {
      attributes = payerOfNewRun(tagsOf(call.body.tags), this.#caller);
      const experimentId =
        typeof call.body.experiment_id === "string" ? call.body.experiment_id : "0";
      const tags = this.#room.payers.tagsOf(attributes, experimentId);
      if (tags.length > 0 && body !== undefined) sent = spliceTags(body, tags);
    } else if (changes && reading.operation.runId !== undefined) {
      const payer = await this.#payerOf(reading.operation.runId);
      if (payer === "untold") return undefined;
      if (payer !== undefined) {
        if (this.#room.tellsApart && isForeign(payer, this.#caller)) {
          this.#refuseForeign(reading.operation);
          return undefined;
        }
        attributes = payer;
      } else {
        // Whoever tries to write it, and may not, must not have it.
        claimsRun = reading.operation.name !== "update_run";
      }
    }
    // To give up costs nothing, and frees what the store keeps.
    if (transfer?.step === "abort") return { reading, pending: undefined, body };
    const informed = await this.#informed(reading.operation);
    const operation = claimsRun ? { ...informed, claimsRun } : informed;
    const begun = governor.begin(operation, attributes);
    this.#record.attributes = attributes;
    if (begun instanceof Error) {
      if (operation.details?.status === "FINISHED" && operation.runId !== undefined) {
        await this.#endAsFailed(operation.runId, begun);
      }
      this.#refuseWith(begun);
      return undefined;
    }
    this.#record.decision =
      begun.decisions.find(({ result }) => result === "WARNING")?.result ?? "ALLOWED";
    return { reading: { ...reading, operation }, pending: begun, body: sent };
  }

  /** Who pays for a run; `untold` when it matters and the server does not say, which is the answer then. */
  async #payerOf(runId: string): Promise<GovernanceAttributes | "untold" | undefined> {
    try {
      return await this.#room.payers.payerOf(runId, this.#asker);
    } catch (error) {
      if (!(error instanceof UntoldPayerError)) throw error;
      // Where nobody is told apart, whoever writes may go on, as the server lets him.
      if (!this.#room.tellsApart) return undefined;
      this.#record.decision = "REFUSED";
      const message = `genops: ${error.message}`;
      this.#refuse({ status: 502, errorCode: "TEMPORARILY_UNAVAILABLE", message });
      return "untold";
    }
  }

  /** The tag among those that a request sets, or takes away, that is not its caller's to set. */
  #forged({ name }: Operation, { body }: WireCall): string | undefined {
    const single = name === "set_tag" || name === "delete_tag";
    const tags = single ? tagsOf([{ value: "", ...body }]) : tagsOf(body.tags);
    const runTags = ["create_run", "create_promptlab_run", "log_batch", "set_tag", "delete_tag"];
    return runTags.includes(name) ? forgedTag(tags, this.#caller) : undefined;
  }

  #refuseForeign(operation: Operation): void {
    const subject = operation.runId ?? operation.upload?.artifactUri ?? "";
    this.#refuseBy(operation, "foreign-run", "x_foreign_run", subject);
  }

  #refuseBy(operation: Operation, policy: string, reasonCode: string, subject: string): void {
    const reason =
      reasonCode === "x_foreign_run"
        ? `the run ${subject} is paid for by somebody else; log to a run of your own, or set allowForeignRuns: true in the gateway's configuration`
        : `the tag ${subject} is set by the gateway alone; leave it out, as it knows who is calling by what the configuration trusts`;
    const decision: Decision = { result: "BLOCKED", policy, reasonCode, reason, field: subject };
    this.#refuseWith(this.#room.governor.refuse(operation, this.#caller.attributes, decision));
  }

  /** What policies must know, and does not pass by, is asked of the server. */
  async #informed(operation: Operation): Promise<Operation> {
    const { governor, payers } = this.#room;
    const unknown = governor.unknownTo(operation);
    const { runId, modelName = "", modelVersion = "" } = operation;
    if (unknown === "run" && runId !== undefined) {
      const run = await payers.run(runId, this.#asker);
      if (run !== undefined) governor.learnRun(run);
    }
    if (unknown !== "modelVersion") return operation;
    const currentStage = await payers.stageOf(modelName, modelVersion, this.#asker);
    return { ...operation, details: { ...operation.details, currentStage } };
  }

  /** A run that may not end as FINISHED ends as FAILED, with the reason as tags; past all that governs, and unbilled. */
  async #endAsFailed(runId: string, refusal: GovernanceRefusal): Promise<void> {
    const { governor, upstream } = this.#room;
    const tags = [
      { key: "genops.policy.result", value: "BLOCKED" },
      { key: "genops.policy.reason_code", value: refusal.reasonCode },
      { key: "genops.policy.name", value: refusal.policy },
      { key: "genops.policy.reason", value: refusal.message.slice(0, 5000) },
    ];
    const root = "/api/2.0/mlflow/runs";
    const end = { run_id: runId, status: "FAILED", end_time: Date.now() };
    try {
      await upstream.ask("POST", `${root}/log-batch`, this.#asker, { run_id: runId, tags });
      const { status } = await upstream.ask("POST", `${root}/update`, this.#asker, end);
      if (status !== 200) return;
      governor.noteFailure(runId, refusal);
      const operation: Operation = { name: "update_run", runId, items: 1 };
      const begun = governor.begin(operation, this.#caller.attributes);
      if (!(begun instanceof Error)) {
        governor.succeed(begun, { endedRun: { runId, status: "FAILED" } });
      }
    } catch (error) {
      governor.contain(error);
    }
  }

  // ── on its way ─────────────────────────────────────────────────────────────────────────────────

  #forward(admitted: Admitted | undefined, body: Uint8Array | undefined): Promise<void> {
    const { upstream, isSecure, idleTimeoutMs } = this.#room;
    const request = this.#request;
    const declared = request.headers["content-length"];
    const hasBody = body !== undefined || declared !== undefined || isChunked(request);
    const readsReply =
      admitted?.pending !== undefined &&
      wantsReply(admitted.reading.operation, admitted.reading.transfer);
    const contentLength =
      body === undefined ? (declared === undefined ? undefined : Number(declared)) : body.length;
    const headers = requestHeaders(request, {
      upstream: upstream.url,
      isSecure,
      hidesAuthorization: this.#caller.hidesAuthorization,
      contentLength,
      hasBody,
      readsReply,
    });
    const begin = (isFresh: boolean) => {
      const outgoing = upstream.send(request.method ?? "GET", this.#target, headers, isFresh);
      outgoing.setTimeout(idleTimeoutMs, () =>
        outgoing.destroy(new Error(`the MLflow server was silent for ${idleTimeoutMs} ms`)),
      );
      return outgoing;
    };
    const outgoing = begin(false);
    const isRead = !hasBody && (request.method === "GET" || request.method === "HEAD");
    return new Promise((resolve) => {
      const flow = new Flow(
        this.#room,
        this.#record,
        request,
        this.#response,
        outgoing,
        isRead ? begin : undefined,
        admitted,
        this.#asker,
        resolve,
      );
      flow.start(readsReply);
      if (body !== undefined) endWith(outgoing, body);
      else if (!hasBody) outgoing.end();
      else {
        this.#continue();
        flow.stream((answer) => this.#refuseWith(answer), declared === undefined);
      }
    });
  }
}

/** Who somebody is, and what that one may do, MLflow's page asks for everybody. */
function isOwnUser({ method, route }: WireCall): boolean {
  return method === "GET" && /\/mlflow\/users\/current(\/permissions)?$/.test(route);
}

/** Bytes of a body that go with their headers in one piece; copying more would cost more than it saves. */
const ONE_PIECE_MAX = 64 * 1024;

/** Ends a message; as text, of one byte a letter, a small body is one write together with its headers. */
function endWith(message: ClientRequest | ServerResponse, body: Uint8Array): void {
  if (body.length === 0) message.end();
  else if (body.length > ONE_PIECE_MAX) message.end(body);
  else
    message.end(
      Buffer.from(body.buffer, body.byteOffset, body.length).toString("latin1"),
      "latin1",
    );
}

function joined(chunks: readonly Buffer[], size: number): Buffer {
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size);
}

function isChunked({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined;
}

/** The two directions of one request, once it was let in; it is settled exactly once. */
class Flow {
  readonly #room: Room;
  readonly #record: ExchangeRecord;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #outgoing: ClientRequest;
  /** Sends what only reads once more; undefined when it was, or must not be. */
  #again: ((isFresh: boolean) => ClientRequest) | undefined;
  readonly #admitted: Admitted | undefined;
  readonly #asker: Asker;
  readonly #done: () => void;
  #isSent = false;
  #isSettled = false;
  #isCut = false;
  /** Has the server begun to answer? How that ends is told by its answer then. */
  #isAnswered = false;

  constructor(
    room: Room,
    record: ExchangeRecord,
    request: IncomingMessage,
    response: ServerResponse,
    outgoing: ClientRequest,
    again: ((isFresh: boolean) => ClientRequest) | undefined,
    admitted: Admitted | undefined,
    asker: Asker,
    done: () => void,
  ) {
    this.#room = room;
    this.#record = record;
    this.#request = request;
    this.#response = response;
    this.#outgoing = outgoing;
    this.#again = again;
    this.#asker = asker;
    this.#admitted = admitted;
    this.#done = done;
  }

  start(readsReply: boolean): void {
    const [outgoing, response] = [this.#outgoing, this.#response];
    outgoing.once("finish", () => {
      this.#isSent = true;
    });
    outgoing.on("error", (error) => this.#broken(error, readsReply));
    outgoing.once("response", (reply) => this.#reply(reply, readsReply));
    // An upgrade that nobody asked for is no answer.
    outgoing.once("upgrade", (_reply, socket) => socket.destroy());
    const left = () => {
      if (response.writableFinished || this.#isCut) return;
      // What the server has whole is done there, whoever waits for the answer.
      if (!this.#isSent) outgoing.destroy(new Error(GONE));
    };
    // Somebody may have gone while it was found out who pays.
    if (response.destroyed) left();
    else response.once("close", left);
  }

  /** Sends the body on as it comes. Bytes that nobody has declared are held on budgets while they go by. */
  stream(refuse: (error: GovernanceRefusal) => void, counts: boolean): void {
    const [request, outgoing] = [this.#request, this.#outgoing];
    const pending = this.#admitted?.pending;
    request.once("aborted", () => {
      if (!this.#isSent) outgoing.destroy(new Error(GONE));
    });
    if (!counts || pending?.operation.upload === undefined) {
      request.pipe(outgoing);
      return;
    }
    const counter = this.#counting(pending, refuse);
    counter.once("error", () => outgoing.destroy());
    request.pipe(counter).pipe(outgoing);
  }

  #counting(pending: Pending, refuse: (error: GovernanceRefusal) => void): Transform {
    const { governor } = this.#room;
    let total = 0;
    return new TransformStream({
      transform: (chunk: Buffer, _encoding, next) => {
        total += chunk.length;
        let refused: GovernanceRefusal | undefined;
        try {
          refused = governor.grow(pending, total);
        } catch (error) {
          governor.contain(error);
        }
        if (refused === undefined) {
          next(null, chunk);
          return;
        }
        // Without its last chunk the server throws away what it has, and keeps an older file of that name.
        this.#isCut = true;
        this.#isSettled = true;
        this.#outgoing.destroy();
        this.#request.unpipe();
        refuse(refused);
        this.#request.resume();
        this.#done();
      },
    });
  }

  #broken(error: Error, readsReply: boolean): void {
    if (this.#isCut || this.#isAnswered) return;
    if (this.#again !== undefined && endedAtRest(this.#outgoing, error)) {
      this.#outgoing = this.#again(true);
      this.#again = undefined;
      this.start(readsReply);
      this.#outgoing.end();
      return;
    }
    this.#settle(() => this.#fail(error));
    const { upstream } = this.#room;
    if (error.message !== GONE) {
      if (!this.#request.complete) this.#response.shouldKeepAlive = false;
      sendError(this.#response, {
        status: 502,
        errorCode: "TEMPORARILY_UNAVAILABLE",
        message: `genops: the MLflow server at ${upstream.url.host} gave no answer: ${reasonOf(error)}`,
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

  #reply(reply: IncomingMessage, reads: boolean): void {
    if (this.#isCut) {
      reply.destroy();
      return;
    }
    this.#isAnswered = true;
    const response = this.#response;
    const status = reply.statusCode ?? 502;
    const teaches = reads && status === 200;
    const chunks: Buffer[] = [];
    let size = 0;
    const isOpen = !response.headersSent && !response.destroyed;
    const length = Number(reply.headers["content-length"] ?? Number.NaN);
    // A small answer is sent when it is whole and booked, in one piece.
    const isSmall = isOpen && length <= ONE_PIECE_MAX && this.#request.method !== "HEAD";
    const isRead = isSmall || teaches || status !== 200;
    // What was sent is what was done: only the last bytes of an answer wait for the books.
    const headers = replyHeaders(reply);
    if (isOpen && !isSmall) response.writeHead(status, reply.statusMessage, headers);
    if (!this.#request.complete) this.#request.resume();
    reply.on("data", (chunk: Buffer) => {
      this.#record.responseBytes = (this.#record.responseBytes ?? 0) + chunk.length;
      if (isRead && size <= TEACHING_BYTES_MAX) {
        size += chunk.length;
        chunks.push(chunk);
      }
      if (!isSmall && !response.destroyed && !response.write(chunk)) {
        reply.pause();
        response.once("drain", () => reply.resume());
      }
    });
    response.once("close", () => reply.resume());
    let isOver = false;
    const end = (isWhole: boolean) => {
      if (isOver) return;
      isOver = true;
      const body = size <= TEACHING_BYTES_MAX ? joined(chunks, size) : undefined;
      this.#settle(() => this.#settleBy(status, isWhole ? body : undefined));
      if (isSmall && !response.destroyed) {
        response.writeHead(status, reply.statusMessage, headers);
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
    };
    reply.once("end", () => end(true));
    reply.once("aborted", () => end(false));
    reply.once("error", () => end(false));
    reply.once("close", () => end(reply.complete));
  }

  #settleBy(status: number, body: Uint8Array | undefined): void {
    const { governor, transfers } = this.#room;
    const { reading, pending } = this.#admitted ?? {};
    if (reading === undefined || pending === undefined) return;
    const { call, transfer } = reading;
    if (transfer !== undefined) {
      this.#settleTransfer(transfer, status, body, reading, pending);
      return;
    }
    const result = readReply(governor, pending.operation, call, { status, body });
    if (result.kind === "succeeded") governor.succeed(pending, result.outcome);
    else if (status === 200) governor.succeed(pending, {});
    else governor.fail(pending, result.error);
    if (status === 200) this.#record.cost = governor.engine.lastCost();
    transfers.endedRun(result.kind === "succeeded" ? result.outcome.endedRun?.runId : undefined);
  }

  #settleTransfer(
    transfer: Transfer,
    status: number,
    body: Uint8Array | undefined,
    { operation, call }: Operative,
    pending: Pending,
  ): void {
    const { governor, transfers } = this.#room;
    const result = readReply(governor, operation, call, { status, body }, transfer);
    const asker = this.#asker;
    if (transfer.step === "abort") governor.cancel(pending);
    else if (result.kind === "failed") governor.fail(pending, result.error);
    else if (transfer.step === "create" && result.transferKey !== undefined) {
      transfers.keep(result.transferKey, pending);
    } else if (transfer.step === "presign") {
      transfers.watch(pending, transfer.path, asker);
    } else transfers.settle(pending, transfer.path, asker);
  }
}
