// Random workflows: most steps make sense after those before them, and some are meant to be refused.
import { random } from "../../engine/random.js";
import type { Json } from "../run-python.js";
import { comparable } from "./exceptions.js";
import {
  experimentSearch,
  loggedModelSearch,
  modelSearch,
  runSearch,
  versionSearch,
} from "./searches.js";
import {
  ALIASES,
  FILES,
  FINAL,
  LONG_AGO,
  STAGES,
  Words,
  WRONG_LOGGED,
  WRONG_MODELS,
} from "./words.js";
import type { Step, Values, Workflow } from "./workflow.js";

/** What a workflow is to be played on. */
export interface StoreKind {
  /** Of its MLflow; logged models, and tags that experiments lose, came with the third. */
  readonly major: number;
  /** A folder, without a server. */
  readonly isFolder: boolean;
}

const NAMES = ["@ one", "@ two", "@ größe/日 本"];
const MODELS = ["@ one", "@ two", "@ TOE 日"];
/** A model that is there from the beginning, and stays. */
const LASTING_MODEL = "@ lasting";
const NO_RUN = "f".repeat(32);
const NO_EXPERIMENT = "987654321";
const NO_LOGGED_MODEL = `m-${"f".repeat(32)}`;

/** Writes one workflow, and knows the names of what its steps make. */
class Writer {
  readonly steps: Step[] = [];
  readonly #experiments: string[] = [];
  readonly #runs: string[] = [];
  readonly #logged: string[] = [];
  #started = 0;
  readonly #hasNames: boolean;

  constructor(
    readonly words: Words,
    readonly store: StoreKind,
  ) {
    this.#hasNames = words.chance(50);
  }

