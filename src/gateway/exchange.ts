// One request: read, decided upon, and refused or handed to its flow.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Decision } from "../governance/decision.js";
import type { GovernanceRefusal } from "../governance/errors.js";
import type { Operation } from "../governance/operation.js";
import { hasCode } from "../governance/runs.js";
import { tagsOf } from "../instrumentation/mlflow-calls.js";
import { answerTo, answerToDoubt, type RefusalAnswer } from "../instrumentation/wire/refusal.js";
import { wantsReply } from "../instrumentation/wire/reply.js";
import {
  readRequest,
  type WireCall,
  type WireReading,
  wantsBody,
} from "../instrumentation/wire/request.js";
import { spliceTags } from "../instrumentation/wire/splice.js";
import { type OwnAnswer, sendError, sendText } from "./answer.js";
import { type IdentifiedCaller, isAdministration, NO_ADMINISTRATION } from "./callers.js";
import { Flow } from "./flow.js";
import { requestHeaders } from "./headers.js";
import { isDetour, Ownership } from "./ownership.js";
import { forgedTag, payerOfNewRun, type RunPayer, UntoldPayerError } from "./payers.js";
import type { Admitted, ExchangeRecord, Operative, Room } from "./room.js";
import { type Asker, collect, WORKSPACE_HEADER } from "./upstream.js";

const NO_WORKSPACES: readonly string[] = [];
/** Longer than any that MLflow keeps, and than the ledger does: see `nameBytes` of the engine. */
const NAME_TOO_LONG =
  "it names a run, an experiment or a model by more than 4096 bytes, which MLflow keeps of none; write the name that it has";
/** Operations whose tags become a run's. */
const RUN_TAGGING: readonly string[] = [
  "create_run",
  "create_promptlab_run",
  "log_batch",
  "set_tag",
  "delete_tag",
];

