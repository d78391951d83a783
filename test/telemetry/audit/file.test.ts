// Audit files: every change is found, a torn end is mended, full files are followed, processes do not mix.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import fc from "fast-check";
import { beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { openAuditFile } from "../../../src/telemetry/audit/open-file.js";
import type { AuditSink } from "../../../src/telemetry/audit/record.js";
import {
  readAuditBytes,
  readAuditFile,
  verifyAuditFiles,
} from "../../../src/telemetry/audit/verify.js";
import { temporaryFolder } from "../../adapter/workplace.js";
import { decision } from "./decision.js";

/** Set to make the disk fail; answers how many bytes go through before it does. */
let diskFailure: (() => number) | undefined;
vi.mock("node:fs", async (importOriginal) => {
  const fs = await importOriginal<typeof import("node:fs")>();
  return {
    ...fs,
    writeSync: (file: number, bytes: Buffer, from = 0) => {
      const through = diskFailure?.();
      if (through === undefined) return fs.writeSync(file, bytes, from);
      if (through > 0) fs.writeSync(file, bytes.subarray(from, from + through));
      throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    },
  };
});
beforeEach(() => {
  diskFailure = undefined;
});

/**
 * Opens a file as a process would that comes later: its own lock is that of a process that is gone.
 * Adapters of one process would share the file instead.
 */
async function reopen(path: string, maxBytes?: number): Promise<AuditSink> {
  vi.resetModules();
  for (const file of readdirSync(join(path, "..")).filter((name) => name.endsWith(".lock"))) {
    rmSync(join(path, "..", file));
  }
  const room = await import("../../../src/telemetry/audit/open-file.js");
  return room.openAuditFile({ path, maxBytes });
}

async function smallLog(records = 3): Promise<string> {
  const path = join(await temporaryFolder(), "audit.jsonl");
  const write = openAuditFile({ path });
  for (let call = 1; call <= records; call++) write(decision(call));
  return path;
}

function kinds(...files: string[]): string[] {
  return files.flatMap((file) => readAuditFile(file).lines.map(({ record }) => record.kind));
}

describe("a change to a file", () => {
  it("is found, whichever byte it is of, and in its line", async () => {
    const path = await smallLog();
    const whole = readFileSync(path);
    expect(verifyAuditFiles([path]).broken).toBeUndefined();
    const unseen: number[] = [];
    let line = 1;
    for (let at = 0; at < whole.length; at++) {
      const changed = [1, 0x20, 0x80].map((bits) => {
        const bytes = Buffer.from(whole);
        bytes[at] = (bytes[at] ?? 0) ^ bits;
        return bytes;
      });
      const removed = Buffer.concat([whole.subarray(0, at), whole.subarray(at + 1)]);
      const added = Buffer.concat([whole.subarray(0, at), Buffer.from(" "), whole.subarray(at)]);
      for (const bytes of [...changed, removed, added]) {
        if (readAuditBytes(path, bytes).broken?.line !== line) unseen.push(at);
      }
      if (whole[at] === 0x0a) line++;
    }
    expect(unseen).toEqual([]);
    expect(line).toBe(5);
  });

  it("is found when lines are removed, repeated or reordered, and where", async () => {
    const path = await smallLog(6);
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    const breakAt = (changed: readonly string[]) => {
      writeFileSync(path, changed.map((line) => `${line}\n`).join(""));
      return verifyAuditFiles([path]).broken?.line;
    };
    expect(breakAt(lines)).toBeUndefined();
    for (let index = 0; index < lines.length; index++) {
      const without = lines.filter((_, at) => at !== index);
      // The last one leaves a shorter chain, which only a hash kept elsewhere can tell.
      if (index < lines.length - 1) expect(breakAt(without)).toBe(index === 0 ? 1 : index + 1);
      expect(breakAt(lines.flatMap((line, at) => (at === index ? [line, line] : [line])))).toBe(
        index + 2,
      );
      if (index === 0) continue;
      const swapped = [...lines];
      [swapped[index - 1], swapped[index]] = [lines[index] ?? "", lines[index - 1] ?? ""];
      // A file may begin in the middle of a chain, so the first two are told by the second.
      expect(breakAt(swapped)).toBe(index === 1 ? 2 : index);
    }
  });

  it("is found when nothing is left, alone and beside a chain that is whole", async () => {
    const path = await smallLog(2);
    const empty = join(path, "..", "empty.jsonl");
    writeFileSync(empty, "");
    for (const files of [[empty], [path, empty], [empty, path]]) {
      expect(verifyAuditFiles(files).broken).toEqual({
        file: empty,
        line: 1,
        why: "it holds no record, and a trail has at least the one that began it: all of it was cut off, or none was ever written",
      });
    }
  });

  it("is found when a record is replaced by one that is right in itself", async () => {
    const [path, other] = [await smallLog(4), await smallLog(4)];
    const lines = readFileSync(path, "utf8").split("\n");
    lines[2] = readFileSync(other, "utf8").split("\n")[2] ?? "";
    writeFileSync(path, lines.join("\n"));
    expect(verifyAuditFiles([path]).broken).toMatchObject({ line: 3 });
  });
});

describe("a torn end", () => {
  it("is moved away and told, wherever the last line is cut", async () => {
    const path = await smallLog(2);
    const whole = readFileSync(path);
    const last = whole.lastIndexOf(0x0a, whole.length - 2) + 1;
    for (let end = last + 1; end < whole.length; end += 7) {
      writeFileSync(path, whole.subarray(0, end));
      rmSync(`${path}.torn`, { force: true });
      expect(verifyAuditFiles([path]).broken?.why).toContain("torn");
      const write = await reopen(path);
      write(decision(9));
      expect(verifyAuditFiles([path]).broken, `cut at ${end}`).toBeUndefined();
      expect(kinds(path)).toEqual(["started", "decision", "repaired", "continued", "decision"]);
      expect(readFileSync(`${path}.torn`)).toEqual(
        Buffer.concat([whole.subarray(last, end), Buffer.from("\n")]),
      );
      expect(readAuditFile(path).lines[2]?.record).toMatchObject({
        tornBytes: end - last,
        tornFile: "audit.jsonl.torn",
      });
    }
  });

  it("may be all there is", async () => {
    const path = join(await temporaryFolder(), "audit.jsonl");
    writeFileSync(path, '{"sequence":1,"prev');
    (await reopen(path))(decision(1));
    expect(verifyAuditFiles([path]).broken).toBeUndefined();
    expect(kinds(path)).toEqual(["started", "repaired", "decision"]);
  });
});

it("a file that somebody has changed is left as it is, and the trail goes on beside it", async () => {
  const path = await smallLog(2);
  const changed = readFileSync(path, "utf8").replace(/.{4}"}\n$/, '0000"}\n');
  writeFileSync(path, changed);
  (await reopen(path))(decision(1));
  expect(readFileSync(path, "utf8")).toBe(changed);
  const next = join(path, "..", "audit.2.jsonl");
  expect(verifyAuditFiles([next]).broken).toBeUndefined();
  expect(verifyAuditFiles([path]).broken?.line).toBe(3);
});

describe("rotation", () => {
  it("goes on with the chain, in this process and the next", async () => {
    const path = join(await temporaryFolder(), "audit.jsonl");
    for (let process_ = 0; process_ < 3; process_++) {
      const write = await reopen(path, 4096);
      for (let call = 1; call <= 20; call++) write(decision(call));
    }
    const files = readdirSync(join(path, ".."))
      .filter((name) => name.endsWith(".jsonl"))
      .map((name) => join(path, "..", name));
    expect(files.length).toBeGreaterThan(4);
    const { chains, broken } = verifyAuditFiles(files);
    expect(broken).toBeUndefined();
    expect(chains).toHaveLength(1);
    expect(kinds(...files).filter((kind) => kind === "decision")).toHaveLength(60);
    expect(chains[0]?.files.at(-1)).toBe(path);
    expect(verifyAuditFiles([...files].reverse()).chains).toEqual(chains);
    for (const missing of files.filter((file) => file !== path)) {
      const { broken: found } = verifyAuditFiles(files.filter((file) => file !== missing));
      expect(found?.why).toContain("give the earlier files too");
    }
  });

  it("goes on when a process died right after the full file was renamed", async () => {
    const path = join(await temporaryFolder(), "audit.jsonl");
    const write = await reopen(path, 4096);
    for (let call = 1; call <= 12; call++) write(decision(call));
    rmSync(path);
    (await reopen(path, 4096))(decision(1));
    const full = join(path, "..", "audit.000001.jsonl");
    expect(verifyAuditFiles([full, path]).broken).toBeUndefined();
    expect(kinds(path)).toEqual(["rotated", "decision"]);
  });

  it("names a copy of a file", async () => {
    const path = await smallLog();
    const copy = join(path, "..", "copy.jsonl");
    writeFileSync(copy, readFileSync(path));
    expect(verifyAuditFiles([path, copy]).broken).toMatchObject({ file: copy, line: 1 });
  });
});

describe("a disk that fails", () => {
  it("loses nothing silently: the next record says how many are missing, and the chain is whole", async () => {
    await fc.assert(
      fc.asyncProperty(
        // For each record: does the disk fail, and after how many bytes?
        fc.array(fc.option(fc.nat(400), { freq: 2, nil: undefined }), {
          minLength: 1,
          maxLength: 25,
        }),
        async (failures) => {
          const path = join(await temporaryFolder(), "audit.jsonl");
          const write = await reopen(path, 4096);
          let lost = 0;
          for (const [call, through] of failures.entries()) {
            diskFailure = through === undefined ? undefined : () => through;
            try {
              write(decision(call));
            } catch (error) {
              expect((error as Error).message).toContain("ENOSPC");
              lost++;
            }
          }
          diskFailure = undefined;
          write(decision(1000));
          const files = readdirSync(join(path, ".."))
            .filter((name) => name.endsWith(".jsonl"))
            .map((name) => join(path, "..", name));
          expect(verifyAuditFiles(files).broken).toBeUndefined();
          const records = files.flatMap((file) =>
            readAuditFile(file).lines.map(({ record }) => record),
          );
          const told = records.reduce(
            (sum, each) => sum + (each.kind === "gap" ? each.lost : 0),
            0,
          );
          const kept = records.filter(({ kind }) => kind === "decision").length;
          expect({ told, kept }).toEqual({ told: lost, kept: failures.length + 1 - lost });
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe("processes", () => {
  let program: string;
  beforeAll(async () => {
    program = join(tmpdir(), `genops-audit-${process.pid}.mjs`);
    await build({
      entryPoints: ["test/telemetry/audit/writer.ts"],
      outfile: program,
      bundle: true,
      platform: "node",
      format: "esm",
      logLevel: "error",
    });
    return () => rmSync(program, { force: true });
  });

  interface Writer {
    readonly process: ChildProcess;
    /** Records that it said were written. */
    acknowledged(): number;
    /** Resolves once it has said so of more than these, however long that takes, or is gone. */
    hasAcknowledged(records: number): Promise<void>;
    readonly gone: Promise<unknown>;
  }

  function start(path: string, count: number, maxBytes?: number): Writer {
    const child = spawn(process.execPath, [
      program,
      path,
      String(count),
      ...(maxBytes ? [String(maxBytes)] : []),
    ]);
    // The first line says that it is ready.
    let lines = -1;
    let isGone = false;
    let told = () => {};
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      lines += chunk.split("\n").length - 1;
      told();
    });
    const gone = once(child, "close").then(() => {
      isGone = true;
      told();
    });
    // Before its folder is removed.
    onTestFinished(async () => {
      child.kill("SIGKILL");
      await gone;
    });
    const acknowledged = () => Math.max(0, lines);
    return {
      process: child,
      acknowledged,
      async hasAcknowledged(records) {
        while (acknowledged() <= records && !isGone) {
          await new Promise<void>((again) => {
            told = again;
          });
        }
      },
      gone,
    };
  }

  function filesBeside(path: string): string[] {
    return readdirSync(join(path, ".."))
      .filter((name) => name.endsWith(".jsonl"))
      .map((name) => join(path, "..", name));
  }

  function decisions(files: readonly string[]): number {
    return kinds(...files).filter((kind) => kind === "decision").length;
  }

  it("killed in the middle of writing lose nothing they were told was written; the next goes on", async () => {
    const path = join(await temporaryFolder(), "audit.jsonl");
    let acknowledged = 0;
    for (let round = 0; round < 6; round++) {
      // Full files are followed by the next: about every hundred records.
      const writer = start(path, 10_000_000, 48 * 1024);
      await writer.hasAcknowledged(60 * round);
      writer.process.kill("SIGKILL");
      await writer.gone;
      expect(writer.acknowledged()).toBeGreaterThan(0);
      acknowledged += writer.acknowledged();
      expect(decisions(filesBeside(path))).toBeGreaterThanOrEqual(acknowledged);
    }
    const last = start(path, 1);
    await last.gone;
    const { chains, broken } = verifyAuditFiles(filesBeside(path));
    expect(broken).toBeUndefined();
    expect(chains[0]?.files.length).toBeGreaterThan(6);
    // One chain through all seven of them: each took over from one that was gone.
    expect(chains).toHaveLength(1);
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  it("that write at the same time have a file each, and every record is in one of them", async () => {
    const path = join(await temporaryFolder(), "audit.jsonl");
    const writers = Array.from({ length: 4 }, () => start(path, 500));
    await Promise.all(writers.map(({ gone }) => gone));
    expect(writers.map((writer) => writer.acknowledged())).toEqual([500, 500, 500, 500]);
    const files = filesBeside(path);
    expect(verifyAuditFiles(files).broken).toBeUndefined();
    expect(decisions(files)).toBe(2000);
  });
});
