// Small files that hold one value or lines: params, tags, aliases and metrics.
import { randomUUID } from "node:crypto";
import {
  appendFile,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { isErrno, orMissing } from "./file-errors.js";

/** Folders and files read at a time; more only queues up in the file system. */
const PARALLEL_READS = 16;

/** `Promise.all` over `items` in order, a bounded number at a time. */
export async function mapInParallel<T, R>(
  items: readonly T[],
  map: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const work = async () => {
    for (let index = next++; index < items.length; index = next++) {
      results[index] = await map(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_READS, items.length) }, work));
  return results;
}

/** Names of the folders in a folder; none when it is missing. */
export async function listFolders(folder: string): Promise<string[]> {
  const entries = await orMissing(readdir(folder, { withFileTypes: true }), []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** The names below a folder that are files, `/`-separated and sorted; none when it is missing. */
export async function listKeys(folder: string, prefix = ""): Promise<string[]> {
  const entries = await orMissing(readdir(folder, { withFileTypes: true }), []);
  const keys: string[] = [];
  for (const entry of entries) {
    if (entry.isFile()) keys.push(prefix + entry.name);
    if (!entry.isDirectory()) continue;
    keys.push(...(await listKeys(join(folder, entry.name), `${prefix}${entry.name}/`)));
  }
  return prefix === "" ? keys.sort() : keys;
}

/** Undefined when there is no such file. */
export function readValue(path: string): Promise<string | undefined> {
  return orMissing(readFile(path, "utf8"), undefined);
}

/** Every key below a folder with its file's content. */
export async function readValues(folder: string): Promise<{ key: string; value: string }[]> {
  const keys = await listKeys(folder);
  const values = await mapInParallel(keys, (key) => readValue(join(folder, key)));
  return keys.flatMap((key, index) => {
    const value = values[index];
    return value === undefined ? [] : [{ key, value }];
  });
}

/** Runs `write`; when the folder of `path` is missing, makes it and runs `write` again. */
async function withFolderOf(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    await mkdir(dirname(path), { recursive: true });
    await write();
  }
}

/** A name beside `folder`'s own files that no reader of the layout looks at. */
function temporaryName(folder: string): string {
  return join(folder, `.${randomUUID()}.tmp`);
}

/**
 * Replaces a file's content at once: whoever reads meanwhile sees the old or the new one.
 *
 * @param scratch - a folder on the same file system in which a passing file disturbs nobody
 */
export async function replaceFile(path: string, content: string, scratch: string): Promise<void> {
  const temporary = temporaryName(scratch);
  try {
    await writeFile(temporary, content, { flag: "wx" });
    await withFolderOf(path, () => rename(temporary, path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Creates a file with its content at once. False, and nothing changed, when it exists. */
export async function createFile(path: string, content: string, scratch: string): Promise<boolean> {
  const temporary = temporaryName(scratch);
  try {
    await writeFile(temporary, content, { flag: "wx" });
    await withFolderOf(path, () => link(temporary, path));
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    // Not every file system knows links; an exclusive write is the next best.
    if (!isErrno(error, "EPERM", "ENOTSUP", "EMLINK", "ENOSYS", "EXDEV")) throw error;
    return await createExclusively(path, content);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function createExclusively(path: string, content: string): Promise<boolean> {
  try {
    await withFolderOf(path, () => writeFile(path, content, { flag: "wx" }));
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/** Adds to the end in one write, so that lines of several writers never mix. */
export function appendLines(path: string, lines: string): Promise<void> {
  return withFolderOf(path, () => appendFile(path, lines));
}
