// Programs that know nothing of genops are governed in every runtime that preloads it, and gateways run in each.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { cp } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Consumer, installPackage } from "../package/consumer.js";
import { neutralEnvironment } from "../support/python.js";
import { BUN, DENO, NODE_20, NODE_22, NODE_24 } from "./pins.js";
import { need, PATIENCE } from "./player.js";

let consumer: Consumer;

beforeAll(async () => {
  consumer = await installPackage();
  await cp(join(import.meta.dirname, "governed.js"), join(consumer.folder, "governed.mjs"));
});
afterAll(() => consumer.remove());

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const node = ["--import", "genops/register"];
const deno = ["run", "--allow-all", "--no-prompt", "--cached-only", "--node-modules-dir=manual"];
const RUNTIMES = [
  { ...NODE_20, given: [], preloading: node },
  { ...NODE_22, given: [], preloading: node },
  { ...NODE_24, given: [], preloading: node },
  {
    ...DENO,
    given: deno,
    preloading: [...deno, "--preload", "node_modules/genops/dist/node/register.js"],
  },
  { ...BUN, given: ["run"], preloading: ["run", "--preload", "genops/register"] },
];

describe("MLflow's requests", () => {
  it.for(RUNTIMES)(
    "are governed in $name, by fetch and node:http, and by a gateway there",
    {
      timeout: PATIENCE,
    },
    async (runtime, context) => {
      const program = await need(context, runtime);
      const print = async (
        given: readonly string[],
        settings: Readonly<Record<string, string>>,
      ) => {
        const { stdout } = await promisify(execFile)(program, [...given, "governed.mjs"], {
          cwd: consumer.folder,
          env: {
            ...neutralEnvironment(),
            DENO_DIR: join(consumer.folder, "deno"),
            DENO_NO_UPDATE_CHECK: "1",
            MLFLOW_TRACKING_URI: `http://127.0.0.1:${await freePort()}`,
            GENOPS_JOURNAL: "off",
            ...settings,
          },
          timeout: 60_000,
        });
        return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
      };
      const budgets = [{ name: "b", limit: "0.0002", period: "day", action: "block" }];
      const settings = { GENOPS_TEAM: "t", GENOPS_BUDGETS: JSON.stringify(budgets) };
      expect(await print(runtime.preloading, settings)).toEqual({
        inProcess: [200, 200, 403, 403],
      });
      expect(await print(runtime.given, {})).toEqual({ byGateway: [200, 200, 403, 403, 200] });
    },
  );
});
