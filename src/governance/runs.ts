// What is known of runs, experiments and scopes, and the nodes of the ledger that stand for them.
import type { Span } from "@opentelemetry/api";
import type { SummaryNames } from "../costs/totals.js";
import { type Engine, EngineError, type EngineErrorCode, type RunStatus } from "../engine/index.js";
import type { GovernanceAttributes } from "./attribution.js";
import type { CallOwner } from "./limits.js";
import type { Operation, StartedRun } from "./operation.js";

/** What is known of a run. Amounts in atto-USD. */
export interface RunState {
  /** Its handle in the ledger; another one after it was folded to make room. */
  node: number;
  readonly attributes: GovernanceAttributes;
  readonly started: StartedRun;
  readonly parent: RunState | undefined;
  /** Held when the run was created; 0 for a run that began elsewhere. */
  readonly reserved: bigint;
  /** As far as it is summed up; see {@link RunBook.sumUp}. */
  own: bigint;
  inclusive: bigint;
  /** A cost that was booked so many times in a row, and is not summed up yet. */
  repeated: bigint;
  repeats: number;
  /** The part of `own` that operation spans carry; the run's span carries the rest. */
  emitted: bigint;
  span: Span | undefined;
  failure: unknown;
  /** Tags by key, where policies ask for them; absent when they are not known. */
  tags: Map<string, string> | undefined;
}

/** What is kept in memory of scopes and names before it starts anew. */
const CACHE_MAX = 4096;

export function hasCode(error: unknown, code: EngineErrorCode): boolean {
  return error instanceof EngineError && error.code === code;
}

function tagMap({ tags }: StartedRun): Map<string, string> | undefined {
  return tags && new Map(tags.map(({ key, value }) => [key, value]));
}

export class RunBook implements SummaryNames {
  readonly #engine: Engine;
  readonly #limit: number;
  readonly #keepsTags: boolean;
  readonly #runs = new Map<string, RunState>();
  readonly #runNames = new Map<string, string>();
  readonly #experimentNames = new Map<string, string>();
  readonly #scopes = new Map<string, number>();
  readonly #learned = new Map<string, StartedRun>();

  /** `limit`: runs that are kept; `keepsTags`: does a policy ask for their tags? */
  constructor(engine: Engine, limit: number, keepsTags: boolean) {
    this.#engine = engine;
    this.#limit = limit;
    this.#keepsTags = keepsTags;
  }

  // ── names ──────────────────────────────────────────────────────────────────────────────────────

  experimentName(experimentId: string): string | undefined {
    return this.#experimentNames.get(experimentId);
  }

  runName(runId: string): string | undefined {
    return this.#runNames.get(runId);
  }

