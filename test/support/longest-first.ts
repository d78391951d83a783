// The order of the suites: what takes longest starts first, so that no core waits for it in the end.
import { relative, sep } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** By how long each takes where nothing is cached yet; whatever is not here takes a few seconds, and comes after. */
const LONGEST = [
  "test/engine/walk.test.ts",
  "test/mlflow/artifact-stores/faults.test.ts",
  "test/mlflow/artifact-stores/python.test.ts",
  "test/engine/fuzz.test.ts",
  "test/engine/scale.test.ts",
  "test/mlflow/artifact-stores/contract.test.ts",
  "test/engine/endurance.test.ts",
  "test/mlflow/artifact-stores/memory.test.ts",
  "test/bench/client.test.ts",
  "test/bench/bench.test.ts",
  "test/mlflow/differential/server.test.ts",
  "test/mlflow/models.test.ts",
  "test/mlflow/differential/older-server.test.ts",
  "test/engine/model.test.ts",
  "test/mlflow/inputs.test.ts",
  "test/mlflow/async-logging.test.ts",
  "test/engine/snapshot.test.ts",
  "test/mlflow/artifact-stores/multipart.test.ts",
  "test/cli/demo.test.ts",
  "test/mlflow/python-interop.test.ts",
  "test/package/package.test.ts",
  "test/runtimes/runtimes.test.ts",
];

export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const path = relative(this.ctx.config.root, moduleId).split(sep).join("/");
      const found = LONGEST.indexOf(path);
      return found < 0 ? LONGEST.length : found;
    };
    const group = ({ project }: TestSpecification) => project.config.sequence.groupOrder;
    // Among equals the order of the runner stays, which knows the last run.
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => group(a) - group(b) || place(a) - place(b));
  }
}
