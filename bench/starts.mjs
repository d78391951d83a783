// Starting: what a process spends until an engine stands, beside what it spends to import OpenTelemetry's SDK.
import { execFileSync } from "node:child_process";

const engine = new URL("../dist/engine/index.js", import.meta.url).href;
const sdk = import.meta.resolve("@opentelemetry/sdk-node");

/** Processes of each kind, in turn. */
const ROUNDS = 9;

export const STARTS = [
  {
    name: "start",
    title: "engine imported and created",
    code: `const { createEngine } = await import(${JSON.stringify(engine)}); createEngine();`,
  },
  {
    name: "open-telemetry-sdk",
    title: "@opentelemetry/sdk-node imported",
    code: `await import(${JSON.stringify(sdk)});`,
  },
];

/** Nanoseconds that a fresh process computes for while it runs this; what Node itself takes to start is not in it. */
function computedBy(code) {
  const timed = `const before = process.cpuUsage();
    ${code}
    const { user, system } = process.cpuUsage(before);
    console.log((user + system) * 1000);`;
  const args = ["--input-type=module", "--eval", timed];
  return Number(execFileSync(process.execPath, args, { encoding: "utf8" }).trim());
}

/** Name → nanoseconds, one a round. */
export function measureStarts() {
  const times = new Map(STARTS.map(({ name }) => [name, new Float64Array(ROUNDS)]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, code } of STARTS) times.get(name)[round] = computedBy(code);
  }
  return times;
}
