// Governs one request that some HTTP client makes of an MLflow server, from its first byte to its answer.
import { context, createContextKey } from "@opentelemetry/api";
import type { GovernanceAttributes, RunTag } from "../../governance/attribution.js";
import type { GovernanceRefusal } from "../../governance/errors.js";
import type { Governor, Pending } from "../../governance/governor.js";
import type { Operation } from "../../governance/operation.js";
import type { Proceed, StoreCall } from "../../mlflow/interceptor.js";
import { updateRun } from "../../mlflow/spec.js";
import { informed, tagsOf } from "../mlflow-calls.js";
import { endAsFailed } from "../mlflow-client.js";
import { type GovernorInForce, governorInForce, payerOf, payerOfNewRun } from "../scopes.js";
import { answerTo, answerToDoubt, type RefusalAnswer } from "../wire/refusal.js";
import { readReply, type WireReply, wantsReply } from "../wire/reply.js";
import {
  readRequest,
  type Transfer,
  type WireCall,
  type WireReading,
  type WireRequest,
  wantsBody,
} from "../wire/request.js";
import { spliceTags } from "../wire/splice.js";
import type { Destination } from "./destinations.js";

/**
 * Asks the same server something for governance itself, with the credentials of the request that is governed;
 * nobody counts that. Rejects when it is not answered with 200.
 */
export type Ask = (method: string, target: string, message?: object) => Promise<unknown>;

/** A request before it is sent. */
export interface Outgoing extends Omit<WireRequest, "target"> {
  readonly destination: Destination;
  readonly ask: Ask;
}

type Reading = Extract<WireReading, { kind: "operation" }>;

/** Uploads in parts that have begun and not ended, by their keys. */
const unfinished = new Map<string, { readonly governor: Governor; readonly pending: Pending }>();
/** Files that are on their way past the server, by the URL that they are sent to. */
const presigned = new Map<string, { readonly governor: Governor; readonly pending: Pending }>();
/** Of each; whoever never ends an upload has none that costs. */
const TRANSFERS_MAX = 10_000;

function keep<T>(map: Map<string, T>, key: string, value: T): void {
  if (map.size >= TRANSFERS_MAX) {
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
  }
  map.set(key, value);
}

/** A request that governance has let in. */
export class Exchange {
  /** The body to send instead of the request's own; undefined when that stays as it is. */
  readonly body: Uint8Array | undefined;
  /** Must the body of an answer with status 200 be read for {@link answered}? */
  readonly wantsReply: boolean;
  /** Do bytes go by whose number nobody has told? Then {@link grow} must be. */
  readonly isOpen: boolean;
  readonly #governor: Governor;
  readonly #pending: Pending;
  readonly #call: WireCall;
  readonly #transfer: Transfer | undefined;
  #isOver = false;

  constructor(
    governor: Governor,
    pending: Pending,
    { call, transfer }: Reading,
    body: Uint8Array | undefined,
  ) {
    const { operation } = pending;
    this.#governor = governor;
    this.#pending = pending;
    this.#call = call;
    this.#transfer = transfer;
    this.body = body;
    this.wantsReply = wantsReply(operation, transfer);
    const { upload } = operation;
    this.isOpen = upload !== undefined && upload.sizeBytes === undefined && transfer === undefined;
  }

  /** Answers the error with which the request must be cut off, as {@link Governor.grow} does. */
  grow(totalBytes: number): GovernanceRefusal | undefined {
    if (this.#isOver) return undefined;
    try {
      const refusal = this.#governor.grow(this.#pending, totalBytes);
      this.#isOver = refusal !== undefined;
      return refusal;
    } catch (error) {
      this.#governor.contain(error);
      return undefined;
    }
  }

  /** The server has answered. A second time changes nothing. Resolves once that is booked; never rejects. */
  async answered(reply: WireReply): Promise<void> {
    this.#end(() => {
      const transfer = this.#transfer;
      const { operation } = this.#pending;
      const read = readReply(this.#governor, operation, this.#call, reply, transfer);
      if (read.kind === "failed") return this.#governor.fail(this.#pending, read.error);
      const begun = { governor: this.#governor, pending: this.#pending };
      if (read.transferKey !== undefined) return keep(unfinished, read.transferKey, begun);
      if (read.presignedUrl !== undefined) return keep(presigned, read.presignedUrl, begun);
      this.#governor.succeed(this.#pending, read.outcome);
    });
  }

  /** No answer came. A second time changes nothing. */
  failed(error: unknown): void {
    this.#end(() => this.#governor.fail(this.#pending, error));
  }

  #end(settle: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    try {
      settle();
    } catch (error) {
      this.#governor.contain(error);
    }
  }
}

