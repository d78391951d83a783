// The package's export conditions give each runtime its file; workerd's brings its WebAssembly as a module.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import packaged from "../../build/engine-text.js";
import { WORKERD } from "./pins.js";
import { expectSound, exported, makePlayer, need, PATIENCE, type Player } from "./player.js";
import { askDefaultFile, askWorker, CONDITIONS } from "./workerd.js";

let player: Player;

beforeAll(async () => {
  player = await makePlayer();
});
afterAll(() => player.consumer.remove());

/** A part of the engine's text that no bundler escapes. */
const PART_OF_ENGINE = /[0-9A-Za-z ]{9,}/.exec((packaged as string).slice(256))?.[0] ?? "";

describe("export conditions", () => {
  it.for([
    ["genops/engine", CONDITIONS, "dist/workerd/engine.js"],
    ["genops/engine", ["browser"], "dist/engine/index.js"],
    ["genops/engine", ["deno", "node"], "dist/engine/index.js"],
    ["genops/engine", ["bun", "node"], "dist/engine/index.js"],
    ["genops/engine", ["node"], "dist/engine/index.js"],
    ["genops/engine", [], "dist/engine/index.js"],
    ["genops", CONDITIONS, "dist/workerd/index.js"],
    // Workers can have Node's own modules too.
    ["genops", [...CONDITIONS, "node"], "dist/workerd/index.js"],
    ["genops", ["browser"], "dist/portable/index.js"],
    ["genops", ["node"], "dist/node/index.js"],
    ["genops/mlflow", CONDITIONS, "dist/workerd/mlflow.js"],
    ["genops/mlflow", ["browser"], "dist/portable/mlflow.js"],
    ["genops/mlflow", ["node"], "dist/node/mlflow.js"],
  ] as const)("%s with %j is %s", async ([specifier, conditions, file]) => {
    expect(await exported(player, specifier, conditions)).toBe(file);
  });

  it("workerd's files hold no WebAssembly as text", async () => {
    const dist = join(player.folder, "node_modules/genops/dist");
    const holds = async (folder: string) => {
      const files = (await readdir(join(dist, folder))).filter((name) => name.endsWith(".js"));
      expect(files).not.toEqual([]);
      const texts = await Promise.all(
        files.map((name) => readFile(join(dist, folder, name), "utf8")),
      );
      return texts.some((text) => text.includes(PART_OF_ENGINE));
    };
    expect(PART_OF_ENGINE).not.toBe("");
    expect(await holds("workerd")).toBe(false);
    // The search finds it where it is.
    expect(await holds("engine")).toBe(true);
  });
});

describe("in workerd", () => {
  it("createEngine plays the twin's vectors", { timeout: PATIENCE }, async (context) => {
    const workerd = await need(context, WORKERD);
    const result = await askWorker(workerd, player.folder, "own-file.js");
    const made = expectSound(result, player, /^Cloudflare-Workers$/);
    const given = await askWorker(workerd, player.folder, "from-module.js");
    expect(made.hash).toBe(expectSound(given, player, /^Cloudflare-Workers$/).hash);
  });

  it("bytes are refused with the reason", { timeout: PATIENCE }, async (context) => {
    const workerd = await need(context, WORKERD);
    const { fromBytes } = await askDefaultFile(workerd, player.folder);
    expect(fromBytes).toMatchObject({ isTyped: true, code: "INCOMPATIBLE_RUNTIME" });
  });

  it("the adapter starts", { timeout: PATIENCE }, async (context) => {
    const workerd = await need(context, WORKERD);
    const result = await askWorker(workerd, player.folder, "adapter.js");
    expect(result).toMatchObject({ operationCount: 0, dailyUsage: 0 });
  });
});
