// Who pays for a run: what was seen when it was created, else what the server's tags say under our signature.
import {
  ATTRIBUTE_NAMES,
  ATTRIBUTES,
  attributesOfTags,
  type GovernanceAttributes,
  type RunTag,
} from "../governance/attribution.js";
import type { Governor } from "../governance/governor.js";
import type { StartedRun } from "../governance/operation.js";
import { readStartedRun } from "../instrumentation/mlflow-calls.js";
import { learnModel, runOfModel } from "../instrumentation/wire/request.js";
import type { IdentifiedCaller } from "./callers.js";
import type { PayerSignatures } from "./signature.js";
import type { Asker, Upstream, UpstreamAnswer } from "./upstream.js";

function runIn(body: unknown): StartedRun | undefined {
  return readStartedRun((body as { run?: unknown } | undefined)?.run);
}

/** Tags that only the gateway sets; databases may take keys for equal whose letters differ in case. */
const OWN_TAGS = "genops.";

function isOwnTag(key: string): boolean {
  return key.trimStart().toLowerCase().startsWith(OWN_TAGS);
}

/** Runs whose makers are kept in mind. */
const MAKERS_MAX = 65_536;
/** Stands for a run of which the server has not told whose it is. */
const UNTOLD_RUN = "one of its runs";
/** Pages of 1,000 runs that are looked through before an experiment is deleted. */
const PAGES_MAX = 50;

/** What a request says of a run's tags that it may not; undefined when it is nothing. */
export function forgedTag(
  tags: readonly RunTag[],
  { attributes, openToTags }: IdentifiedCaller,
): string | undefined {
  const said = attributesOfTags(tags);
  // Who repeats what is known of him forges nothing.
  const own = ATTRIBUTES.filter(
    (name) =>
      said[name] !== undefined && (openToTags.includes(name) || attributes[name] === said[name]),
  ).map((name) => `${OWN_TAGS}${ATTRIBUTE_NAMES[name]}`);
  return tags.find(({ key }) => isOwnTag(key) && !own.includes(key))?.key;
}

/** Who pays for a new run: the caller, and what its tags may say of it. */
export function payerOfNewRun(
  tags: readonly RunTag[],
  { attributes, openToTags }: IdentifiedCaller,
): GovernanceAttributes {
  const said = attributesOfTags(tags);
  const open = openToTags.filter((name) => said[name] !== undefined);
  return { ...attributes, ...Object.fromEntries(open.map((name) => [name, said[name]])) };
}

/** Is a run somebody else's? What tags may say freely tells nobody apart. */
export function isForeign(
  payer: GovernanceAttributes,
  { attributes, openToTags }: IdentifiedCaller,
): boolean {
  return ATTRIBUTES.some(
    (name) => name !== "feature" && !openToTags.includes(name) && payer[name] !== attributes[name],
  );
}

/** The server does not say whose a run is, though it may well be somebody's. */
export class UntoldPayerError extends Error {
  constructor(runId: string, reason: string) {
    super(`the MLflow server did not say whose run ${runId} is: ${reason}`);
    this.name = "UntoldPayerError";
  }
}

/** Who pays for a run: `nobody` that is known, or somebody of whom the server tells this caller nothing. */
export type RunPayer = GovernanceAttributes | "nobody" | "hidden";

/** Statuses by which a server says that there is no such run, or none for this caller. */
const NOTHING_TO_TELL: readonly number[] = [400, 401, 403, 404];

export class Payers {
  readonly #governor: Governor;
  readonly #upstream: Upstream;
  readonly #signatures: PayerSignatures;
  /** Run → whose credentials made it. */
  readonly #makers = new Map<string, string>();
  /** Questions under way, so that a run is asked for once. */
  readonly #asked = new Map<string, Promise<RunPayer>>();

  constructor(governor: Governor, upstream: Upstream, signatures: PayerSignatures) {
    this.#governor = governor;
    this.#upstream = upstream;
    this.#signatures = signatures;
  }

