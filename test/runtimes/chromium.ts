// Shows pages to a real Chromium under a content security policy; they send their result back.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { neutralEnvironment } from "../support/python.js";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
};

export interface Visit {
  /** Path of the program. */
  readonly chromium: string;
  /** Path on the server → file; nothing else is served. */
  readonly files: Readonly<Record<string, string>>;
  /** Path of the page. */
  readonly page: string;
  /** Content security policy of every file. */
  readonly policy: string;
}

/** Opens a page, and answers what it posts to `/result`. */
export async function visit({ chromium, files, page, policy }: Visit): Promise<unknown> {
  let resolve: (result: unknown) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const result = new Promise<unknown>((...both) => {
    [resolve, reject] = both;
  });
  const server = createServer(async (request, response) => {
    response.setHeader("content-security-policy", policy);
    try {
      const file = files[request.url ?? ""];
      if (request.method === "POST" && request.url === "/result") {
        resolve(JSON.parse(Buffer.concat(await request.toArray()).toString()));
        response.writeHead(204).end();
      } else if (file === undefined) {
        response.writeHead(404).end();
      } else {
        response.setHeader("content-type", TYPES[extname(file)] ?? "text/plain");
        response.end(await readFile(file));
      }
    } catch (error) {
      reject(error);
      response.destroy();
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  const profile = await mkdtemp(join(tmpdir(), "genops-chromium-"));
  const browser = spawn(
    chromium,
    [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      `--user-data-dir=${profile}`,
      `http://127.0.0.1:${port}${page}`,
    ],
    {
      env: { ...neutralEnvironment(), LD_LIBRARY_PATH: join(dirname(chromium), "lib") },
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  let noise = "";
  browser.stderr.on("data", (text) => {
    noise = `${noise}${text}`.slice(-2000);
  });
  const ended = new Promise<void>((isEnded) => {
    browser.on("error", (error) => {
      reject(error);
      isEnded();
    });
    browser.on("close", (code) => {
      reject(new Error(`Chromium ended with ${code} and no result:\n${noise}`));
      isEnded();
    });
  });
  const late = setTimeout(() => reject(new Error(`${page} sent no result:\n${noise}`)), 45_000);
  try {
    return await result;
  } finally {
    clearTimeout(late);
    browser.kill("SIGKILL");
    await ended;
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
