// Runs every suite, several at once; the closing line comes from the summary reporter.
import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import LongestFirst from "./test/support/longest-first.js";
import { noJournal } from "./test/support/no-journal.js";

// Suites must not inherit the developer's own tracking, telemetry or proxy settings; empty means unset.
const foreign = Object.keys(process.env).filter((name) =>
  /^(MLFLOW_|GENOPS_(?!TEST_)|OTEL_|DATABRICKS_|(https?|all|no)_proxy$)/i.test(name),
);

/** What compares times, and so has the machine to itself, after everything else. */
const MEASURED = "test/bench/slower-build.test.ts";

const shared = {
  testTimeout: 600_000,
  hookTimeout: 900_000,
  env: { ...Object.fromEntries(foreign.map((name) => [name, ""])), ...noJournal, NO_COLOR: "1" },
};

export default defineConfig({
  test: {
    reporters: ["default", "./test/support/summary-reporter.ts"],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...shared,
          name: "suites",
          include: ["test/**/*.test.ts"],
          exclude: [MEASURED],
          globalSetup: ["test/support/global-setup.ts"],
          // Many suites wait for servers and Python: no core is left to the runner, which hardly works.
          maxWorkers: Math.max(2, availableParallelism()),
        },
      },
      {
        test: {
          ...shared,
          name: "measured",
          include: [MEASURED],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