export class Exchange {
  readonly #record: ExchangeRecord;
  readonly #room: Room;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #caller: IdentifiedCaller;
  readonly #target: string;
  readonly #expectsContinue: boolean;
  readonly #asker: Asker;
  readonly #own: Ownership;

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
    this.#own = new Ownership(room, caller);
    const { headers } = request;
    this.#asker = {
      authorization: caller.hidesAuthorization ? undefined : headers.authorization,
      // Asked for only when it is there: to tell all headers apart costs what a decision does.
      workspaces:
        headers[WORKSPACE_HEADER] === undefined
          ? NO_WORKSPACES
          : (request.headersDistinct[WORKSPACE_HEADER] ?? NO_WORKSPACES),
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
      if (hasCode(error, "INVALID_NAME")) {
        this.#record.decision = "REFUSED";
        this.#refuse(answerToDoubt(NAME_TOO_LONG));
        return undefined;
      }
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
      const reason = `the tag ${forged} is set by the gateway alone; leave it out, as it knows who is calling by what the configuration trusts`;
      this.#refuseBy(reading.operation, "genops-tags", "x_reserved_tag", forged, reason);
      return undefined;
    }
    if (changes && isDetour(reading) && (await this.#isOthers(reading))) return undefined;
    if (transfer?.step === "complete" || transfer?.step === "abort") {
      const pending = transfers.kept(transfer.key ?? "");
      if (pending !== undefined) {
        if (this.#own.isForeign(pending.attributes, pending.operation.runId)) {
          this.#refuseForeign(reading.operation);
          return undefined;
        }
        transfers.release(transfer.key ?? "");
        return { reading, pending, body };
      }
    }
    let attributes = this.#caller.attributes;
    let sent = body;
    let { operation } = reading;
    const isNewRun = operation.name === "create_run" || operation.name === "create_promptlab_run";
    if (isNewRun) attributes = payerOfNewRun(tagsOf(call.body.tags), this.#caller);
    // MLflow's page has a route of its own, which fails with tags; the run that it makes is told afterwards.
    if (operation.name === "create_run") {
      const experimentId =
        typeof call.body.experiment_id === "string" ? call.body.experiment_id : "0";
      const tags = this.#room.payers.tagsOf(attributes, experimentId);
      if (tags.length > 0 && body !== undefined) sent = spliceTags(body, tags);
    } else if (changes && operation.runId !== undefined) {
      const payer = await this.#payerOf(operation.runId);
      if (payer === "untold") return undefined;
      if (payer === "nobody" || payer === "hidden") operation = this.#own.unowned(operation, payer);
      else if (this.#own.isForeign(payer, operation.runId)) {
        this.#refuseForeign(operation);
        return undefined;
      } else attributes = payer;
    }
    // To give up costs nothing, and frees what the store keeps.
    if (transfer?.step === "abort") return { reading, pending: undefined, body };
    operation = this.#own.withoutOthers(await this.#informed(operation), changes);
    // From here on nothing is waited for: what others have taken meanwhile is theirs.
    const taken = operation.claimsRun && governor.runs.get(operation.runId ?? "");
    if (taken && this.#own.isForeign(taken.attributes, operation.runId)) {
      this.#refuseForeign(operation);
      return undefined;
    }
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
    const { identity } = this.#caller;
    return { reading: { ...reading, operation }, pending: begun, body: sent, identity };
  }

  /** Who pays for a run; `untold` when it matters and the server does not say, which is the answer then. */
  async #payerOf(runId: string): Promise<RunPayer | "untold"> {
    try {
      return await this.#room.payers.payerOf(runId, this.#asker);
    } catch (error) {
      if (!(error instanceof UntoldPayerError)) throw error;
      // Where nobody is told apart, whoever writes may go on, as the server lets him.
      if (!this.#room.tellsApart) return "nobody";
      this.#refuseUntold(error);
      return "untold";
    }
  }

  /** Does a call reach what is others', and says no run of theirs? It is refused then. */
  async #isOthers(reading: Operative): Promise<boolean> {
    try {
      const others = await this.#own.othersThing(reading, this.#asker);
      if (others === undefined) return false;
      const reason = `${others} is somebody else's, or may hold what is; write to runs of your own, have an administrator do it, or set allowForeignRuns: true in the gateway's configuration`;
      this.#refuseBy(reading.operation, "foreign-run", "x_foreign_run", others, reason);
    } catch (error) {
      if (!(error instanceof UntoldPayerError)) throw error;
      this.#refuseUntold(error);
    }
    return true;
  }

  #refuseUntold({ message }: UntoldPayerError): void {
    this.#record.decision = "REFUSED";
    const errorCode = "TEMPORARILY_UNAVAILABLE";
    this.#refuse({ status: 502, errorCode, message: `genops: ${message}` });
  }

  /** The tag among those that a request sets, or takes away, that is not its caller's to set. */
  #forged({ name }: Operation, { body }: WireCall): string | undefined {
    const single = name === "set_tag" || name === "delete_tag";
    const tags = single ? tagsOf([{ value: "", ...body }]) : tagsOf(body.tags);
    return RUN_TAGGING.includes(name) ? forgedTag(tags, this.#caller) : undefined;
  }

  #refuseForeign(operation: Operation): void {
    const subject = operation.runId ?? operation.upload?.artifactUri ?? "";
    const reason = `the run ${subject} is paid for by somebody else; log to a run of your own, or set allowForeignRuns: true in the gateway's configuration`;
    this.#refuseBy(operation, "foreign-run", "x_foreign_run", subject, reason);
  }

  #refuseBy(
    operation: Operation,
    policy: string,
    reasonCode: string,
    subject: string,
    reason: string,
  ): void {
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
    const flowsBy = body === undefined && (declared !== undefined || isChunked(request));
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
      readsReply,
    });
    if (flowsBy) this.#continue();
    return new Promise((resolve) => {
      const flow = new Flow(
        this.#room,
        this.#record,
        request,
        this.#response,
        admitted,
        this.#asker,
        readsReply,
        (refusal) => this.#refuseWith(refusal),
        resolve,
      );
      flow.start({
        method: request.method ?? "GET",
        target: this.#target,
        headers,
        body: flowsBy ? flow.passing(declared === undefined) : body,
        silenceMs: idleTimeoutMs,
      });
    });
  }
}

function isChunked({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined;
}

/** Who somebody is, and what that one may do, MLflow's page asks for everybody. */
function isOwnUser({ method, route }: WireCall): boolean {
  return method === "GET" && /\/mlflow\/users\/current(\/permissions)?$/.test(route);
}