/** A request that goes as it came, one that is answered without being sent, or one that is governed. */
export type Admission =
  | { readonly kind: "ungoverned" }
  | { readonly kind: "refused"; readonly answer: RefusalAnswer }
  | { readonly kind: "governed"; readonly exchange: Exchange };

/** Under which OpenTelemetry's SDK says that telemetry itself is being sent (`suppressTracing`). */
const SUPPRESSED = createContextKey("OpenTelemetry SDK Context Key SUPPRESS_TRACING");

const UNGOVERNED: Admission = Object.freeze({ kind: "ungoverned" });

/** Must the body of such a request be known before {@link admit} is asked? */
export function needsBody(method: string, { target }: Destination): boolean {
  const inForce = governorInForce();
  return inForce !== undefined && wantsBody(method, target, inForce.governor);
}

function proceedBy(ask: Ask): Proceed {
  return ({ method, route, body }) => {
    if (method !== "GET") return ask(method, route, body);
    const query = new URLSearchParams(body as Record<string, string>);
    return ask(method, `${route}?${query}`);
  };
}

function storeCallOf(operation: Operation, { body, storeUri }: WireCall): StoreCall {
  const { method, route } = updateRun;
  return { method, route, path: route, body: { ...body, run_id: operation.runId }, storeUri };
}

/** Answers a refusal; a run that it keeps from ending as FINISHED ends as FAILED first. */
async function refuse(
  governor: Governor,
  refusal: GovernanceRefusal,
  { operation, call }: Reading,
  ask: Ask,
): Promise<Admission> {
  const { runId, details } = operation;
  if (runId !== undefined && details?.status === "FINISHED") {
    await endAsFailed(governor, refusal, runId, storeCallOf(operation, call), proceedBy(ask));
  }
  return { kind: "refused", answer: answerTo(refusal) };
}

/** The size of a file that was sent in parts, from the server's list of its folder. */
async function sizeOf(path: string, ask: Ask): Promise<number | undefined> {
  const at = path.lastIndexOf("/");
  const name = path.slice(at + 1);
  const query = new URLSearchParams({ path: path.slice(0, Math.max(0, at)) });
  const reply = await ask("GET", `/api/2.0/mlflow-artifacts/artifacts?${query}`);
  const { files = [] } = reply as { files?: readonly { path?: string; file_size?: unknown }[] };
  const file = files.find((entry) => entry.path?.split("/").at(-1) === name);
  const size = Number(file?.file_size);
  return Number.isSafeInteger(size) && size >= 0 ? size : undefined;
}

/** Settles an upload in parts once the server has put it together, or given it up. */
class TransferEnd extends Exchange {
  readonly #begun: { readonly governor: Governor; readonly pending: Pending };
  readonly #reading: Reading;
  readonly #ask: Ask;

  constructor(begun: { governor: Governor; pending: Pending }, reading: Reading, ask: Ask) {
    super(begun.governor, begun.pending, reading, undefined);
    this.#begun = begun;
    this.#reading = reading;
    this.#ask = ask;
  }

  override async answered(reply: WireReply): Promise<void> {
    const { transfer } = this.#reading;
    // What was not ended may be ended another time; what was, is.
    if (reply.status !== 200 || transfer?.key === undefined) return;
    if (!unfinished.delete(transfer.key)) return;
    if (transfer.step === "abort") {
      super.failed(new Error("The upload was given up."));
      return;
    }
    await this.#learnSize(transfer.path);
    await super.answered(reply);
  }

  /** The answer to the end of an upload is none to its operation. */
  override failed(): void {}

