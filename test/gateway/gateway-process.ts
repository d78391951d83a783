// `genops gateway` in a process of its own, on a port of its own, gone after the test.
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { temporaryFolder } from "../adapter/workplace.js";
import type { CommandLine, Started } from "../cli/command-line.js";

export const ADMIN = "admin-token-of-a-test";

export interface Running extends Started {
  readonly uri: string;
  /** What it said when it listened. */
  readonly first: Record<string, unknown>;
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** Waits until standard error has these words. */
  told(words: string): Promise<void>;
}

/** Starts gateways of a command line. */
export function useGatewayProcess(genops: CommandLine) {
  return async function running(
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
    cwd?: string,
  ): Promise<Running> {
    const folder = cwd ?? (await temporaryFolder());
    const started = genops.start(["gateway", "--port", "0", "--json", ...args], folder, {
      GENOPS_GATEWAY_ADMIN_TOKEN: ADMIN,
      ...env,
    });
    onTestFinished(async () => {
      started.process.kill("SIGKILL");
      await started.finished;
    });
    let errors = "";
    started.process.stderr?.on("data", (text) => {
      errors += text;
    });
    const lines = createInterface({ input: started.process.stdout as NodeJS.ReadableStream });
    const first = await Promise.race([
      once(lines, "line").then(([line]) => JSON.parse(line)),
      started.finished.then(({ stderr }) => Promise.reject(new Error(stderr))),
    ]);
    return {
      ...started,
      first,
      uri: first.uri,
      ask: (path, init) =>
        fetch(`${first.uri}${path}`, { headers: { authorization: `Bearer ${ADMIN}` }, ...init }),
      async told(words) {
        for (let turn = 0; !errors.includes(words); turn++) {
          if (turn > 400) throw new Error(`It never told ${words}, but:\n${errors}`);
          await delay(25);
        }
      },
    };
  };
}
