// Governs the calls of our own MLflow client, through its interceptor seam.
import {
  attributesOfTags,
  type GovernanceAttributes,
  governanceTags,
} from "../governance/attribution.js";
import type { GovernanceRefusal } from "../governance/errors.js";
import type { Governor, Pending } from "../governance/governor.js";
import type { Operation } from "../governance/operation.js";
import { addInterceptor, type StoreCall } from "../mlflow/interceptor.js";
import { createAsyncContext } from "../runtime/capabilities.js";
import { describe, outcomeOf, tagsOf } from "./mlflow-calls.js";

type Proceed = (call: StoreCall) => Promise<unknown>;

/** Who governs a part of the program, and what it overrides. */
export interface GovernedScope {
  readonly governor: Governor;
  readonly overrides: GovernanceAttributes;
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
  return { governor, overrides: { ...inherited, ...overrides }, outer, ended: false };
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

interface Prepared {
  readonly pending: Pending;
  readonly operation: Operation;
  readonly call: StoreCall;
}

/**
 * Before the call: what it is, who pays, what is held for it. Answers the error that the caller gets
 * instead when the call is refused.
 */
function prepare(
  scope: GovernedScope | undefined,
  governor: Governor,
  call: StoreCall,
): Prepared | GovernanceRefusal | undefined {
  const operation = describe(governor, call);
  if (operation === undefined) return undefined;
  const defaults = governor.configuration.attributes;
  if (operation.name !== "create_run") {
    const attributes = { ...defaults, ...scope?.overrides };
    return begun(governor, operation, attributes, call);
  }
  const tags = tagsOf(call.body.tags);
  const attributes = { ...defaults, ...attributesOfTags(tags), ...scope?.overrides };
  const ours = governanceTags(attributes);
  const keys = new Set(ours.map(({ key }) => key));
  const body = { ...call.body, tags: [...tags.filter(({ key }) => !keys.has(key)), ...ours] };
  return begun(governor, operation, attributes, { ...call, body });
}

function begun(
  governor: Governor,
  operation: Operation,
  attributes: GovernanceAttributes,
  call: StoreCall,
): Prepared | GovernanceRefusal {
  const pending = governor.begin(operation, attributes);
  return pending instanceof Error ? pending : { pending, operation, call };
}

/** A read that is answered "there is none" was answered. */
function isAnswer(governor: Governor, prepared: Prepared, error: unknown): boolean {
  const reads = governor.engine.operations[prepared.pending.operationId]?.class.endsWith("-read");
  return reads === true && (error as { code?: unknown }).code === "RESOURCE_DOES_NOT_EXIST";
}

async function governCall(call: StoreCall, proceed: Proceed): Promise<unknown> {
  const scope = currentScope();
  const governor = scope?.governor ?? installed.at(-1);
  if (governor === undefined) return proceed(call);
  let prepared: Prepared | GovernanceRefusal | undefined;
  try {
    prepared = prepare(scope, governor, call);
  } catch (error) {
    governor.contain(error);
  }
  if (prepared === undefined) return proceed(call);
  if (prepared instanceof Error) throw prepared;
  return settleAround(governor, prepared, proceed);
}

/** Makes the call that was let in, and settles it. */
async function settleAround(
  governor: Governor,
  prepared: Prepared,
  proceed: Proceed,
): Promise<unknown> {
  let reply: unknown;
  try {
    reply = await proceed(prepared.call);
  } catch (error) {
    contained(governor, () => {
      if (isAnswer(governor, prepared, error)) governor.succeed(prepared.pending, {});
      else governor.fail(prepared.pending, error);
    });
    throw error;
  }
  contained(governor, () => {
    const outcome = outcomeOf(governor, prepared.operation, prepared.call, reply);
    if (outcome === undefined) {
      governor.fail(prepared.pending, new Error("The answer lacks what was to be created."));
    } else {
      governor.succeed(prepared.pending, outcome);
    }
  });
  return reply;
}

function contained(governor: Governor, action: () => void): void {
  try {
    action();
  } catch (error) {
    governor.contain(error);
  }
}
