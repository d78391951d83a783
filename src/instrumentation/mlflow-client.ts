// Governs the calls of our own MLflow client, through its interceptor seam.
import type { GovernanceRefusal } from "../governance/errors.js";
import type { Governor, Pending } from "../governance/governor.js";
import type { Operation } from "../governance/operation.js";
import {
  addInterceptor,
  type CallWatch,
  carryOut,
  type Proceed,
  type StoreCall,
} from "../mlflow/interceptor.js";
import { describe, informed, outcomeOf, tagRefusal, tagsOf } from "./mlflow-calls.js";
import {
  type GovernedScope,
  governorInForce,
  payerOf,
  payerOfNewRun,
  type Seam,
} from "./scopes.js";

/** The client's own seam is ours while anybody governs anything. */
export const clientSeam: Seam = {
  attach: () => addInterceptor(governCall),
  isWanted: ({ installed, open }) => installed > 0 || open > 0,
};

/** A read that is answered "there is none" was answered. */
function isAnswer(governor: Governor, pending: Pending, error: unknown): boolean {
  const reads = governor.engine.operations[pending.operationId]?.class.endsWith("-read");
  return reads === true && (error as { code?: unknown }).code === "RESOURCE_DOES_NOT_EXIST";
}

/** A governed call that is under way. */
class GovernedCall implements CallWatch {
  readonly call: StoreCall;
  readonly #governor: Governor;
  readonly #pending: Pending;

  constructor(governor: Governor, pending: Pending, call: StoreCall) {
    this.#governor = governor;
    this.#pending = pending;
    this.call = call;
  }

  answered(reply: unknown): void {
    settleAnswered(this.#governor, this.#pending, this.call, reply, undefined);
  }

  failed(error: unknown): void {
    settleFailed(this.#governor, this.#pending, error);
  }
}

function governCall(call: StoreCall, proceed: Proceed): Promise<unknown> | CallWatch {
  const inForce = governorInForce();
  if (inForce === undefined) return proceed(call);
  const { scope, governor } = inForce;
  let operation: Operation | undefined;
  try {
    operation = describe(governor, call);
    if (operation !== undefined && governor.unknownTo(operation) !== undefined) {
      return governAsked(scope, governor, operation, call, proceed);
    }
  } catch (error) {
    governor.contain(error);
  }
  if (operation === undefined) return proceed(call);
  return governOperation(scope, governor, operation, call, proceed);
}

async function governAsked(
  scope: GovernedScope | undefined,
  governor: Governor,
  operation: Operation,
  call: StoreCall,
  proceed: Proceed,
): Promise<unknown> {
  const known = await asked(governor, operation, call, proceed);
  return carryOut(governOperation(scope, governor, known, call, proceed), proceed);
}

/** Decides, makes the call when it was let in, and settles it. */
function governOperation(
  scope: GovernedScope | undefined,
  governor: Governor,
  operation: Operation,
  call: StoreCall,
  proceed: Proceed,
): Promise<unknown> | CallWatch {
  let begun: Pending | GovernanceRefusal;
  let sent = call;
  try {
    if (operation.name === "create_run") {
      const tags = tagsOf(call.body.tags);
      const { attributes, tags: ours } = payerOfNewRun(scope, governor, tags);
      const keys = new Set(ours.map(({ key }) => key));
      const others = tags.filter(({ key }) => !keys.has(key));
      sent = { ...call, body: { ...call.body, tags: [...others, ...ours] } };
      begun = governor.begin(operation, attributes);
    } else {
      begun = governor.begin(operation, payerOf(scope, governor));
    }
  } catch (error) {
    governor.contain(error);
    return proceed(call);
  }
  if (begun instanceof Error) return refuse(governor, begun, operation, call, proceed);
  return sent.upload?.digest === undefined
    ? new GovernedCall(governor, begun, sent)
    : makeWithDigest(governor, begun, sent, sent.upload.digest, proceed);
}

/** Rejects with the refusal; a run that it keeps from ending as FINISHED ends as FAILED first. */
async function refuse(
  governor: Governor,
  refusal: GovernanceRefusal,
  { runId, details }: Operation,
  call: StoreCall,
  proceed: Proceed,
): Promise<never> {
  if (runId !== undefined && details?.status === "FINISHED") {
    await endAsFailed(governor, refusal, runId, call, proceed);
  }
  throw refusal;
}

async function makeWithDigest(
  governor: Governor,
  pending: Pending,
  call: StoreCall,
  digest: () => Promise<string | undefined>,
  proceed: Proceed,
): Promise<unknown> {
  // While the bytes are on their way, so that it takes no time of its own.
  const digested = digest().catch(() => undefined);
  let reply: unknown;
  try {
    reply = await proceed(call);
  } catch (error) {
    settleFailed(governor, pending, error);
    throw error;
  }
  settleAnswered(governor, pending, call, reply, await digested);
  return reply;
}

function settleFailed(governor: Governor, pending: Pending, error: unknown): void {
  try {
    if (isAnswer(governor, pending, error)) governor.succeed(pending, {});
    else governor.fail(pending, error);
  } catch (failure) {
    governor.contain(failure);
  }
}

function settleAnswered(
  governor: Governor,
  pending: Pending,
  call: StoreCall,
  reply: unknown,
  contentDigest: string | undefined,
): void {
  try {
    const outcome = outcomeOf(governor, pending.operation, call, reply);
    if (outcome === undefined) {
      governor.fail(pending, new Error("The answer lacks what was to be created."));
    } else {
      governor.succeed(
        pending,
        contentDigest === undefined ? outcome : { ...outcome, contentDigest },
      );
    }
  } catch (failure) {
    governor.contain(failure);
  }
}

/** What cannot be asked is not known, and a policy does not hold that against the call. */
async function asked(
  governor: Governor,
  operation: Operation,
  call: StoreCall,
  proceed: Proceed,
): Promise<Operation> {
  try {
    return await informed(governor, operation, call, proceed);
  } catch (error) {
    governor.contain(error);
    return operation;
  }
}

/** A run that may not end as FINISHED ends as FAILED, with the reason as tags. */
export async function endAsFailed(
  governor: Governor,
  refusal: GovernanceRefusal,
  runId: string,
  call: StoreCall,
  proceed: Proceed,
): Promise<void> {
  try {
    await tagRefusal(refusal, runId, call, proceed);
  } catch (error) {
    governor.contain(error);
  }
  governor.noteFailure(runId, refusal);
  try {
    const failed = { ...call, body: { ...call.body, status: "FAILED" } };
    await carryOut(governCall(failed, proceed), proceed);
  } catch (error) {
    governor.contain(error);
  }
}
