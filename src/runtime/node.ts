// Node's abilities: AsyncLocalStorage, local files, the process.
import { AsyncLocalStorage } from "node:async_hooks";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { userInfo } from "node:os";
import { basename, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pathToFileURL } from "node:url";
import type { AsyncContext, FileAccess, FileStatus, Runtime } from "./capabilities.js";

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

/** A link to nothing is listed with the files: whoever reads it says so. */
async function isFileOrMissing(path: string): Promise<boolean> {
  const found = await status(path);
  return found === undefined || found.kind === "file";
}

async function listFiles(directory: string): Promise<string[]> {
  const found: string[] = [];
  async function visit(folder: string, prefix: string): Promise<void> {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        await visit(path, `${prefix}${entry.name}/`);
      } else if (entry.isFile() || (await isFileOrMissing(path))) {
        found.push(prefix + entry.name);
      }
    }
  }
  await visit(directory, "");
  return found.sort();
}

const files: FileAccess = {
  toFileUri: (path) => pathToFileURL(resolve(path)).href,
  baseName: (path) => basename(path),
  resolve: (directory, relativePath) => join(directory, ...relativePath.split("/")),
  status,
  listFiles,
  openFile(path, sizeBytes) {
    // A stream and not fs.openAsBlob: that one prints an ExperimentalWarning on Node 20. The end is
    // fixed so that a file that grows meanwhile still matches the length announced for it.
    const stream = createReadStream(path, { end: Math.max(0, sizeBytes - 1) });
    return Readable.toWeb(stream) as ReadableStream<Uint8Array>;
  },
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
};
