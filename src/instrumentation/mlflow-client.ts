// Governs the calls of our own MLflow client, through its interceptor seam.
import {
  attributesOfTags,
  type GovernanceAttributes,
  governanceTags,
} from "../governance/attribution.js";
import type { GovernanceRefusal } from "../governance/errors.js";
import type { Governor, Pending } from "../governance/governor.js";
import type { Operation } from "../governance/operation.js";
import { addInterceptor, type Proceed, type StoreCall } from "../mlflow/interceptor.js";
import { createAsyncContext } from "../runtime/capabilities.js";
import { describe, informed, outcomeOf, tagRefusal, tagsOf } from "./mlflow-calls.js";

/** Who governs a part of the program, and what it overrides. */
export interface GovernedScope {
  readonly governor: Governor;
  readonly overrides: GovernanceAttributes;
  /** What is configured, with the overrides. */
  readonly attributes: GovernanceAttributes;
  /** The scope around this one. */
  readonly outer: GovernedScope | undefined;
  ended: boolean;
}

const scopes = createAsyncContext<GovernedScope>();
/** Adapters that govern the whole process; the newest does, so that nothing is billed twice. */
let installed: readonly Governor[] = [];
let openScopes = 0;
let removeInterceptor: (() => void) | undefined;

/** Keeps the client's seam ours exactly while somebody governs: afterwards nothing remains. */
function updateSeam(): void {
  const wanted = installed.length > 0 || openScopes > 0;
  if (wanted && removeInterceptor === undefined) {
    removeInterceptor = addInterceptor(governCall);
  } else if (!wanted && removeInterceptor !== undefined) {
    removeInterceptor();
    removeInterceptor = undefined;
  }
}

/** Governs every call of the process from now on. A second time changes nothing. */
export function install(governor: Governor): void {
  if (installed.includes(governor)) return;
  installed = [...installed, governor];
  updateSeam();
}

/** Gives the process back. */
export function uninstall(governor: Governor): void {
  installed = installed.filter((other) => other !== governor);
  updateSeam();
}

export function isInstalled(governor: Governor): boolean {
  return installed.includes(governor);
}

function currentScope(): GovernedScope | undefined {
  let scope = scopes.get();
  while (scope?.ended) scope = scope.outer;
  return scope;
}

function newScope(governor: Governor, overrides: GovernanceAttributes): GovernedScope {
  const outer = currentScope();
  // A run inside a run is paid for by the same payer unless it says otherwise.
  const inherited = outer?.governor === governor ? outer.overrides : {};
  openScopes++;
  updateSeam();
  const all = { ...inherited, ...overrides };
  const attributes = { ...governor.configuration.attributes, ...all };
  return { governor, overrides: all, attributes, outer, ended: false };
}

/** Ends a scope; a second time changes nothing. */
export function endScope(scope: GovernedScope): void {
  if (scope.ended) return;
  scope.ended = true;
  openScopes--;
  updateSeam();
}

/** Runs `callback`, and all that it starts, under this governor. */
export async function inScope<T>(
  governor: Governor,
  overrides: GovernanceAttributes,
  callback: () => Promise<T>,
): Promise<T> {
  const scope = newScope(governor, overrides);
  try {
    return await scopes.run(scope, callback);
  } finally {
    endScope(scope);
  }
}

/** Governs the rest of the current asynchronous chain, until the scope is ended. Call it before any `await`. */
export function enterScope(governor: Governor, overrides: GovernanceAttributes): GovernedScope {
  const scope = newScope(governor, overrides);
  scopes.enter(scope);
  return scope;
}

/** Who pays for a call that makes no run: what is configured, and what the scope overrides. */
function payerOf(scope: GovernedScope | undefined, governor: Governor): GovernanceAttributes {
  return scope === undefined ? governor.configuration.attributes : scope.attributes;
}

/** Who pays for a new run: its own tags have a say, and who pays is written among them. */
function payerOfNewRun(
  scope: GovernedScope | undefined,
  governor: Governor,
  call: StoreCall,
): { readonly attributes: GovernanceAttributes; readonly tagged: StoreCall } {
  const tags = tagsOf(call.body.tags);
  const defaults = governor.configuration.attributes;
  const attributes = { ...defaults, ...attributesOfTags(tags), ...scope?.overrides };
  const ours = governanceTags(attributes);
  const keys = new Set(ours.map(({ key }) => key));
  const body = { ...call.body, tags: [...tags.filter(({ key }) => !keys.has(key)), ...ours] };
  return { attributes, tagged: { ...call, body } };
}

/** A read that is answered "there is none" was answered. */
function isAnswer(governor: Governor, pending: Pending, error: unknown): boolean {
  const reads = governor.engine.operations[pending.operationId]?.class.endsWith("-read");
  return reads === true && (error as { code?: unknown }).code === "RESOURCE_DOES_NOT_EXIST";
}

async function governCall(call: StoreCall, proceed: Proceed): Promise<unknown> {
  const scope = currentScope();
  const governor = scope?.governor ?? installed.at(-1);
  if (governor === undefined) return proceed(call);
  let begun: Pending | GovernanceRefusal | undefined;
  let operation: Operation | undefined;
  let sent = call;
  try {
    operation = describe(governor, call);
    if (operation !== undefined && governor.unknownTo(operation) !== undefined) {
      operation = await asked(governor, operation, call, proceed);
    }
    if (operation?.name === "create_run") {
      const { attributes, tagged } = payerOfNewRun(scope, governor, call);
      sent = tagged;
      begun = governor.begin(operation, attributes);
    } else if (operation !== undefined) {
      begun = governor.begin(operation, payerOf(scope, governor));
    }
  } catch (error) {
    governor.contain(error);
  }
  if (begun === undefined) return proceed(call);
  if (begun instanceof Error) {
    const { runId, details } = operation ?? {};
    if (runId !== undefined && details?.status === "FINISHED") {
      await endAsFailed(governor, begun, runId, call, proceed);
    }
    throw begun;
  }
  let reply: unknown;
  try {
    reply = await proceed(sent);
  } catch (error) {
    settleFailed(governor, begun, error);
    throw error;
  }
  settleAnswered(governor, begun, sent, reply);
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
): void {
  try {
    const outcome = outcomeOf(governor, pending.operation, call, reply);
    if (outcome === undefined) {
      governor.fail(pending, new Error("The answer lacks what was to be created."));
    } else {
      governor.succeed(pending, outcome);
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
async function endAsFailed(
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
    await governCall({ ...call, body: { ...call.body, status: "FAILED" } }, proceed);
  } catch (error) {
    governor.contain(error);
  }
}
