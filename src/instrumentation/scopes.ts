// Who governs what, for every instrumentation: scopes, the adapters that govern the process, cost contexts.
import { diag } from "@opentelemetry/api";
import { currentCostContext, type MlflowCostContext } from "../costs/context.js";
import {
  attributesOfTags,
  type GovernanceAttributes,
  governanceTags,
  type RunTag,
} from "../governance/attribution.js";
import type { Governor } from "../governance/governor.js";
import { reasonOf } from "../mlflow/errors.js";
import { createAsyncContext } from "../runtime/capabilities.js";

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

/** Where calls are made that are nobody's, whatever scopes are opened there. */
const NOBODY = Symbol("nobody");
/** One context for both, as every call looks it up. */
const scopes = createAsyncContext<GovernedScope | typeof NOBODY>();
/** Was anything ever done that is nobody's? Until then, and while no scope is open, nothing is looked up. */
let hasUngoverned = false;
/** Adapters that govern the whole process; the newest does, so that nothing is billed twice. */
let installed: readonly Governor[] = [];
let openScopes = 0;

/** A place where calls pass by, and can be governed. */
export interface Seam {
  /** Takes it; answers what gives it back. */
  attach(): () => void;
  /** Adapters that govern the process, and scopes that are open, cost contexts included. */
  isWanted(governing: { readonly installed: number; readonly open: number }): boolean;
}

/** Seams in use, and what gives back those that are attached. */
const seams = new Map<Seam, (() => void) | undefined>();

/** Keeps each seam ours exactly while somebody needs it: afterwards nothing remains. */
function updateSeams(): void {
  const governing = { installed: installed.length, open: openScopes };
  for (const [seam, detach] of seams) {
    const wanted = seam.isWanted(governing);
    if (wanted && detach === undefined) {
      seams.set(seam, seam.attach());
    } else if (!wanted && detach !== undefined) {
      seams.set(seam, undefined);
      detach();
    }
  }
}

/** Governs through this seam, too, from now on. A second time changes nothing. */
export function useSeam(seam: Seam): void {
  if (seams.has(seam)) return;
  seams.set(seam, undefined);
  updateSeams();
}

/** Governs every call of the process from now on. A second time changes nothing. */
export function install(governor: Governor): void {
  if (installed.includes(governor)) return;
  installed = [...installed, governor];
  updateSeams();
}

/** Gives the process back. */
export function uninstall(governor: Governor): void {
  installed = installed.filter((other) => other !== governor);
  updateSeams();
}

export function isInstalled(governor: Governor): boolean {
  return installed.includes(governor);
}

function currentScope(): GovernedScope | typeof NOBODY | undefined {
  if (openScopes === 0 && !hasUngoverned) return undefined;
  let scope = scopes.get();
  while (scope !== NOBODY && scope?.ended) scope = scope.outer;
  return scope;
}

function scopeAround(): GovernedScope | undefined {
  const scope = currentScope();
  return scope === NOBODY ? undefined : scope;
}

function newScope(governor: Governor, overrides: GovernanceAttributes): GovernedScope {
  const outer = scopeAround();
  // A run inside a run is paid for by the same payer unless it says otherwise.
  const inherited = outer?.governor === governor ? outer.overrides : {};
  openScopes++;
  updateSeams();
  const all = { ...inherited, ...overrides };
  const attributes = { ...governor.configuration.attributes, ...all };
  return { governor, overrides: all, attributes, outer, ended: false };
}

/** Ends a scope; a second time changes nothing. */
export function endScope(scope: GovernedScope): void {
  if (scope.ended) return;
  scope.ended = true;
  openScopes--;
  updateSeams();
}

/** Runs `callback`, and all that it starts, under this governor. */
export async function inScope<T>(
  governor: Governor,
  overrides: GovernanceAttributes,
  callback: () => Promise<T>,
): Promise<T> {
  const isNobodys = currentScope() === NOBODY;
  const scope = newScope(governor, overrides);
  try {
    return await (isNobodys ? callback() : scopes.run(scope, callback));
  } finally {
    endScope(scope);
  }
}

