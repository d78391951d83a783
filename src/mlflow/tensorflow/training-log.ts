// Logging one training while it runs: nothing that fails here reaches the training.
import type { MlflowClient } from "../client.js";
import { reasonOf } from "../errors.js";
import { TFJS_FLAVORS, tfjsFilesOf } from "../models/tfjs.js";
import { metricsWrite, paramsWrite, tagsWrite } from "../run-writes.js";
import {
  type FitArguments,
  signatureOf,
  summaryOf,
  type TrainedModel,
  trainingParams,
} from "./training.js";

/** It runs beside the training already, and what is lost is told at once. */
const AT_ONCE = { synchronous: true } as const;

/** What is logged of trainings. */
export interface AutologOptions {
  /** Logs the model when the training is over; true when left out. */
  readonly logModels?: boolean | undefined;
  /** Logs metrics of every n-th epoch, and of the last; 1 when left out. */
  readonly logEveryNEpochs?: number | undefined;
  /** With the shapes of the model's inputs and outputs; true when left out. */
  readonly logModelSignatures?: boolean | undefined;
  /** Registers each model under this name. */
  readonly registeredModelName?: string | undefined;
  /** Added to each run. */
  readonly extraTags?: Readonly<Record<string, string>> | undefined;
  /** Says nothing on the console when something cannot be logged; false when left out. */
  readonly silent?: boolean | undefined;
}

/** The run that a training is logged to. */
export interface TrainingRun {
  readonly client: MlflowClient;
  readonly runId: string;
}

export class TrainingLog {
  readonly #run: TrainingRun;
  readonly #options: AutologOptions;
  /** Writes one after the other, beside the training. */
  #pending: Promise<void> = Promise.resolve();
  #last: { readonly epoch: number; readonly metrics: Record<string, number> } | undefined;
  #loggedEpoch = -1;

  constructor(run: TrainingRun, options: AutologOptions) {
    this.#run = run;
    this.#options = options;
  }

  #later(what: string, work: (run: TrainingRun) => Promise<unknown>): void {
    this.#pending = this.#pending.then(async () => {
      try {
        await work(this.#run);
      } catch (error) {
        this.#report(what, error);
      }
    });
  }

  #report(what: string, error: unknown): void {
    if (this.#options.silent) return;
    console.warn(`mlflow: ${what} of a training could not be logged: ${reasonOf(error)}`);
  }

  /** What is known before the first epoch. */
  begin(model: TrainedModel, args: FitArguments, isDataset: boolean): void {
    const tags = { "mlflow.autologging": "tensorflow", ...this.#options.extraTags };
    this.#later("the tags", ({ client, runId }) => client.write(runId, tagsWrite(tags, AT_ONCE)));
    this.#later("the params", ({ client, runId }) =>
      client.write(runId, paramsWrite(trainingParams(model, args, isDataset), AT_ONCE)),
    );
    this.#later("the summary", async ({ client, runId }) => {
      const summary = summaryOf(model);
      if (summary !== undefined) await client.logText(runId, summary, "model_summary.txt");
    });
  }

  /** `logs` are the numbers of an epoch, as TensorFlow.js tells them to callbacks. */
  epochEnded(epoch: number, logs: Readonly<Record<string, unknown>> | undefined): void {
    const numbers = Object.entries(logs ?? {}).filter(([, value]) => typeof value === "number");
    this.#last = { epoch, metrics: Object.fromEntries(numbers) as Record<string, number> };
    if ((epoch + 1) % (this.#options.logEveryNEpochs ?? 1) === 0) this.#logLast();
  }

  #logLast(): void {
    const last = this.#last;
    if (last === undefined || last.epoch === this.#loggedEpoch) return;
    this.#loggedEpoch = last.epoch;
    const options = { ...AT_ONCE, step: last.epoch, timestamp: Date.now() };
    this.#later("the metrics", ({ client, runId }) =>
      client.write(runId, metricsWrite(last.metrics, options)),
    );
  }

  /** Everything that is left, and the model as it is when this is called. */
  async end(model: TrainedModel): Promise<void> {
    this.#logLast();
    const { logModels = true, logModelSignatures = true, registeredModelName } = this.#options;
    if (logModels) {
      this.#later("the model", async ({ client, runId }) => {
        await client.logModel({ runId }, await tfjsFilesOf(model), {
          flavors: TFJS_FLAVORS,
          signature: logModelSignatures ? signatureOf(model) : undefined,
          registeredModelName,
        });
      });
    }
    await this.#pending;
  }

  /** What was begun before the training failed. */
  async settle(): Promise<void> {
    this.#logLast();
    await this.#pending;
  }
}
