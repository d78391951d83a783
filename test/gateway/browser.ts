// Drives the real Chromium through its debugging pipe: opens pages, types, and looks at what is there.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { neutralEnvironment } from "../support/python.js";

type Parameters = Readonly<Record<string, unknown>>;

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly entry?: { readonly text?: string } };
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

export interface Viewport {
  readonly width: number;
  readonly height: number;
  readonly isDark?: boolean;
}

/** One tab. */
export interface Tab {
  goto(url: string): Promise<void>;
  /** Value of an expression in the page; waits for a promise. */
  evaluate<T>(expression: string): Promise<T>;
  /** Waits until an expression holds. */
  until(expression: string): Promise<void>;
  view(viewport: Viewport): Promise<void>;
  /** The whole page as PNG. */
  screenshot(): Promise<Buffer>;
  /** What the page has been refused or warned of, such as by its content security policy. */
  readonly complaints: readonly string[];
}

export interface Browser {
  readonly tab: Tab;
  close(): Promise<void>;
}

const PATIENCE_MS = 20_000;

export async function openBrowser(chromium: string): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), "genops-chromium-"));
  const child = spawn(
    chromium,
    [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--hide-scrollbars",
      "--remote-debugging-pipe",
      `--user-data-dir=${profile}`,
      "about:blank",
    ],
    {
      env: { ...neutralEnvironment(), LD_LIBRARY_PATH: join(dirname(chromium), "lib") },
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    },
  );
  const exited = new Promise<void>((resolve) => child.on("close", () => resolve()));
  const [, , , toBrowser, fromBrowser] = child.stdio as unknown as [
    null,
    null,
    null,
    Writable,
    Readable,
  ];
  const waiting = new Map<number, (answer: Answer) => void>();
  const complaints: string[] = [];
  let last = 0;
  let rest = "";
  fromBrowser.setEncoding("utf8").on("data", (chunk: string) => {
    const messages = (rest + chunk).split("\0");
    rest = messages.pop() ?? "";
    for (const message of messages) {
      const answer: Answer = JSON.parse(message);
      if (answer.method === "Log.entryAdded") complaints.push(answer.params?.entry?.text ?? "");
      waiting.get(answer.id ?? 0)?.(answer);
      waiting.delete(answer.id ?? 0);
    }
  });
  toBrowser.on("error", () => {});
  const send = (method: string, params: Parameters = {}, sessionId?: string) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      const id = ++last;
      waiting.set(id, ({ result = {}, error }) =>
        error === undefined ? resolve(result) : reject(new Error(`${method}: ${error.message}`)),
      );
      void exited.then(() => reject(new Error(`${method}: Chromium has ended`)));
      toBrowser.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const ask = (method: string, params?: Parameters) => send(method, params, String(sessionId));
  await ask("Page.enable");
  await ask("Log.enable");

  const evaluate = async <T>(expression: string): Promise<T> => {
    const { result, exceptionDetails } = await ask("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: T }).value;
  };
  const until = async (expression: string): Promise<void> => {
    const deadline = Date.now() + PATIENCE_MS;
    // In between two pages nothing can be asked.
    while (!(await evaluate<boolean>(`Boolean(${expression})`).catch(() => false))) {
      if (Date.now() > deadline) throw new Error(`It never came to ${expression}`);
      await delay(50);
    }
  };
  return {
    tab: {
      complaints,
      evaluate,
      until,
      async goto(url) {
        await ask("Page.navigate", { url });
        await until(`location.href !== "about:blank" && document.readyState === "complete"`);
      },
      async view({ width, height, isDark = false }) {
        const mobile = width < 600;
        await ask("Emulation.setDeviceMetricsOverride", {
          width,
          height,
          deviceScaleFactor: 1,
          mobile,
        });
        const features = [{ name: "prefers-color-scheme", value: isDark ? "dark" : "light" }];
        await ask("Emulation.setEmulatedMedia", { features });
      },
      async screenshot() {
        const { data } = await ask("Page.captureScreenshot", { captureBeyondViewport: true });
        return Buffer.from(String(data), "base64");
      },
    },
    async close() {
      child.kill("SIGKILL");
      await exited;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
