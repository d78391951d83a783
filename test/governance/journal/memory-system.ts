// A disk in memory on which programs die at any step they take, with or without the power.

import type { JournalOwner } from "../../../src/governance/journal/format.js";
import type { JournalSystem } from "../../../src/governance/journal/system.js";
import type { FileLock } from "../../../src/runtime/file-lock.js";

class Died extends Error {
  override readonly name = "Died";
}

interface MemoryFile {
  written: Uint8Array;
  durable: Uint8Array;
}

function over(before: Uint8Array, bytes: Uint8Array, position: number): Uint8Array {
  const after = new Uint8Array(Math.max(before.length, position + bytes.length));
  after.set(before);
  after.set(bytes, position);
  return after;
}

/** What programs share. Folders are not told apart: a path is a name. */
export class MemoryDisk {
  /** What a running program sees. */
  files = new Map<string, MemoryFile>();
  /** What is there after a power cut: names as they were when their folder was last synced. */
  durableNames = new Map<string, MemoryFile>();
  lockHolder: MemorySystem | undefined;
  readonly #systems: MemorySystem[] = [];
  #started = 0;

  start(): MemorySystem {
    const system = new MemorySystem(this, ++this.#started);
    this.#systems.push(system);
    return system;
  }

  isRunning(pid: number): boolean {
    return this.#systems.some((system) => system.pid === pid && !system.isDead);
  }

  /** Every program dies, and what was not synced is gone. */
  cutPower(): void {
    for (const system of this.#systems) system.die();
    this.files = new Map(
      [...this.durableNames].map(([path, file]) => [
        path,
        { written: file.durable, durable: file.durable },
      ]),
    );
    this.durableNames = new Map(this.files);
  }
}

/** One program's view of the disk. */
export class MemorySystem implements JournalSystem {
  readonly pid: number;
  readonly processName: string;
  isDead = false;
  /** Dies at this step from now, after a part of it; never when undefined. */
  stepsToLive: number | undefined;
  /** Share of the bytes that the last write of a program that dies brings to the disk. */
  tornShare = 0;
  /** What its clock shows that nobody sets. */
  clockMs = 0;
  /** Fails a step instead of taking it. */
  failure: ((step: string) => Error | undefined) | undefined;
  readonly #disk: MemoryDisk;
  readonly #open = new Map<number, MemoryFile>();
  #handles = 0;
  #background: (() => void)[] = [];

  constructor(disk: MemoryDisk, pid: number) {
    this.#disk = disk;
    this.pid = pid;
    this.processName = `p${pid}`;
  }

  die(): void {
    this.isDead = true;
    this.#background = [];
    if (this.#disk.lockHolder === this) this.#disk.lockHolder = undefined;
  }

  /** How many writes have been asked for in the background and did not happen yet. */
  get waiting(): number {
    return this.#background.length;
  }

  /** Lets what was asked for in the background happen. */
  runBackground(): void {
    const due = this.#background;
    this.#background = [];
    for (const each of due) each();
  }

  /** One step that changes the disk: `partly` is what is left of it when the program dies in it. */
  #step(name: string, partly?: () => void): void {
    if (this.isDead) throw new Died(name);
    const error = this.failure?.(name);
    if (error !== undefined) {
      partly?.();
      throw error;
    }
    if (this.stepsToLive === undefined) return;
    if (--this.stepsToLive > 0) return;
    partly?.();
    this.die();
    throw new Died(name);
  }

  #fileOf(handle: number): MemoryFile {
    const file = this.#open.get(handle);
    if (file === undefined) throw new Error("not open");
    return file;
  }

  makeFolder(): void {
    this.#step("makeFolder");
  }

  list(folder: string): string[] {
    if (this.isDead) throw new Died("list");
    const below = [...this.#disk.files.keys()].filter((path) => path.startsWith(`${folder}/`));
    return below.map((path) => path.slice(folder.length + 1));
  }

  read(path: string): Uint8Array | undefined {
    if (this.isDead) throw new Died("read");
    return this.#disk.files.get(path)?.written;
  }

  modifiedMs(path: string): number | undefined {
    if (this.isDead) throw new Died("modifiedMs");
    return this.#disk.files.has(path) ? Number.MAX_SAFE_INTEGER : undefined;
  }

  create(path: string): number {
    this.#step("create");
    if (this.#disk.files.has(path)) throw new Error(`EEXIST: ${path}`);
    const file = { written: new Uint8Array(), durable: new Uint8Array() };
    this.#disk.files.set(path, file);
    this.#open.set(++this.#handles, file);
    return this.#handles;
  }

  open(path: string): number {
    this.#step("open");
    const file = this.#disk.files.get(path);
    if (file === undefined) throw new Error(`ENOENT: ${path}`);
    this.#open.set(++this.#handles, file);
    return this.#handles;
  }

  writeDurably(handle: number, bytes: Uint8Array, position: number): void {
    const file = this.#fileOf(handle);
    this.#step("write", () => {
      const torn = bytes.subarray(0, Math.floor(bytes.length * this.tornShare));
      file.written = over(file.written, torn, position);
    });
    file.written = over(file.written, bytes, position);
    this.#step("sync");
    file.durable = file.written;
  }

  writeInBackground(
    handle: number,
    bytes: Uint8Array,
    position: number,
    done: (error: Error | undefined) => void,
  ): void {
    if (this.isDead) throw new Died("writeInBackground");
    const file = this.#fileOf(handle);
    let failed: Error | undefined;
    try {
      this.#step("write", () => {
        const torn = bytes.subarray(0, Math.floor(bytes.length * this.tornShare));
        file.written = over(file.written, torn, position);
      });
      file.written = over(file.written, bytes, position);
    } catch (error) {
      if (this.isDead) throw error;
      failed = error as Error;
    }
    this.#background.push(() => {
      try {
        if (failed !== undefined) throw failed;
        this.#step("sync");
        file.durable = file.written;
      } catch (error) {
        // Nobody is told anything in a program that is dead.
        if (!this.isDead) done(error as Error);
        return;
      }
      done(undefined);
    });
  }

  truncate(handle: number, size: number): void {
    this.#step("truncate");
    const file = this.#fileOf(handle);
    file.written = file.written.slice(0, size);
  }

  close(handle: number): void {
    if (!this.isDead) this.#open.delete(handle);
  }

  replace(path: string, bytes: Uint8Array): void {
    this.#step("replace");
    this.#disk.files.set(path, { written: bytes.slice(), durable: bytes.slice() });
    this.#step("replaced");
  }

  remove(path: string): void {
    this.#step("remove");
    this.#disk.files.delete(path);
  }

  syncFolder(): void {
    this.#step("syncFolder");
    this.#disk.durableNames = new Map(this.#disk.files);
  }

  lock(): FileLock | undefined {
    this.#step("lock");
    if (this.#disk.lockHolder !== undefined) return undefined;
    this.#disk.lockHolder = this;
    const isHeld = () => this.#disk.lockHolder === this;
    return {
      isHeld,
      release: () => {
        if (isHeld()) this.#disk.lockHolder = undefined;
      },
    };
  }

  monotonicMs(): number {
    return this.clockMs;
  }

  thisOwner(): JournalOwner {
    return { pid: this.pid, host: "memory" };
  }

  isGone(owner: JournalOwner | undefined): boolean {
    return owner === undefined || !this.#disk.isRunning(owner.pid);
  }
}
