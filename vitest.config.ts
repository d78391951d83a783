// Runs every suite; the closing line comes from the summary reporter.
import { defineConfig } from "vitest/config";
import { noJournal } from "./test/support/no-journal.js";
import { wasmAsBase64 } from "./test/support/wasm-plugin.js";

// Suites must not inherit the developer's own tracking, telemetry or proxy settings; empty means unset.
const foreign = Object.keys(process.env).filter((name) =>
  /^(MLFLOW_|GENOPS_(?!TEST_)|OTEL_|DATABRICKS_|(https?|all|no)_proxy$)/i.test(name),
);

export default defineConfig({
  plugins: [wasmAsBase64()],
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    reporters: ["default", "./test/support/summary-reporter.ts"],
    testTimeout: 600_000,
    hookTimeout: 900_000,
    env: { ...Object.fromEntries(foreign.map((name) => [name, ""])), ...noJournal, NO_COLOR: "1" },
  },
});
