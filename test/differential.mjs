// Random workflows by TypeScript and Python, as many as one likes: npm run test:differential -- [count].
// They are others each time; GENOPS_TEST_SEED says with which seed to begin.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const [given = "200", ...more] = process.argv.slice(2);
const count = Number(given);
if (!Number.isSafeInteger(count) || count < 1 || more.length > 0) {
  console.error(
    `test:differential: "${[given, ...more].join(" ")}" is no number of workflows; for example npm run test:differential -- 200`,
  );
  process.exit(2);
}
const seed = String(Date.now() % 2 ** 31);
const { status } = spawnSync("npx", ["vitest", "run", "test/mlflow/differential"], {
  cwd: fileURLToPath(new URL("..", import.meta.url)),
  stdio: "inherit",
  shell: process.platform === "win32",
  env: {
    GENOPS_TEST_SEED: seed,
    ...process.env,
    GENOPS_TEST_DIFFERENTIAL_WORKFLOWS: String(count),
  },
});
process.exitCode = status ?? 1;