  /** Keeps in mind with which credentials a run was made: with those it is written whatever they grant by then. */
  made(runId: string, identity: string | undefined): void {
    if (identity === undefined || this.#makers.has(runId)) return;
    if (this.#makers.size >= MAKERS_MAX) {
      const [oldest = ""] = this.#makers.keys();
      this.#makers.delete(oldest);
    }
    this.#makers.set(runId, identity);
  }

  isMaker(runId: string | undefined, identity: string | undefined): boolean {
    return runId !== undefined && identity !== undefined && this.#makers.get(runId) === identity;
  }

  /** The run that made a logged model; undefined for none, and where the server does not tell. */
  async runOfModel(modelId: string, asker: Asker): Promise<string | undefined> {
    const known = runOfModel(this.#governor, modelId);
    if (known !== undefined) return known;
    const path = `/api/2.0/mlflow/logged-models/${encodeURIComponent(modelId)}`;
    try {
      const { status, body } = await this.#upstream.ask("GET", path, asker);
      const found = (body as { model?: { info?: { source_run_id?: unknown } } } | undefined)?.model
        ?.info?.source_run_id;
      if (status !== 200 || typeof found !== "string" || found === "") return undefined;
      learnModel(this.#governor, modelId, found);
      return found;
    } catch (error) {
      this.#governor.contain(error);
      return undefined;
    }
  }

  /** A run in an experiment of which `isForeign` says that it is somebody else's; {@link UNTOLD_RUN} when not all can be told. */
  async foreignRunIn(
    experimentId: string,
    asker: Asker,
    isForeign: (runId: string, payer: GovernanceAttributes) => boolean,
  ): Promise<string | undefined> {
    const path = "/api/2.0/mlflow/runs/search";
    const asked = { experiment_ids: [experimentId], run_view_type: "ALL", max_results: 1000 };
    let token: string | undefined;
    for (let page = 0; page < PAGES_MAX; page++) {
      const question = token === undefined ? asked : { ...asked, page_token: token };
      const answer = await this.#upstream.ask("POST", path, asker, question).catch(() => undefined);
      if (answer?.status !== 200) return UNTOLD_RUN;
      const { runs, next_page_token } = (answer.body ?? {}) as Record<string, unknown>;
      for (const each of Array.isArray(runs) ? runs : []) {
        const run = readStartedRun(each);
        if (run === undefined) continue;
        const payer =
          this.#governor.runs.get(run.runId)?.attributes ??
          this.#signatures.payerOf(run.tags ?? [], run.experimentId ?? "");
        if (payer !== undefined && isForeign(run.runId, payer)) return run.runId;
      }
      if (typeof next_page_token !== "string" || next_page_token === "") return undefined;
      token = next_page_token;
    }
    return UNTOLD_RUN;
  }

  /** The tags that a new run is given. */
  tagsOf(attributes: GovernanceAttributes, experimentId: string): RunTag[] {
    return this.#signatures.sign(attributes, experimentId);
  }

  /**
   * Who pays for a run that is written; with `nobody` it is whoever writes it first.
   * The server is asked in the name of the caller.
   * Rejects with an {@link UntoldPayerError} when it gives no answer that says so.
   */
  payerOf(runId: string, asker: Asker): RunPayer | Promise<RunPayer> {
    const known = this.#governor.runs.get(runId);
    if (known !== undefined) return known.attributes;
    const under = JSON.stringify([runId, asker]);
    const asked = this.#asked.get(under);
    if (asked !== undefined) return asked;
    const asking = this.#ask(runId, asker).finally(() => this.#asked.delete(under));
    this.#asked.set(under, asking);
    return asking;
  }

  async #ask(runId: string, asker: Asker): Promise<RunPayer> {
    const { status, body } = await this.#get(runId, asker).catch((error: Error) => {
      throw new UntoldPayerError(runId, error.message);
    });
    if (NOTHING_TO_TELL.includes(status)) return "hidden";
    const run = status === 200 ? runIn(body) : undefined;
    if (run === undefined) {
      throw new UntoldPayerError(runId, `it answered with status ${status}`);
    }
    this.#governor.learnRun(run);
    return this.#signatures.payerOf(run.tags ?? [], run.experimentId ?? "") ?? "nobody";
  }

  /** Tells the server who pays for a run that was made without its tags; past all that governs. Never rejects. */
  async mark({ runId, experimentId = "" }: StartedRun, payer: GovernanceAttributes, asker: Asker) {
    const tags = this.tagsOf(payer, experimentId);
    if (tags.length === 0) return;
    const told = { run_id: runId, tags };
    try {
      const path = "/api/2.0/mlflow/runs/log-batch";
      const { status } = await this.#upstream.ask("POST", path, asker, told);
      if (status !== 200) throw new Error(`the tags of run ${runId} were answered with ${status}`);
    } catch (error) {
      this.#governor.contain(error);
    }
  }

  /** What the server knows of a run; undefined when it does not tell. */
  async run(runId: string, asker: Asker): Promise<StartedRun | undefined> {
    try {
      const { status, body } = await this.#get(runId, asker);
      return status === 200 ? runIn(body) : undefined;
    } catch (error) {
      this.#governor.contain(error);
      return undefined;
    }
  }

  #get(runId: string, asker: Asker): Promise<UpstreamAnswer> {
    const path = `/api/2.0/mlflow/runs/get?run_id=${encodeURIComponent(runId)}`;
    return this.#upstream.ask("GET", path, asker);
  }

  /** The stage of a model version, as policies ask for it. */
  async stageOf(name: string, version: string, asker: Asker): Promise<string | undefined> {
    const query = `name=${encodeURIComponent(name)}&version=${encodeURIComponent(version)}`;
    const path = `/api/2.0/mlflow/model-versions/get?${query}`;
    try {
      const { status, body } = await this.#upstream.ask("GET", path, asker);
      const found = (body as { model_version?: { current_stage?: unknown } } | undefined)
        ?.model_version?.current_stage;
      return status === 200 && typeof found === "string" ? found : undefined;
    } catch (error) {
      this.#governor.contain(error);
      return undefined;
    }
  }
}
