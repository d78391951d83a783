// Files that do not pass the gateway in one piece: uploads in parts, and to URLs that the server has signed. The
// server is asked how large they have become.
import type { Governor, Pending } from "../governance/governor.js";
import type { Transfer } from "../instrumentation/wire/request.js";
import type { Asker, Upstream } from "./upstream.js";

/** Uploads in parts that are kept at once; the oldest is then taken for abandoned. */
const KEPT_MAX = 10_000;
/** After so many ms the server is asked whether a file that was sent past it is there. */
const LOOKS_MS: readonly number[] = [1000, 5000, 30_000, 120_000, 600_000, 3_000_000];

interface Listed {
  readonly path?: unknown;
  readonly is_dir?: unknown;
  readonly file_size?: unknown;
}

interface Watched {
  readonly pending: Pending;
  readonly transfer: Transfer;
  readonly asker: Asker;
  looks: number;
  timer: NodeJS.Timeout | undefined;
}

/** Asks what is in a folder: of the server's whole root, of a logged model, or of a run. */
function listOf(folder: string, runId: string | undefined, { path, modelId }: Transfer): string {
  const inFolder = encodeURIComponent(folder);
  if (path !== undefined) return `/api/2.0/mlflow-artifacts/artifacts?path=${inFolder}`;
  if (modelId === undefined) {
    return `/api/2.0/mlflow/artifacts/list?run_id=${encodeURIComponent(runId ?? "")}&path=${inFolder}`;
  }
  const ofModel = `/api/2.0/mlflow/logged-models/${encodeURIComponent(modelId)}/artifacts/directories`;
  return `${ofModel}?artifact_directory_path=${inFolder}`;
}

export class Transfers {
  readonly #governor: Governor;
  readonly #upstream: Upstream;
  readonly #kept = new Map<string, Pending>();
  readonly #watched = new Set<Watched>();
  readonly #underWay = new Set<Promise<void>>();

  constructor(governor: Governor, upstream: Upstream) {
    this.#governor = governor;
    this.#upstream = upstream;
  }

  /** Keeps an upload in parts until it is completed or aborted. */
  keep(key: string, pending: Pending): void {
    if (this.#kept.size >= KEPT_MAX) {
      const [oldest] = this.#kept;
      if (oldest !== undefined) {
        this.#kept.delete(oldest[0]);
        this.#giveUp(oldest[1]);
      }
    }
    this.#kept.set(key, pending);
  }

  /** The upload in parts that is kept under a key; {@link release} ends its keeping. */
  kept(key: string): Pending | undefined {
    return this.#kept.get(key);
  }

  release(key: string): void {
    this.#kept.delete(key);
  }

  /** Nobody will say any more what became of it. */
  #giveUp(pending: Pending): void {
    try {
      this.#governor.cancel(pending);
    } catch (error) {
      this.#governor.contain(error);
    }
  }

  /** Books a file that is complete, as large as the server says. */
  settle(pending: Pending, transfer: Transfer, asker: Asker): void {
    const settling = this.#sizeOf(pending, transfer, asker).then((size) => {
      // Kept it is, though nobody says how much of it.
      if (size === undefined) {
        this.#governor.warnOnce(
          "size",
          "the MLflow server does not tell the size of a file that was uploaded in parts; its bytes are not priced",
        );
      }
      this.#book(pending, size ?? 0);
    });
    this.#underWay.add(settling);
    void settling.finally(() => this.#underWay.delete(settling));
  }

  #book(pending: Pending, size: number): void {
    try {
      this.#governor.measure(pending, size);
      this.#governor.succeed(pending, {});
    } catch (error) {
      this.#governor.contain(error);
    }
  }

  /** Looks for a file that is sent past the server, until it is there or was given up. */
  watch(pending: Pending, transfer: Transfer, asker: Asker): void {
    const watched: Watched = { pending, transfer, asker, looks: 0, timer: undefined };
    this.#watched.add(watched);
    this.#wait(watched);
  }

  #wait(watched: Watched): void {
    const delay = LOOKS_MS[watched.looks];
    watched.looks++;
    if (delay === undefined) {
      this.#watched.delete(watched);
      this.#giveUp(watched.pending);
      return;
    }
    watched.timer = setTimeout(() => void this.#look(watched), delay);
    watched.timer.unref();
  }

  async #look(watched: Watched): Promise<void> {
    clearTimeout(watched.timer);
    const { pending, transfer, asker } = watched;
    const size = await this.#sizeOf(pending, transfer, asker);
    if (!this.#watched.has(watched)) return;
    if (size === undefined) {
      this.#wait(watched);
      return;
    }
    this.#watched.delete(watched);
    this.#book(pending, size);
  }

  /** A run that has ended has sent its files. */
  endedRun(runId: string | undefined): void {
    if (runId === undefined) return;
    for (const watched of this.#watched) {
      if (watched.pending.operation.runId === runId) void this.#look(watched);
    }
  }

  /** What was begun is booked as far as the server tells, and the rest given up. */
  async close(): Promise<void> {
    await Promise.all([...this.#watched].map((watched) => this.#look(watched)));
    for (const { timer, pending } of this.#watched) {
      clearTimeout(timer);
      this.#giveUp(pending);
    }
    this.#watched.clear();
    for (const pending of this.#kept.values()) this.#giveUp(pending);
    this.#kept.clear();
    await Promise.all(this.#underWay);
  }

  /** Bytes of a file as the server lists it; undefined when it is not there. */
  async #sizeOf(
    { operation }: Pending,
    transfer: Transfer,
    asker: Asker,
  ): Promise<number | undefined> {
    const whole = transfer.path ?? operation.upload?.artifactPath ?? "";
    const slash = whole.lastIndexOf("/");
    const name = whole.slice(slash + 1);
    const target = listOf(whole.slice(0, Math.max(0, slash)), operation.runId, transfer);
    try {
      const { status, body } = await this.#upstream.ask("GET", target, asker);
      const files = (body as { files?: unknown } | undefined)?.files;
      if (status !== 200 || !Array.isArray(files)) return undefined;
      const found = (files as Listed[]).find(
        (file) => typeof file.path === "string" && file.path.split("/").at(-1) === name,
      );
      if (found === undefined || found.is_dir === true) return undefined;
      const size = Number(found.file_size ?? 0);
      return Number.isSafeInteger(size) && size >= 0 ? size : undefined;
    } catch (error) {
      this.#governor.contain(error);
      return undefined;
    }
  }
}