/** Runs `callback`, and all that it starts, outside every ledger: what we ask for ourselves is nobody's cost. */
export function ungoverned<T>(callback: () => T): T {
  hasUngoverned = true;
  return scopes.run(NOBODY, callback);
}

/** Governs the rest of the current asynchronous chain, until the scope is ended. Call it before any `await`. */
export function enterScope(governor: Governor, overrides: GovernanceAttributes): GovernedScope {
  const isNobodys = currentScope() === NOBODY;
  const scope = newScope(governor, overrides);
  if (!isNobodys) scopes.enter(scope);
  return scope;
}

/** What makes the ledger of cost contexts without an adapter. */
export interface ContextLedger {
  /** Equal for the same configuration, whose contexts share one ledger. */
  readonly key: string;
  readonly make: () => Governor;
}

/** Cost contexts that are open. */
const ofContexts = new Map<MlflowCostContext, ContextLedger>();
/** By configuration, for the life of the process, so that budgets and meters are those of all contexts. */
const contextGovernors = new Map<string, Governor | undefined>();

/** Governs what no adapter does inside a cost context, by a governor that is made when it is needed. */
export function governContext(context: MlflowCostContext, ledger: ContextLedger): void {
  ofContexts.set(context, ledger);
  openScopes++;
  updateSeams();
}

/** Ends that. */
export function leaveContext(context: MlflowCostContext): void {
  if (!ofContexts.delete(context)) return;
  openScopes--;
  updateSeams();
}

/** A ledger that cannot be made stops no program. */
function attempted(make: () => Governor): Governor | undefined {
  try {
    return make();
  } catch (error) {
    diag.warn(`genops: a cost context without an adapter counts nothing: ${reasonOf(error)}`);
    return undefined;
  }
}

/** Contexts inside each other share the governor of the outermost, so that a run keeps its payer. */
function governorOfContext(): Governor | undefined {
  let ledger: ContextLedger | undefined;
  for (let context = currentCostContext(); context !== undefined; context = context.outer) {
    ledger = ofContexts.get(context) ?? ledger;
  }
  if (ledger === undefined) return undefined;
  const { key, make } = ledger;
  if (!contextGovernors.has(key)) contextGovernors.set(key, attempted(make));
  return contextGovernors.get(key);
}

/** Who governs the calls that are made here, or nobody. */
export interface GovernorInForce {
  readonly governor: Governor;
  readonly scope: GovernedScope | undefined;
}

/** Nobody for what we ask for ourselves, and where no adapter, scope or cost context is. */
export function governorInForce(): GovernorInForce | undefined {
  const scope = currentScope();
  if (scope === NOBODY) return undefined;
  const governor = scope?.governor ?? installed.at(-1) ?? governorOfContext();
  return governor === undefined ? undefined : { governor, scope };
}

/** Every governor that calls of this process may be governed by. */
export function governors(): readonly Governor[] {
  const scoped = scopeAround()?.governor;
  return scoped === undefined || installed.includes(scoped) ? installed : [...installed, scoped];
}

/** Who pays for a call that makes no run: what is configured, and what the scope overrides. */
export function payerOf(
  scope: GovernedScope | undefined,
  governor: Governor,
): GovernanceAttributes {
  return scope === undefined ? governor.configuration.attributes : scope.attributes;
}

/** Who pays for a new run, of which its own tags have a say, and the tags that tell so. */
export function payerOfNewRun(
  scope: GovernedScope | undefined,
  governor: Governor,
  tags: readonly RunTag[],
): { readonly attributes: GovernanceAttributes; readonly tags: readonly RunTag[] } {
  const defaults = governor.configuration.attributes;
  const attributes = { ...defaults, ...attributesOfTags(tags), ...scope?.overrides };
  return { attributes, tags: governanceTags(attributes) };
}
