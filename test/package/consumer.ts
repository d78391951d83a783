// The package as it is published, installed in a folder of its own.
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { neutralEnvironment } from "../support/python.js";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../..");

export interface PackedFile {
  readonly path: string;
  readonly size: number;
}

/** A program's folder, with the package and OpenTelemetry in its node_modules. */
export interface Consumer {
  readonly folder: string;
  readonly tarball: string;
  readonly files: readonly PackedFile[];
  /** Writes a program and runs it with Node; answers what it prints. */
  execute(source: string, environment?: Record<string, string>): Promise<Output>;
  remove(): Promise<void>;
}

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** Packs the built package and unpacks it where npm would. */
export async function installPackage(): Promise<Consumer> {
  const folder = await mkdtemp(join(tmpdir(), "genops-consumer-"));
  const { stdout } = await run(
    "npm",
    ["pack", "--ignore-scripts", "--json", "--pack-destination", folder],
    { cwd: ROOT },
  );
  const [packed] = JSON.parse(stdout) as { filename: string; files: PackedFile[] }[];
  if (packed === undefined) throw new Error("npm pack made nothing");
  const tarball = join(folder, packed.filename);
  await run("tar", ["-xzf", tarball, "-C", folder]);
  await mkdir(join(folder, "node_modules"));
  await cp(join(folder, "package"), join(folder, "node_modules", "genops"), { recursive: true });
  await symlink(
    join(ROOT, "node_modules/@opentelemetry"),
    join(folder, "node_modules/@opentelemetry"),
  );
  let programs = 0;
  return {
    folder,
    tarball,
    files: packed.files,
    async execute(source, environment = {}) {
      const program = join(folder, `program-${programs++}.mjs`);
      await writeFile(program, source);
      return run(process.execPath, [program], {
        cwd: folder,
        env: { ...neutralEnvironment(), ...environment },
        timeout: 60_000,
      });
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
