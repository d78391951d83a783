// The engine of the built package gives the same answers and the same snapshot in every runtime, each the real one.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { neutralEnvironment } from "../support/python.js";
import { visit } from "./chromium.js";
import { BUN, CHROMIUM, DENO, NODE_20, NODE_22, NODE_24, WORKERD } from "./pins.js";
import {
  expectSound,
  exported,
  makePlayer,
  need,
  PATIENCE,
  type Player,
  type Result,
} from "./player.js";
import { askDefaultFile, askWorker } from "./workerd.js";

const run = promisify(execFile);

const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'";
const POLICY_WITHOUT_WASM = POLICY.replace(" 'wasm-unsafe-eval'", "");

interface Row {
  readonly runtime: string;
  readonly version: string;
  readonly result: Result;
}

let player: Player;
const rows: Row[] = [];

beforeAll(async () => {
  player = await makePlayer();
});
afterAll(() => player.consumer.remove());

/** Runs a program of the folder; answers what it prints as JSON. */
async function print(program: string, given: readonly string[]): Promise<unknown> {
  const { stdout } = await run(program, given, {
    cwd: player.folder,
    env: {
      ...neutralEnvironment(),
      DENO_DIR: join(player.folder, "deno"),
      DENO_NO_UPDATE_CHECK: "1",
    },
    timeout: 60_000,
  });
  return JSON.parse(stdout);
}

async function versionOf(program: string): Promise<string> {
  const { stdout } = await run(program, ["--version"], { env: neutralEnvironment() });
  return /\d[\d.-]*\d/.exec(stdout)?.[0] ?? stdout.trim();
}

/** Files as a server gives them to Chromium; the engine's is the one that a browser is to have. */
async function filesOf(names: readonly string[]): Promise<Record<string, string>> {
  const engine = await exported(player, "genops/engine", ["browser"]);
  return {
    ...Object.fromEntries(names.map((name) => [`/${name}`, join(player.folder, name)])),
    "/engine.js": join(player.folder, "node_modules/genops", engine),
  };
}

function compare(runtime: string, version: string, result: Result): void {
  rows.push({ runtime, version, result });
  const first = rows[0] as Row;
  const both = `in ${runtime} and in ${first.runtime}`;
  expect(result.hash, `snapshots ${both}`).toBe(first.result.hash);
  expect(result.transcript, `answers ${both}`).toBe(first.result.transcript);
}

describe("the engine plays the twin's vectors in", () => {
  const deno = ["run", "--no-prompt", "--cached-only", "--allow-read"];
  it.for([
    { ...NODE_20, given: [], agent: /^Node\.js$/ },
    { ...NODE_22, given: [], agent: /^Node\.js\/22$/ },
    { ...NODE_24, given: [], agent: /^Node\.js\/24$/ },
    { ...DENO, given: deno, agent: /^Deno\/2/ },
    { ...BUN, given: ["run", "--no-install"], agent: /^Bun\/1/ },
  ])("$name", { timeout: PATIENCE }, async ({ given, agent, ...pin }, context) => {
    const program = await need(context, pin);
    const version = await versionOf(program);
    expect(version.split(".")[0]).toBe(pin.version.split(".")[0]);
    const result = await print(program, [...given, "command-line.js"]);
    compare(pin.name, version, expectSound(result, player, agent));
    expect(result).toHaveProperty(
      "file",
      expect.stringMatching(/\/genops\/dist\/engine\/index\.js$/),
    );
  });

  it.for([
    { page: "page.html", name: "chromium, page", isPage: true },
    { page: "worker.html", name: "chromium, web worker", isPage: false },
  ])("$name", { timeout: PATIENCE }, async ({ page, name, isPage }, context) => {
    const chromium = await need(context, CHROMIUM);
    const scripts = ["page.js", "start-worker.js", "send.js", "play.js", "vectors.json"];
    const files = await filesOf([page, ...scripts]);
    const result = await visit({ chromium, files, page: `/${page}`, policy: POLICY });
    compare(name, await versionOf(chromium), expectSound(result, player, /Chrome\/\d+/));
    expect(result).toHaveProperty("isPage", isPage);
  });

  it("workerd, from a module", { timeout: PATIENCE }, async (context) => {
    const workerd = await need(context, WORKERD);
    const result = await askWorker(workerd, player.folder, "from-module.js");
    const version = await versionOf(workerd);
    compare("workerd", version, expectSound(result, player, /^Cloudflare-Workers$/));
  });
});

