// What suites need and this package does not ship: installed once, kept outside the tree.
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { cacheFolder } from "./python.js";

/** An installation takes minutes; its suite waits for it. */
export const INSTALL_TIMEOUT_MS = 20 * 60_000;

async function isRunning(lock: string): Promise<boolean> {
  const text = await readFile(join(lock, "pid"), "utf8").catch(() => undefined);
  if (text === undefined) {
    // Between its making and the note of who made it.
    const age = Date.now() - (await stat(lock).catch(() => ({ mtimeMs: 0 }))).mtimeMs;
    return age < 10_000;
  }
  try {
    process.kill(Number(text), 0);
    return true;
  } catch {
    return false;
  }
}

/** One process at a time; the lock of one that is gone is taken over. */
async function locked(lock: string, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await mkdir(lock);
      break;
    } catch {
      if (!(await isRunning(lock))) await rm(lock, { recursive: true, force: true });
      await delay(250);
    }
  }
  try {
    await writeFile(join(lock, "pid"), String(process.pid));
    await work();
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The folder that holds an installation, which `install` makes when there is none. */
export async function installOnce(
  name: string,
  install: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(cacheFolder(), name);
  const complete = join(folder, "complete");
  if (await exists(complete)) return folder;
  await mkdir(cacheFolder(), { recursive: true });
  await locked(`${folder}.lock`, async () => {
    if (await exists(complete)) return;
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    console.log(`Installing ${name} into ${folder} (once)`);
    await install(folder);
    await writeFile(complete, "");
  });
  return folder;
}
