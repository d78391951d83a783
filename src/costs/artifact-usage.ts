// What advice on artifacts needs to know of them: copies, files of failed runs, models that nobody registered.
import type { Operation, Outcome } from "../governance/operation.js";
import type { Settlement } from "../governance/settlement.js";

/** Contents, runs, models and registrations that are remembered; the oldest are forgotten first, and counted. */
const REMEMBERED = 4096;
/** Folders of one run that are told apart, to find the models among them. */
const FOLDERS = 256;
/** Where a logged model lies, at least since MLflow 3: its id is in the path. */
const LOGGED_MODEL = /^(.*\/models\/(m-[0-9a-zA-Z]+)\/artifacts)\//;
const MLMODEL = "MLmodel";

/** Files and what they cost. Amounts in atto-USD. */
export interface FileSums {
  readonly name: string;
  readonly files: number;
  readonly bytes: number;
  readonly cost: bigint;
}

interface Sums {
  files: number;
  bytes: number;
  cost: bigint;
}

interface Content {
  readonly uri: string;
  readonly copies: Sums;
}

interface LiveRun extends Sums {
  readonly folders: Map<string, Sums>;
  /** Folders that hold a model → its path in the run. */
  readonly models: Map<string, string>;
}

interface Model extends Sums {
  /** Under which a registration may name it. */
  readonly sources: readonly string[];
}

function noSums(): Sums {
  return { files: 0, bytes: 0, cost: 0n };
}

function count(sums: Sums, { files, bytes, cost }: Sums): void {
  sums.files += files;
  sums.bytes += bytes;
  sums.cost += cost;
}

/** A map that forgets its oldest entries. */
class Recent<V> {
  readonly entries = new Map<string, V>();
  forgotten = 0;

  set(key: string, value: V): void {
    if (this.entries.size >= REMEMBERED && !this.entries.has(key)) {
      for (const oldest of this.entries.keys()) {
        this.entries.delete(oldest);
        this.forgotten++;
        break;
      }
    }
    this.entries.set(key, value);
  }
}

function folderOf(uri: string): string {
  return uri.slice(0, uri.lastIndexOf("/"));
}

/** Looks at artifact writes, run ends and registrations, in constant time each and in bounded memory. */
export class ArtifactUsage {
  readonly #contents = new Recent<Content>();
  readonly #liveRuns = new Recent<LiveRun>();
  readonly #failedRuns = new Recent<FileSums>();
  readonly #models = new Recent<Model>();
  readonly #registered = new Recent<true>();

  /** Is this anything that it looks at? Asked before a settlement is put together. */
  static concerns(operation: Operation, outcome: Outcome): boolean {
    return (
      operation.upload !== undefined ||
      outcome.endedRun !== undefined ||
      operation.modelSource !== undefined
    );
  }

  settled(settlement: Settlement): void {
    if (settlement.failed) return;
    const { operation, outcome, names } = settlement;
    if (operation.upload !== undefined) this.#stored(settlement, operation.upload.artifactUri);
    if (operation.modelSource !== undefined) this.#register(operation.modelSource);
    if (outcome.endedRun !== undefined) {
      const { runId, status } = outcome.endedRun;
      this.#endRun(runId, status, names.runName(runId) ?? runId);
    }
  }

  #stored(settlement: Settlement, uri: string): void {
    const { operation, outcome, storage } = settlement;
    const bytes = storage?.sizeBytes ?? 0;
    const file = { files: 1, bytes, cost: storage?.cost ?? 0n };
    if (outcome.contentDigest !== undefined && bytes > 0) {
      const key = `${bytes} ${outcome.contentDigest}`;
      const known = this.#contents.entries.get(key);
      if (known === undefined) this.#contents.set(key, { uri, copies: noSums() });
      else count(known.copies, file);
    }
    const { runId, upload } = operation;
    const logged = LOGGED_MODEL.exec(uri);
    if (logged !== null) {
      const [, root = "", id = ""] = logged;
      this.#addModel(root, [root, `models:/${id}`], file);
    }
    if (runId !== undefined) {
      this.#storedInRun(runId, uri, logged === null ? upload?.artifactPath : undefined, file);
    }
  }

  #storedInRun(runId: string, uri: string, path: string | undefined, file: Sums): void {
    let run = this.#liveRuns.entries.get(runId);
    if (run === undefined) {
      run = { ...noSums(), folders: new Map(), models: new Map() };
      this.#liveRuns.set(runId, run);
    }
    count(run, file);
    if (path === undefined) return;
    const folder = folderOf(uri);
    const sums = run.folders.get(folder);
    if (sums !== undefined) count(sums, file);
    else if (run.folders.size < FOLDERS) run.folders.set(folder, { ...file });
    if (path.endsWith(`/${MLMODEL}`)) run.models.set(folder, folderOf(path));
  }

  #addModel(root: string, sources: readonly string[], file: Sums): void {
    const model = this.#models.entries.get(root);
    if (model !== undefined) count(model, file);
    else this.#models.set(root, { ...file, sources });
  }

  #register(source: string): void {
    this.#registered.set(source.replace(/\/+$/, ""), true);
    for (const [root, { sources }] of this.#models.entries) {
      if (this.#isRegistered(sources)) this.#models.entries.delete(root);
    }
  }

  #isRegistered(sources: readonly string[]): boolean {
    return sources.some((source) => this.#registered.entries.has(source));
  }

  #endRun(runId: string, status: string, name: string): void {
    const run = this.#liveRuns.entries.get(runId);
    if (run === undefined || !["FINISHED", "FAILED", "KILLED"].includes(status)) return;
    this.#liveRuns.entries.delete(runId);
    if (status !== "FINISHED") {
      const { files, bytes, cost } = run;
      this.#failedRuns.set(runId, { name, files, bytes, cost });
    }
    for (const [root, model] of modelsOf(runId, run)) {
      if (!this.#isRegistered(model.sources)) this.#models.set(root, model);
    }
  }

  /** Contents that were written more than once, by their first place; the sums are those of the copies. */
  copies(): FileSums[] {
    const contents = [...this.#contents.entries.values()];
    return contents
      .filter(({ copies }) => copies.files > 0)
      .map(({ uri, copies }) => ({ name: uri, ...copies }));
  }

  /** Runs that failed or were killed, with the files they had written. */
  failedRuns(): FileSums[] {
    return [...this.#failedRuns.entries.values()];
  }

  /** Models without a version in the registry that was made of them. */
  unregisteredModels(): FileSums[] {
    const live = [...this.#liveRuns.entries].flatMap(([runId, run]) => modelsOf(runId, run));
    return [...this.#models.entries, ...live]
      .filter(([, { sources }]) => !this.#isRegistered(sources))
      .map(([name, { files, bytes, cost }]) => ({ name, files, bytes, cost }));
  }

  /** Contents, runs and models that were forgotten for lack of room: advice knows nothing of them. */
  get forgotten(): number {
    return [
      this.#contents,
      this.#liveRuns,
      this.#failedRuns,
      this.#models,
      this.#registered,
    ].reduce((sum, { forgotten }) => sum + forgotten, 0);
  }
}

/** The models among a run's folders, each with what lies below it. */
function modelsOf(runId: string, run: LiveRun): [root: string, model: Model][] {
  return [...run.models].map(([root, path]) => {
    const model = { ...noSums(), sources: [root, `runs:/${runId}/${path}`] };
    for (const [folder, sums] of run.folders) {
      if (folder === root || folder.startsWith(`${root}/`)) count(model, sums);
    }
    return [root, model];
  });
}