  learnExperiment(experimentId: string, name: string): void {
    if (this.#experimentNames.size >= this.#limit) this.#experimentNames.clear();
    this.#experimentNames.set(experimentId, name);
  }

  /** Learns of a run that began elsewhere, so that what is written to it finds its experiment. */
  learn(started: StartedRun): void {
    const known = this.#runs.get(started.runId);
    if (known !== undefined) {
      if (this.#keepsTags) known.tags ??= tagMap(started);
      return;
    }
    if (this.#learned.size >= CACHE_MAX) this.#learned.clear();
    this.#learned.set(started.runId, this.#keepsTags ? started : { ...started, tags: undefined });
  }

  /** Learns the tags that an operation has set on a run, or taken from it. */
  learnTags({ tags }: RunState, { details }: Operation): void {
    if (tags === undefined || details === undefined) return;
    for (const { key, value } of details.tags ?? []) tags.set(key, value);
    if (details.deletedTag !== undefined) tags.delete(details.deletedTag);
  }

  // ── runs ───────────────────────────────────────────────────────────────────────────────────────

  get(runId: string): RunState | undefined {
    return this.#runs.get(runId);
  }

  /** A run as the server told of it, here or as it was asked; undefined when nobody did. */
  startedOf(runId: string): StartedRun | undefined {
    return this.#runs.get(runId)?.started ?? this.#learned.get(runId);
  }

  /** All tags of a run; undefined when they are not known, or no policy asks for them. */
  tagsOf(runId: string): ReadonlyMap<string, string> | undefined {
    const run = this.#runs.get(runId);
    if (run !== undefined) return run.tags;
    const learned = this.#keepsTags ? this.#learned.get(runId) : undefined;
    return learned && tagMap(learned);
  }

  /** The run that an operation writes; one that began elsewhere is opened by what changes it. */
  runOf(
    runId: string | undefined,
    attributes: GovernanceAttributes,
    changes: boolean,
  ): RunState | undefined {
    if (runId === undefined) return undefined;
    const known = this.#runs.get(runId);
    // Reading a run of somebody else's does not make it ours.
    if (known !== undefined || !changes) return known;
    return this.open(this.#learned.get(runId) ?? { runId }, attributes, 0n);
  }

  open(
    started: StartedRun,
    attributes: GovernanceAttributes,
    reserved: bigint,
  ): RunState | undefined {
    let node: number;
    try {
      node = this.#nodeOf(started, attributes);
    } catch (error) {
      // Known to the ledger under another payer, and forgotten here: its cost goes to a scope instead.
      if (hasCode(error, "ATTRIBUTION_IMMUTABLE")) return undefined;
      throw error;
    }
    const { tags: _, ...kept } = started;
    const state: RunState = {
      node,
      attributes,
      started: kept,
      parent: started.parentRunId === undefined ? undefined : this.#runs.get(started.parentRunId),
      reserved,
      own: 0n,
      inclusive: 0n,
      repeated: 0n,
      repeats: 0,
      emitted: 0n,
      span: undefined,
      failure: undefined,
      tags: this.#keepsTags ? tagMap(started) : undefined,
    };
    this.#makeRoom();
    this.#runs.set(started.runId, state);
    if (started.runName !== undefined) this.#runNames.set(started.runId, started.runName);
    return state;
  }

  /** Marks a run as ended in the ledger. */
  finish(run: RunState, status: RunStatus): void {
    this.onNode(
      run.node,
      () => this.reopen(run),
      (alive) => this.#engine.finishRun(alive, status),
    );
  }

  /** Adds a cost to a run, and to the inclusive cost of those above it. */
  book(run: RunState | undefined, cost: bigint): void {
    if (run === undefined || cost === 0n) return;
    if (run.parent === undefined) {
      // Most calls cost as much as the one before, and counting them is faster than adding them up.
      if (run.repeated !== cost) {
        this.sumUp(run);
        run.repeated = cost;
      }
      run.repeats++;
      return;
    }
    run.own += cost;
    for (let above: RunState | undefined = run; above !== undefined; above = above.parent) {
      above.inclusive += cost;
    }
  }

  /** Brings `own` and `inclusive` up to date. */
  sumUp(run: RunState): void {
    const cost = run.repeated * BigInt(run.repeats);
    run.repeats = 0;
    run.own += cost;
    run.inclusive += cost;
  }

  /** Whose call it is, as limits ask. */
  ownerOf(run: RunState | undefined): CallOwner {
    const nodes: number[] = [];
    for (let each = run; each !== undefined; each = each.parent) nodes.push(each.node);
    return { runId: run?.started.runId, nodes };
  }

  #nodeOf(started: StartedRun, attributes: GovernanceAttributes): number {
    return this.#engine.openRun({
      runId: started.runId,
      parentRunId: started.parentRunId,
      experiment: started.experimentId,
      team: attributes.team,
      project: attributes.project,
      customerId: attributes.customerId,
      environment: attributes.environment,
      costCenter: attributes.costCenter,
    });
  }

  /** Puts a run that was folded to make room back into the ledger. */
  reopen(run: RunState): number {
    run.node = this.#nodeOf(run.started, run.attributes);
    // It was over, or it would not have been folded.
    this.#engine.finishRun(run.node);
    return run.node;
  }

  /** Calls the ledger on a node; when that was folded to make room, on what takes its place. */
  onNode<T>(node: number, again: () => number, call: (alive: number) => T): T {
    try {
      return call(node);
    } catch (error) {
      if (!hasCode(error, "INVALID_HANDLE")) throw error;
      return call(again());
    }
  }

  #makeRoom(): void {
    if (this.#runs.size < this.#limit) return;
    for (const [runId, state] of this.#runs) {
      if (state.span !== undefined) continue;
      this.#runs.delete(runId);
      this.#runNames.delete(runId);
      return;
    }
  }

  // ── scopes ─────────────────────────────────────────────────────────────────────────────────────

  /** The node for what has no run; the same work under the same payer shares one. */
  scope(operation: Operation, attributes: GovernanceAttributes): number {
    const above = operation.parentRunId ?? operation.details?.newParentRunId;
    const parent = above === undefined ? undefined : this.#runs.get(above);
    const experiment = parent?.started.experimentId ?? operation.experimentId;
    // What a run has made is paid for by it; a run below it may have a payer of its own.
    const payer = (operation.parentRunId && parent?.attributes) || attributes;
    const { team, project, customerId, environment, costCenter } = payer;
    const key = JSON.stringify([
      parent?.node,
      experiment,
      operation.modelName,
      team,
      project,
      customerId,
      environment,
      costCenter,
    ]);
    const known = this.#scopes.get(key);
    if (known !== undefined) return known;
    const open = (above: number | undefined) =>
      this.#engine.openScope({
        parent: above,
        experiment,
        model: operation.modelName,
        team,
        project,
        customerId,
        environment,
        costCenter,
      });
    const scope = parent
      ? this.onNode(parent.node, () => this.reopen(parent), open)
      : open(undefined);
    // So that it can be folded as soon as its room is needed: it is found anew then.
    this.#engine.finishRun(scope);
    if (this.#scopes.size >= CACHE_MAX) this.#scopes.clear();
    this.#scopes.set(key, scope);
    return scope;
  }

  /** As {@link scope}, when the one that was known had been folded. */
  scopeAnew(operation: Operation, attributes: GovernanceAttributes): number {
    this.#scopes.clear();
    return this.scope(operation, attributes);
  }
}
