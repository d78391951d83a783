// A suite of random workflows on one store.
import { afterAll, beforeAll, beforeEach, it, vi } from "vitest";
import { INSTALL_TIMEOUT_MS } from "../../support/install-once.js";
import { expectNoDifference } from "./comparison.js";
import type { StoreKind } from "./generator.js";
import { type PythonPlayer, startPythonPlayer } from "./python-player.js";
import { typescriptPlayer } from "./typescript-player.js";

const STEPS = 30;

export interface PlaysOptions {
  /** The interpreter that plays for Python. */
  readonly python: () => Promise<string>;
  /** What both play on; `stop` ends it. */
  readonly place: (
    python: string,
  ) => Promise<{ readonly uri: string; readonly stop?: () => Promise<void> }>;
  readonly store: StoreKind;
  /** How many in the ordinary test command. */
  readonly workflows: number;
}

/**
 * Every workflow has a seed of its own, which its name says. `GENOPS_TEST_SEED` is the first; without
 * it the same ones are played every time, as nobody's change should fail for another's difference.
 */
export function playsWorkflows({ python, place, store, workflows }: PlaysOptions): void {
  let player: PythonPlayer;
  let uri: string;
  let stop: (() => Promise<void>) | undefined;

  beforeAll(async () => {
    const interpreter = await python();
    ({ uri, stop } = await place(interpreter));
    player = await startPythonPlayer(interpreter, uri);
  }, INSTALL_TIMEOUT_MS);
  afterAll(async () => {
    await player?.[Symbol.asyncDispose]();
    await stop?.();
  });
  beforeEach(() => {
    // An answer that is an error is an answer, in both languages.
    vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
    return () => vi.unstubAllEnvs();
  });

  const first = Number(process.env.GENOPS_TEST_SEED ?? 1);
  const count = Number(process.env.GENOPS_TEST_DIFFERENTIAL_WORKFLOWS ?? workflows);
  for (let seed = first; seed < first + count; seed++) {
    it(`do the same in the workflow of seed ${seed}`, async () => {
      await expectNoDifference(seed, STEPS, {
        typescript: typescriptPlayer(uri),
        python: player,
        store,
      });
    });
  }
}
