// The active run: which run follows the program's flow, and which store is in force.
import { asyncDispose, createAsyncContext } from "../../runtime/capabilities.js";
import type { MlflowClient } from "../client.js";
import type { Run, RunStatus } from "../entities.js";
import { MlflowError } from "../errors.js";
import { getTrackingUri } from "../store-uri.js";
import { clientFor } from "./clients.js";

/** A run that is open. It ends FINISHED at the end of an `await using` block. */
export interface ActiveRun extends Run, AsyncDisposable {}

/** A run in the flow of the program. */
export class Frame {
  /** Undefined until the store has created it. */
  run: ActiveRun | undefined;
  ended = false;
  readonly started: Promise<ActiveRun>;

  constructor(
    readonly client: MlflowClient,
    /** The store was chosen for this run, or for one around it. */
    readonly hasOwnStore: boolean,
    /** It ends with a callback; a bare one is open until somebody ends it. */
    readonly hasCallback: boolean,
    readonly parent: Frame | undefined,
    create: () => Promise<Run>,
  ) {
    this.started = this.#start(create);
    // Whoever waits for it gets the error; nobody has to.
    this.started.catch(() => {});
  }

  async #start(create: () => Promise<Run>): Promise<ActiveRun> {
    try {
      const run = await create();
      const end = () => endWithInner(this, "FINISHED");
      this.run = { ...run, [asyncDispose]: end };
      latest = { client: this.client, runId: run.info.runId };
      return this.run;
    } catch (error) {
      this.ended = true;
      throw error;
    }
  }

  async end(status: RunStatus): Promise<void> {
    if (this.ended || this.run === undefined) return;
    this.ended = true;
    bareFrames.delete(this);
    await this.client.setTerminated(this.run.info.runId, status);
  }

  isInside(other: Frame): boolean {
    let frame = this.parent;
    while (frame !== undefined && frame !== other) frame = frame.parent;
    return frame === other;
  }
}

export const frames = createAsyncContext<Frame>();
/** Runs opened with `startRun` and not ended yet. */
export const bareFrames = new Set<Frame>();
/** The run that was started last in this process. */
let latest: { readonly client: MlflowClient; readonly runId: string } | undefined;

export function latestRun(): typeof latest {
  return latest;
}

/**
 * The frame around the current call. An ended one is over; one that is still being created belongs
 * to a branch that runs beside this one, whose parent is ours too.
 */
export function enclosingFrame(): Frame | undefined {
  let frame = frames.get();
  while (frame !== undefined && (frame.ended || frame.run === undefined)) frame = frame.parent;
  return frame;
}

function pendingFrame(): Frame | undefined {
  let frame = frames.get();
  while (frame !== undefined && (frame.ended || frame.run !== undefined)) frame = frame.parent;
  return frame;
}

/** The frame that a log call means: around it, begun beside it, or the only open run there is. */
export function targetFrame(): Frame | undefined {
  const frame = enclosingFrame() ?? pendingFrame();
  if (frame !== undefined) return frame;
  if (bareFrames.size > 1) {
    const ids = Array.from(bareFrames, ({ run }) => `'${run?.info.runId}'`).slice(0, 5);
    const more = bareFrames.size > ids.length ? " and others" : "";
    throw new MlflowError(
      "INVALID_STATE",
      `Several runs are open and none of them was started here: ${ids.join(", ")}${more}. Use withRun(), or MlflowClient with a run id.`,
    );
  }
  for (const only of bareFrames) return only;
  return undefined;
}

/** Ends a run and those that were left open inside it. */
export async function endWithInner(frame: Frame, status: RunStatus): Promise<void> {
  const inner = Array.from(bareFrames).filter((open) => open.isInside(frame));
  const ends = await Promise.allSettled(inner.map((open) => open.end(status)));
  await frame.end(status);
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** The store of the run around this call when that run was told one, else the one in force. */
export function currentClient(): MlflowClient {
  const frame = enclosingFrame();
  return frame?.hasOwnStore ? frame.client : clientFor(getTrackingUri());
}
