// What became of one operation, for all who keep an account of their own: cost contexts, metrics, advice.
import { type StorageBackendMap, storageBackend, storageMeter } from "../costs/storage-backend.js";
import type { SummaryNames } from "../costs/totals.js";
import { type EngineOperation, usdToAtto } from "../engine/index.js";
import type { GovernanceAttributes } from "./attribution.js";
import type { Operation, Outcome, StartedRun } from "./operation.js";

/** One operation that has settled. Amounts in atto-USD, times in ms. */
export interface Settlement {
  readonly operation: Operation;
  /** Its row in the engine's table. */
  readonly entry: EngineOperation;
  /** Who paid. */
  readonly attributes: GovernanceAttributes;
  /** The run that it was booked on, or below. */
  readonly run: StartedRun | undefined;
  readonly experimentId: string | undefined;
  /** Storage included; 0 for a call that failed. */
  readonly cost: bigint;
  /** What the bytes cost; undefined when there were none. */
  readonly storage:
    | { readonly meter: string; readonly sizeBytes: number; readonly cost: bigint }
    | undefined;
  /** Bits of the engine's `FLAGS`. */
  readonly flags: number;
  readonly failed: boolean;
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly elapsedMs: number;
  readonly outcome: Outcome;
  /** Who knows the names of its run and experiment. */
  readonly names: SummaryNames;
}

/** Is told of each operation that has settled. What it throws is contained. */
export interface SettlementObserver {
  settled(settlement: Settlement): void;
}

/** What a settlement is made of; bytes and experiment are found in its operation. */
type Settled = Omit<Settlement, "experimentId" | "storage"> & {
  readonly storageBackends: StorageBackendMap;
  /** Bytes that were kept, all told. */
  readonly sizeBytes: number;
};

/** Tells what an operation's bytes cost apart from its call, and which experiment it belongs to. */
export function settlementOf(settled: Settled): Settlement {
  const { operation, entry, run, outcome, cost, storageBackends, sizeBytes, failed } = settled;
  const { upload } = operation;
  // Only bytes have to be told apart from their call.
  const ofCall =
    upload === undefined || entry.price === null ? 0n : usdToAtto(entry.price, entry.name);
  // Field by field: to spread them costs as much as all the rest.
  return {
    operation,
    entry,
    attributes: settled.attributes,
    run,
    cost,
    flags: settled.flags,
    failed,
    startMs: settled.startMs,
    elapsedMs: settled.elapsedMs,
    outcome,
    names: settled.names,
    experimentId: run?.experimentId ?? outcome.createdExperimentId ?? operation.experimentId,
    storage: upload && {
      meter: storageMeter(storageBackend(upload.artifactUri, storageBackends)),
      sizeBytes,
      cost: failed ? 0n : cost - ofCall,
    },
  };
}
