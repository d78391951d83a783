// Random walks beside the twin for as long as one likes: npm run soak -- [minutes]. A seed that fails is kept.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const [given = "60", ...more] = process.argv.slice(2);
const minutes = Number(given);
if (!(minutes > 0) || more.length > 0) {
  console.error(
    `soak: "${[given, ...more].join(" ")}" is no number of minutes; for example npm run soak -- 60`,
  );
  process.exit(2);
}
const { status } = spawnSync(
  "npx",
  ["vitest", "run", "test/engine/walk.test.ts", "--disable-console-intercept"],
  {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    stdio: "inherit",
    shell: process.platform === "win32",
    env: { ...process.env, GENOPS_TEST_SOAK_MINUTES: String(minutes) },
  },
);
process.exitCode = status ?? 1;
