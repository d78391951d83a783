// Node's abilities: AsyncLocalStorage, local files, the process.
import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { mkdtemp, readdir, realpath, rm, stat, writeFile } from "node:fs/promises";
import { homedir, tmpdir, userInfo } from "node:os";
import { basename, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pathToFileURL } from "node:url";
import { parse } from "js-ini";
import type { AsyncContext, FileAccess, FileStatus, Runtime } from "./capabilities.js";
import { atExit } from "./exit.js";
import { openTransport } from "./node-transport.js";

const READ_AHEAD_BYTES = 256 * 1024;

function createAsyncContext<T>(): AsyncContext<T> {
  const storage = new AsyncLocalStorage<T>();
  return {
    get: () => storage.getStore(),
    run: (value, callback) => storage.run(value, callback),
    enter: (value) => storage.enterWith(value),
  };
}

async function status(path: string): Promise<FileStatus | undefined> {
  try {
    const found = await stat(path);
    if (found.isFile()) return { kind: "file", sizeBytes: found.size };
    if (found.isDirectory()) return { kind: "directory", sizeBytes: 0 };
    return { kind: "other", sizeBytes: 0 };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

async function listFiles(directory: string): Promise<string[]> {
  const found: string[] = [];
  async function visit(folder: string, prefix: string, above: readonly string[]): Promise<void> {
    const real = await realpath(folder);
    // A link to a folder that it is in holds nothing but what is listed already.
    if (above.includes(real)) return;
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const kind = entry.isDirectory() ? "directory" : (await status(path))?.kind;
      if (kind === "directory") {
        await visit(path, `${prefix}${entry.name}/`, [...above, real]);
      } else if (kind !== "other") {
        // A link to nothing is listed with the files: whoever reads it says so.
        found.push(prefix + entry.name);
      }
    }
  }
  await visit(directory, "", []);
  return found.sort();
}

function readSections(path: string): Record<string, Record<string, string>> | undefined {
  const file = path.startsWith("~/") ? join(homedir(), path.slice(2)) : path;
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return undefined;
  // Only whole lines are comments: a password may hold any character.
  const settings = { comment: ["#", ";"], autoTyping: false, nothrow: true };
  const sections: Record<string, Record<string, string>> = {};
  for (const [name, section] of Object.entries(parse(readFileSync(file, "utf8"), settings))) {
    if (typeof section !== "object" || section === null) continue;
    const entries = Object.entries(section).map(([key, value]) => [
      key.toLowerCase(),
      String(value),
    ]);
    sections[name] = Object.fromEntries(entries);
  }
  return sections;
}

const files: FileAccess = {
  toFileUri: (path) => pathToFileURL(resolve(path)).href,
  baseName: (path) => basename(path),
  resolve: (directory, relativePath) => join(directory, ...relativePath.split("/")),
  status,
  listFiles,
  openFile(path, sizeBytes, start = 0) {
    // A stream and not fs.openAsBlob: that one prints an ExperimentalWarning on Node 20. The end is
    // fixed so that a file that grows meanwhile still matches the length announced for it.
    const stream = createReadStream(path, {
      start,
      end: start + Math.max(0, sizeBytes - 1),
      highWaterMark: READ_AHEAD_BYTES,
    });
    return Readable.toWeb(stream, {
      // Counts bytes: its default counts chunks, sixteen of them.
      strategy: new ByteLengthQueuingStrategy({ highWaterMark: READ_AHEAD_BYTES }),
    }) as ReadableStream<Uint8Array>;
  },
  async keepTemporarily(chunks) {
    const folder = await mkdtemp(join(tmpdir(), "mlflow-stream-"));
    const path = join(folder, "content");
    const remove = () => rm(folder, { recursive: true, force: true });
    try {
      await writeFile(path, chunks);
      return { path, sizeBytes: (await stat(path)).size, remove };
    } catch (error) {
      await remove();
      throw error;
    }
  },
  readSections,
};

/** Node 20 and later; also Deno and Bun through their Node compatibility. */
export const nodeRuntime: Runtime = {
  createAsyncContext,
  files,
  userName() {
    try {
      return userInfo().username;
    } catch {
      // A container may run under a numeric user that no database names.
      return undefined;
    }
  },
  beforeExit(callback) {
    process.on("beforeExit", () => void callback());
  },
  onExit(callback) {
    atExit(callback);
  },
  captureContext() {
    const resource = new AsyncResource("genops");
    return (callback) => resource.runInAsyncScope(callback);
  },
  openTransport,
};