  async #learnSize(path: string | undefined): Promise<void> {
    try {
      const size = path === undefined ? undefined : await sizeOf(path, this.#ask);
      // It is there already, so that no limit can refuse it.
      const { governor, pending } = this.#begun;
      if (size === undefined) return;
      if (pending.ticket !== undefined) governor.engine.charge(pending.ticket, pending.meter, size);
      pending.quantity = size;
    } catch (error) {
      this.#begun.governor.contain(error);
    }
  }
}

function payerAndBody(
  { governor, scope }: GovernorInForce,
  { operation, call }: Reading,
  body: Uint8Array | undefined,
): { readonly attributes: GovernanceAttributes; readonly spliced: Uint8Array | undefined } {
  if (operation.name !== "create_run") {
    return { attributes: payerOf(scope, governor), spliced: undefined };
  }
  const own: readonly RunTag[] = tagsOf(call.body.tags);
  const { attributes, tags } = payerOfNewRun(scope, governor, own);
  const spliced = tags.length === 0 ? undefined : spliceTags(body ?? new Uint8Array(), tags);
  return { attributes, spliced };
}

/** Decides about a request. Never throws and never rejects: what goes wrong is contained. */
export async function admit(outgoing: Outgoing): Promise<Admission> {
  const inForce = governorInForce();
  // Spans about the sending of spans would never end.
  if (inForce === undefined || context.active().getValue(SUPPRESSED) === true) return UNGOVERNED;
  const { governor } = inForce;
  const { destination, ask, body } = outgoing;
  const { storeUri, target } = destination;
  try {
    const reading = readRequest({ ...outgoing, target }, governor, { storeUri });
    if (reading.kind === "foreign") return UNGOVERNED;
    if (reading.kind === "refused") {
      return { kind: "refused", answer: answerToDoubt(reading.message) };
    }
    const { transfer } = reading;
    if (transfer?.key !== undefined) {
      const begun = unfinished.get(transfer.key);
      const end = begun && new TransferEnd(begun, reading, ask);
      if (end !== undefined) return { kind: "governed", exchange: end };
      // Begun elsewhere, and nothing was written yet: it is not ours to settle.
      return UNGOVERNED;
    }
    return await admitOperation(inForce, reading, body, ask);
  } catch (error) {
    governor.contain(error);
    return UNGOVERNED;
  }
}

async function admitOperation(
  inForce: GovernorInForce,
  reading: Reading,
  body: Uint8Array | undefined,
  ask: Ask,
): Promise<Admission> {
  const { governor } = inForce;
  let { operation } = reading;
  if (governor.unknownTo(operation) !== undefined) {
    try {
      const call = storeCallOf(operation, reading.call);
      operation = await informed(governor, operation, call, proceedBy(ask));
    } catch (error) {
      governor.contain(error);
    }
  }
  const { attributes, spliced } = payerAndBody(inForce, reading, body);
  const begun = governor.begin(operation, attributes);
  if (begun instanceof Error) return refuse(governor, begun, { ...reading, operation }, ask);
  return { kind: "governed", exchange: new Exchange(governor, begun, reading, spliced) };
}

/** Is this where a file goes past the server? Its upload is an operation that has begun already. */
export function isPresigned(url: string): boolean {
  return presigned.size > 0 && presigned.has(url);
}

/** A file that goes past the server: the answer of a refusal, or what settles it with the answer's status. */
export function admitPresigned(
  url: string,
  sizeBytes: number | undefined,
): RefusalAnswer | ((status: number) => void) {
  const begun = presigned.get(url);
  if (begun === undefined) return () => {};
  const { governor, pending } = begun;
  const refusal = sizeBytes === undefined ? undefined : governor.grow(pending, sizeBytes);
  presigned.delete(url);
  if (refusal !== undefined) return answerTo(refusal);
  return (status) => {
    try {
      // A cloud's own answers: any 2xx says that it has the file.
      if (status >= 200 && status < 300) governor.succeed(pending, {});
      else governor.fail(pending, new Error(`The cloud answered with status ${status}.`));
    } catch (error) {
      governor.contain(error);
    }
  };
}
