// One operation as governance sees it: what it is, what it touches, how much. Every way in makes the same.
import type { RunTag } from "./attribution.js";

/** What a call says beside what it costs. */
export interface OperationDetails {
  /** Name that is given to a new or renamed run, experiment or registered model. */
  readonly newName?: string | undefined;
  /** Where the artifacts of a new experiment are to be. */
  readonly artifactLocation?: string | undefined;
  /** Status that a run is given. */
  readonly status?: string | undefined;
  /** Tags that are set on a run. */
  readonly tags?: readonly RunTag[] | undefined;
  /** The run below which a new one is begun. */
  readonly newParentRunId?: string | undefined;
  /** Key of a tag that is taken from a run. */
  readonly deletedTag?: string | undefined;
  /** Stage that a model version is in, before it is moved. */
  readonly currentStage?: string | undefined;
}

/** One file or object that is kept. */
export interface Upload {
  readonly artifactUri: string;
  /** Below the artifacts of its run or model; absent where only the URI is known. */
  readonly artifactPath?: string | undefined;
  /** Absent for bytes that nobody knows beforehand: they are told as they go by. */
  readonly sizeBytes?: number | undefined;
}

/** Made by an instrumentation before the call runs. */
export interface Operation {
  /** Name in the engine's table, for example `log_batch`. */
  readonly name: string;
  /** Its row there, where it was looked up already. */
  readonly id?: number | undefined;
  /** The run that is written, when there is one. */
  readonly runId?: string | undefined;
  /** Is the run nobody's that is known? Then it is that of its first writer, once the call has succeeded. */
  readonly claimsRun?: boolean | undefined;
  /** The run above what is written: registry work is told which run a model came from. */
  readonly parentRunId?: string | undefined;
  readonly experimentId?: string | undefined;
  readonly modelName?: string | undefined;
  readonly modelVersion?: string | undefined;
  readonly modelStage?: string | undefined;
  /** What a model version is made of: a URI, `models:/<id>` for a logged model. */
  readonly modelSource?: string | undefined;
  /** Bytes kept, and where. */
  readonly upload?: Upload | undefined;
  /** What only policies ask for; absent for operations that have nothing of it. */
  readonly details?: OperationDetails | undefined;
  /** What a batch carries; 1 for a single call. */
  readonly items: number;
}

/** A run that a call has brought into being. */
export interface StartedRun {
  readonly runId: string;
  readonly runName?: string | undefined;
  readonly parentRunId?: string | undefined;
  readonly experimentId?: string | undefined;
  readonly artifactUri?: string | undefined;
  /** All tags that it has; absent when they are not known. */
  readonly tags?: readonly RunTag[] | undefined;
}

/** What a reply teaches; {@link NOTHING_LEARNED} for most. */
export interface Outcome {
  /** Set by the call that creates a run. */
  readonly startedRun?: StartedRun | undefined;
  /** Set by the call that creates an experiment. */
  readonly createdExperimentId?: string | undefined;
  /** Set by the call that ends a run. */
  readonly endedRun?: { readonly runId: string; readonly status: string } | undefined;
  readonly modelVersion?: string | undefined;
  readonly modelStage?: string | undefined;
  /** Of the bytes that were kept, where the client tells it. */
  readonly contentDigest?: string | undefined;
}

/** Compared by identity. */
export const NOTHING_LEARNED: Outcome = Object.freeze({});