  #add(call: string, values: Values, makes: readonly string[] = []): void {
    this.steps.push({ call, values, makes, isWrong: this.words.wrong(values) });
  }

  #experiment(): string {
    return this.words.chance(2) ? NO_EXPERIMENT : this.words.pick(this.#experiments);
  }

  #run(): string {
    return this.words.chance(2) ? NO_RUN : this.words.pick(this.#runs);
  }

  #loggedModel(): string {
    const { words } = this;
    return words.chance(3) ? NO_LOGGED_MODEL : words.pick(this.#logged);
  }

  #model(): string {
    return this.words.chance(3) ? "@ nobody" : this.words.pick(MODELS);
  }

  #version(): string {
    return this.words.pick(["1", "1", "2", "2", "3", "9"]);
  }

  /** Two runs that begin at one moment come in any order. */
  #startTime(): number {
    this.#started += 100;
    return LONG_AGO + this.#started;
  }

  /** Whoever orders by names has given them all. */
  #named<T extends object>(name: T): Partial<T> {
    return this.#hasNames ? name : this.words.some(name);
  }

  #newName(list: string[], kind: string): string {
    const name = `$${kind}${list.length}`;
    list.push(name);
    return name;
  }

  createExperiment(): void {
    const { words } = this;
    const values = { name: words.pick(NAMES), ...words.some({ tags: words.texts(2) }) };
    this.#add("createExperiment", values, [this.#newName(this.#experiments, "experiment")]);
  }

  #changeExperiment(): void {
    const { words } = this;
    const experimentId = this.#experiment();
    const key = words.key();
    const calls: readonly (readonly [string, Values])[] = [
      ["renameExperiment", { experimentId, name: words.pick(NAMES) }],
      ["setExperimentTag", { experimentId, key, value: words.text() }],
      ["setExperimentTag", { experimentId, key, value: words.text() }],
      ["deleteExperiment", { experimentId }],
      ["restoreExperiment", { experimentId }],
      ["restoreExperiment", { experimentId }],
      ["getExperiment", { experimentId }],
      ["getExperimentByName", { name: words.pick(NAMES) }],
      ["searchExperiments", experimentSearch(words)],
      ["searchExperiments", experimentSearch(words)],
      ...(this.store.major > 2 ? [["deleteExperimentTag", { experimentId, key }] as const] : []),
    ];
    this.#add(...words.pick(calls));
  }

  createRun(): void {
    const { words } = this;
    const parent = words.chance(30) && this.#runs.length > 0;
    const tags = {
      ...words.texts(2),
      ...(words.chance(20) && { "mlflow.user": "ada" }),
      ...(parent && { "mlflow.parentRunId": this.#run() }),
    };
    const values = {
      experimentId: this.#experiment(),
      startTime: this.#startTime(),
      ...words.some({ tags }),
      ...this.#named({ runName: words.pick(["one", "two", "Größe 日"]) }),
    };
    this.#add("createRun", values, [this.#newName(this.#runs, "run")]);
  }

  #metric(): Values {
    const { words } = this;
    return { key: words.key(), value: words.number(), timestamp: words.time(), step: words.step() };
  }

  #logToRun(): void {
    const { words } = this;
    const runId = this.#run();
    const key = words.key();
    const modelId = this.#logged.length > 0 && words.chance(40) ? this.#loggedModel() : undefined;
    const model = modelId === undefined ? {} : { modelId };
    const batch = {
      metrics: Array.from({ length: words.random.below(6) }, () => this.#metric()) as Json,
      params: words.texts(3),
      tags: words.texts(3),
    };
    const input = {
      dataset: words.dataset(),
      ...words.some({ context: words.pick(["training", "größe"]), tags: words.texts(1) }),
    };
    const calls: readonly (readonly [string, Values])[] = [
      ["logMetric", { runId, ...this.#metric() }],
      ["logMetric", { runId, ...this.#metric(), ...model }],
      ["logMetric", { runId, key: "loss", value: words.number() }],
      ["logParam", { runId, key, value: words.text() }],
      ["logParam", { runId, key, value: words.text() }],
      ["setTag", { runId, key, value: words.text() }],
      ["deleteTag", { runId, key }],
      ["logBatch", { runId, ...words.some(batch) }],
      ["logBatch", { runId, ...batch }],
      ["logInputs", { runId, datasets: [input] as Json }],
    ];
    this.#add(...words.pick(calls));
  }

  #changeRun(): void {
    const { words } = this;
    const runId = this.#run();
    const runName = words.pick(["one", "other", "Größe"]);
    const end = { status: words.chance(5) ? words.status() : words.pick(FINAL) };
    const calls: readonly (readonly [string, Values])[] = [
      ["updateRun", { runId, ...words.some({ status: words.status(), runName }) }],
      ["setTerminated", { runId, ...end, ...words.some({ endTime: words.time() }) }],
      ["setTerminated", { runId, ...end, ...words.some({ endTime: words.time() }) }],
      ["deleteRun", { runId }],
      ["restoreRun", { runId }],
      ["restoreRun", { runId }],
      ["getRun", { runId }],
      ["getParentRun", { runId }],
      ["getMetricHistory", { runId, key: words.key() }],
    ];
    this.#add(...words.pick(calls));
  }

  #searchRuns(): void {
    this.#add(
      "searchRuns",
      runSearch(this.words, this.words.random.shuffle(this.#experiments), this.#hasNames),
    );
  }

  #fluentRun(): void {
    const { words } = this;
    const makes: string[] = [];
    const resumes = words.chance(30);
    const experimentId = this.#experiment();
    const options = {
      ...this.#named({ runName: words.pick(["one", "fluent"]) }),
      ...words.some({ description: words.pick(["what it is", "größe\n"]), tags: words.texts(2) }),
    };
    const place = resumes
      ? { runId: this.#run() }
      : { experimentId, ...(words.chance(20) && { parentRunId: this.#run() }) };
    const inner = { ...this.#named({ runName: "inner" }), experimentId };
    const nested = words.chance(40) ? [this.#block({ ...inner, tags: words.texts(1) })] : [];
    const run = { ...this.#block({ ...options, ...place }), nested };
    // A resumed run is told too, and has its name already.
    makes.push(this.#newName(this.#runs, "run"));
    if (nested.length > 0) makes.push(this.#newName(this.#runs, "run"));
    this.#add("fluentRun", { run: run as Json }, makes);
  }

  #block(options: object) {
    const { words } = this;
    const calls: readonly (() => Json[])[] = [
      () => ["logMetric", words.key(), words.number(), words.step()],
      () => ["logMetrics", words.record(3, () => words.number()), words.step()],
      () => ["logParam", words.key(), words.text()],
      () => ["logParams", words.texts(3)],
      () => ["setTag", words.key(), words.text()],
      () => ["setTags", words.texts(3)],
      () => ["deleteTag", words.key()],
      () => ["logText", words.text(), words.file()],
    ];
    const body = Array.from({ length: words.random.below(4) }, () => words.pick(calls)());
    const ends = words.chance(25) ? { endsAs: words.pick(FINAL) } : { fails: words.chance(25) };
    return { options, body, ...ends };
  }

  #artifacts(): void {
    const { words } = this;
    const runId = this.#run();
    const file = words.pick(FILES);
    const dictionary = { a: 1, b: [1.5, null, "x"], "c d": { e: true } };
    const files = { "one.txt": words.base64(), "sub ü/two.bin": words.base64() };
    const calls: readonly (readonly [string, Values])[] = [
      ["logText", { runId, text: words.text(), artifactFile: words.file() }],
      ["logDict", { runId, dictionary, artifactFile: words.pick(["a.json", "b/c.json"]) }],
      ["logBytes", { runId, content: words.base64(), artifactFile: file }],
      ["logArtifacts", { runId, files, ...words.some({ artifactPath: "data/more" }) }],
      ["listArtifacts", { runId, ...words.some({ path: words.pick(["data", file, "nope"]) }) }],
      ["downloadArtifacts", { runId, path: words.pick(["", "data", file, "nope.txt"]) }],
      ["loadText", { uri: `runs:/${runId}/${file}` }],
      ["loadDict", { uri: `runs:/${runId}/a.json` }],
    ];
    this.#add(...words.pick(calls));
  }

  createModel(): void {
    const { words } = this;
    const name = words.chance(5) ? words.pick(WRONG_MODELS) : words.pick(MODELS);
    const more = words.some({ description: words.text(), tags: words.texts(2) });
    this.#add("createRegisteredModel", { name, ...more });
  }

  createLastingModel(): void {
    this.#add("createRegisteredModel", { name: LASTING_MODEL });
  }

  #createVersion(): void {
    const { words } = this;
    const name = this.#model();
    const runId = this.#run();
    const source = words.pick(["s3://bucket/a", "s3://bucket/größe b"]);
    const more = words.some({ runId, description: words.text(), tags: words.texts(2) });
    const modelUri = words.pick([source, `runs:/${runId}/model`, `models:/${name}/1`]);
    const tags = words.some({ tags: words.texts(2) });
    const calls: readonly (readonly [string, Values])[] = [
      ["createModelVersion", { name, source, ...more }],
      ["createModelVersion", { name, source, ...more }],
      ["createModelVersion", { name, source: `runs:/${runId}/model`, ...more }],
      ["registerModel", { modelUri, name: LASTING_MODEL, ...tags }],
      ["copyModelVersion", { modelUri: `models:/${name}/1`, newName: LASTING_MODEL }],
    ];
    this.#add(...words.pick(calls));
  }

  #changeModel(): void {
    const { words } = this;
    const name = this.#model();
    const [key, value, alias] = [words.key(), words.text(), words.pick(ALIASES)];
    const version = this.#version();
    const calls: readonly (readonly [string, Values])[] = [
      ["getRegisteredModel", { name }],
      ["renameRegisteredModel", { name, newName: words.pick(MODELS) }],
      ["updateRegisteredModel", { name, description: value }],
      ["deleteRegisteredModel", { name }],
      ["setRegisteredModelTag", { name, key, value }],
      ["deleteRegisteredModelTag", { name, key }],
      ["setRegisteredModelAlias", { name, alias: words.newAlias(), version }],
      ["setRegisteredModelAlias", { name, alias, version }],
      ["deleteRegisteredModelAlias", { name, alias }],
      ["getModelVersionByAlias", { name, alias }],
      ["getLatestVersions", { name, ...words.some({ stages: [words.pick(STAGES)] }) }],
      ["searchRegisteredModels", modelSearch(words)],
      ["searchRegisteredModels", modelSearch(words)],
    ];
    this.#add(...words.pick(calls));
  }

  #changeVersion(): void {
    const { words } = this;
    const name = words.chance(25) ? LASTING_MODEL : this.#model();
    const of = { name, version: this.#version() };
    const [key, value] = [words.key(), words.text()];
    const stage = words.stage();
    const calls: readonly (readonly [string, Values])[] = [
      ["getModelVersion", of],
      ["getModelVersionDownloadUri", of],
      ["updateModelVersion", { ...of, description: value }],
      ["transitionModelVersionStage", { ...of, stage, archive: words.chance(40) }],
      ["transitionModelVersionStage", { ...of, stage, archive: words.chance(40) }],
      ["deleteModelVersion", of],
      ["setModelVersionTag", { ...of, key, value }],
      ["deleteModelVersionTag", { ...of, key }],
      ["searchModelVersions", versionSearch(words, MODELS)],
      ["searchModelVersions", versionSearch(words, MODELS)],
    ];
    this.#add(...words.pick(calls));
  }

  createLoggedModel(): void {
    const { words } = this;
    const name = words.chance(6) ? words.pick(WRONG_LOGGED) : words.pick(["one", "two"]);
    const more = words.some({
      sourceRunId: this.#run(),
      modelType: words.pick(["agent", "größe"]),
      params: words.texts(2),
      tags: words.texts(2),
    });
    const values = { experimentId: this.#experiment(), ...this.#named({ name }), ...more };
    this.#add("createLoggedModel", values, [this.#newName(this.#logged, "logged")]);
  }

  #changeLoggedModel(): void {
    const { words } = this;
    const modelId = this.#loggedModel();
    const runId = this.#run();
    const status = words.pick(["READY", "READY", "UPLOAD_FAILED"]);
    const search = () => loggedModelSearch(words, this.#experiments, this.#hasNames);
    const version = { modelUri: `models:/${modelId}`, name: LASTING_MODEL };
    const calls: readonly (readonly [string, Values])[] = [
      ["getLoggedModel", { modelId }],
      ["finalizeLoggedModel", { modelId, status }],
      ["deleteLoggedModel", { modelId }],
      ["setLoggedModelTags", { modelId, tags: words.texts(2) }],
      ["deleteLoggedModelTag", { modelId, key: words.key() }],
      ["logModelParams", { modelId, params: words.texts(2) }],
      ["logOutputs", { runId, models: [{ modelId, step: words.random.below(3) }] }],
      ["logInputs", { runId, modelIds: [modelId] }],
      ["searchLoggedModels", search()],
      ["searchLoggedModels", search()],
      ["registerModel", version],
    ];
    this.#add(...words.pick(calls));
  }

  /** One step more, of any kind. */
  more(): void {
    const { words } = this;
    const kinds: readonly (readonly [number, () => void])[] = [
      [1, () => this.createExperiment()],
      [3, () => this.#changeExperiment()],
      [2, () => this.createRun()],
      [7, () => this.#logToRun()],
      [4, () => this.#changeRun()],
      [4, () => this.#searchRuns()],
      [2, () => this.#fluentRun()],
      [4, () => this.#artifacts()],
      [1, () => this.createModel()],
      [3, () => this.#createVersion()],
      [4, () => this.#changeModel()],
      [4, () => this.#changeVersion()],
      ...(this.store.major > 2
        ? ([
            [1, () => this.createLoggedModel()],
            [4, () => this.#changeLoggedModel()],
          ] as const)
        : []),
    ];
    const total = kinds.reduce((sum, [weight]) => sum + weight, 0);
    let chosen = words.random.below(total);
    for (const [weight, write] of kinds) {
      chosen -= weight;
      if (chosen >= 0) continue;
      write();
      return;
    }
  }
}

/** The workflow of a seed: it makes one of everything, then goes on as chance has it. */
export function workflowOf(seed: number, length: number, store: StoreKind): Workflow {
  const writer = new Writer(new Words(random(seed)), store);
  writer.createExperiment();
  writer.createRun();
  writer.createModel();
  writer.createLastingModel();
  if (store.major > 2) writer.createLoggedModel();
  while (writer.steps.length < length) writer.more();
  return { seed, steps: comparable(writer.steps, store) };
}
