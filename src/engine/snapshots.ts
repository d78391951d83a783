// Snapshots through the module's window, a piece at a time.
import { EngineError } from "./errors.js";
import { type Instance, refuse } from "./instance.js";

type Chunk = (length: number) => number;

/** Writes and reads the snapshots of one instance. */
export class SnapshotPort {
  readonly #instance: Instance;

  constructor(instance: Instance) {
    this.#instance = instance;
  }

  take(): Uint8Array {
    const { exports, bytes, window } = this.#instance;
    const pieces: Uint8Array[] = [];
    let length = 0;
    exports.snapshotBegin();
    for (let size = exports.snapshotChunk(); size > 0; size = exports.snapshotChunk()) {
      pieces.push(bytes.slice(window, window + size));
      length += size;
    }
    const snapshot = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      snapshot.set(piece, at);
      at += piece.length;
    }
    return snapshot;
  }

  restore(snapshot: Uint8Array): void {
    const { exports, bytes } = this.#instance;
    check(snapshot);
    exports.restoreBegin();
    this.#feed(snapshot, (length) => exports.restoreChunk(length, 0));
    this.#end(exports.restoreEnd(0), snapshot);
    // It is whole; but what contradicts itself shows only when it is in place.
    const before = bytes.slice();
    try {
      exports.restoreBegin();
      this.#feed(snapshot, (length) => exports.restoreChunk(length, 1));
      this.#end(exports.restoreEnd(1), snapshot);
    } catch (error) {
      bytes.set(before);
      throw error;
    }
  }

  merge(snapshot: Uint8Array): void {
    const { exports } = this.#instance;
    check(snapshot);
    exports.mergeBegin();
    this.#feed(snapshot, (length) => exports.mergeChunk(length));
    this.#end(exports.mergeEnd(), snapshot);
  }

  #feed(snapshot: Uint8Array, chunk: Chunk): void {
    const { bytes, window, windowBytes } = this.#instance;
    for (let at = 0; at < snapshot.length; ) {
      const piece = snapshot.subarray(at, at + windowBytes);
      bytes.set(piece, window);
      const read = chunk(piece.length);
      if (read === 0) refuse(-20, "snapshot", describe(snapshot));
      this.#end(read, snapshot);
      at += read;
    }
  }

  #end(status: number, snapshot: Uint8Array): void {
    if (status === -7) {
      throw new EngineError(
        "CAPACITY_EXCEEDED",
        "snapshot",
        snapshot.length,
        "its ledgers do not fit; raise sourceBytes, names, nameBytes or the number of meters at creation",
      );
    }
    if (status < 0) refuse(status, "snapshot", describe(snapshot));
  }
}

function check(snapshot: Uint8Array): void {
  if (!(snapshot instanceof Uint8Array)) {
    throw new EngineError(
      "SNAPSHOT_CORRUPT",
      "snapshot",
      snapshot,
      "give the bytes of a snapshot as Uint8Array",
    );
  }
}

function describe(snapshot: Uint8Array): string {
  return `a snapshot of ${snapshot.length} bytes`;
}