describe("where WebAssembly may not be compiled", () => {
  it("a page is told which source its policy lacks", { timeout: PATIENCE }, async (context) => {
    const chromium = await need(context, CHROMIUM);
    const page = "/refused.html";
    const files = await filesOf(["refused.html", "refused.js", "send.js"]);
    const strict = await visit({ chromium, files, page, policy: POLICY_WITHOUT_WASM });
    expect(strict).toMatchObject({ isTyped: true, code: "INCOMPATIBLE_RUNTIME" });
    expect(strict).toHaveProperty("message", expect.stringContaining("'wasm-unsafe-eval'"));
    // The same page under the policy that names it.
    expect(await visit({ chromium, files, page, policy: POLICY })).toEqual({ made: true });
  });

  it("workerd refuses bytes and takes a module", { timeout: PATIENCE }, async (context) => {
    const workerd = await need(context, WORKERD);
    const { created, fromModule } = await askDefaultFile(workerd, player.folder);
    expect(created).toMatchObject({ isTyped: true, code: "INCOMPATIBLE_RUNTIME" });
    expect(created).toHaveProperty("message", expect.stringContaining("loadEngine"));
    expect(fromModule).toEqual({ memoryBytes: expect.any(Number) });
  });
});

describe("importing the engine", () => {
  it("compiles nothing until an engine is made", async () => {
    const { stdout } = await player.consumer.execute(`
const names = ["Module", "Instance", "Memory", "compile", "instantiate", "compileStreaming", "instantiateStreaming", "validate"];
const counts = Object.fromEntries(names.map((name) => [name, 0]));
for (const name of names) {
  WebAssembly[name] = new Proxy(WebAssembly[name], {
    apply: (...call) => (counts[name]++, Reflect.apply(...call)),
    construct: (...call) => (counts[name]++, Reflect.construct(...call)),
  });
}
const { createEngine } = await import("genops/engine");
const atImport = { ...counts };
createEngine({ runs: 64 });
const atFirst = { ...counts };
createEngine({ runs: 64 });
console.log(JSON.stringify({ atImport, atFirst, atSecond: counts }));
`);
    const { atImport, atFirst, atSecond } = JSON.parse(stdout);
    expect(Object.values(atImport)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect(atFirst).toMatchObject({ Module: 1, Instance: 1 });
    // One compiled module serves all.
    expect(atSecond).toMatchObject({ Module: 1, Instance: 2 });
  });
});

describe("the matrix", () => {
  it("holds every runtime, and one hash", () => {
    const table = [
      ["runtime", "version", "calls", "hash", "ok"],
      ...rows.map(({ runtime, version, result }) => [
        runtime,
        version,
        String(result.calls),
        result.hash.slice(0, 16),
        result.mismatches.length === 0 && result.hash === rows[0]?.result.hash ? "yes" : "NO",
      ]),
    ];
    const widths = [0, 1, 2, 3, 4].map((column) =>
      Math.max(...table.map((row) => (row[column] ?? "").length)),
    );
    const lines = table.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  "));
    console.log(`\n${lines.map((line) => `  ${line.trimEnd()}`).join("\n")}\n`);
    expect(new Set(rows.map(({ result }) => result.hash)).size).toBe(1);
    if (process.env.CI === "true") expect(rows).toHaveLength(8);
  });
});
