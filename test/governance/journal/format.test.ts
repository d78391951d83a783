// The journal's records: what is written is read, and what is torn or changed is never believed.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type JournalRecord,
  parseJournal,
  printRecord,
} from "../../../src/governance/journal/format.js";
import { LedgerProgram, PRICE } from "./ledger-program.js";
import { MemoryDisk } from "./memory-system.js";

const atto = fc.bigInt({ min: 0n, max: 2n ** 126n });
const amount = fc
  .record({ of: fc.string(), period: fc.string(), spent: atto, ahead: atto })
  .map(({ of, period, spent, ahead }) => ({ of, period, spent, upTo: spent + ahead }));
const time = fc.integer({ min: 0 });
const record: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record({
    kind: fc.constant("opened" as const),
    time,
    owner: fc.record(
      { pid: fc.nat(), host: fc.string(), started: fc.string() },
      { requiredKeys: ["pid", "host"] },
    ),
  }),
  fc.record({
    kind: fc.constantFrom("slice" as const, "settled" as const, "closed" as const),
    time,
    amounts: fc.array(amount, { maxLength: 4 }),
  }),
  fc.record({
    kind: fc.constant("folded" as const),
    time,
    files: fc.array(fc.string(), { maxLength: 3 }),
    amounts: fc.array(amount, { maxLength: 4 }),
  }),
);
const records = fc.array(record, { maxLength: 4 });

function print(list: readonly JournalRecord[]): Buffer {
  return Buffer.concat(list.map(printRecord));
}

describe("records", () => {
  it("are read as they were written", () => {
    fc.assert(
      fc.property(records, (list) => {
        const whole = { records: list, damaged: 0, tornBytes: 0, isNewer: false };
        expect(parseJournal(print(list))).toEqual(whole);
      }),
    );
  });

  it("cut off anywhere are a prefix of what was written, and the rest is torn", () => {
    fc.assert(
      fc.property(records, fc.nat(), (list, at) => {
        const bytes = print(list);
        const cut = bytes.subarray(0, at % (bytes.length + 1));
        const parsed = parseJournal(cut);
        expect(parsed.records).toEqual(list.slice(0, parsed.records.length));
        expect(print(parsed.records).length + parsed.tornBytes).toBe(cut.length);
        expect(parsed.damaged).toBe(0);
      }),
    );
  });

  it("changed in any bit are damaged or torn, and those around them are read", () => {
    fc.assert(
      fc.property(records, fc.nat(), fc.integer({ min: 0, max: 7 }), (list, place, bit) => {
        const bytes = print(list);
        if (bytes.length === 0) return;
        const at = place % bytes.length;
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
        const parsed = parseJournal(bytes);
        expect(parsed.damaged + Number(parsed.tornBytes > 0)).toBeGreaterThan(0);
        // A line feed that is lost takes the next one along.
        expect(parsed.records.length).toBeGreaterThanOrEqual(list.length - 2);
        for (const read of parsed.records) expect(list).toContainEqual(read);
      }),
    );
  });

  it("of anything else are none", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(parseJournal(bytes).records).toEqual([]);
      }),
    );
  });
});

describe("a file on the disk", () => {
  /** A program that was killed in its work: what it acknowledged, and its file. */
  function killed() {
    const disk = new MemoryDisk();
    const program = new LedgerProgram(disk, { slice: 2n * PRICE });
    for (let call = 0; call < 9; call++) expect(program.spend()).toBe(true);
    program.system.die();
    const [path, file] = [...disk.files][0] as [string, { written: Uint8Array }];
    return { path, bytes: file.written, acknowledged: 9n * PRICE };
  }

  function foundIn(path: string, bytes: Uint8Array): LedgerProgram {
    const disk = new MemoryDisk();
    // The one that wrote it.
    disk.start().die();
    disk.files.set(path, { written: bytes, durable: bytes });
    return new LedgerProgram(disk);
  }

  it("with a last record cut off at any byte counts as before that record, and nothing is damaged", () => {
    const { path, bytes, acknowledged } = killed();
    const whole = foundIn(path, bytes);
    expect(whole.journal.daySpent()).toBe(acknowledged + PRICE);
    const last = bytes.lastIndexOf(10, bytes.length - 2) + 1;
    const before = foundIn(path, bytes.slice(0, last)).journal.daySpent();
    for (let end = last; end < bytes.length; end++) {
      const torn = foundIn(path, bytes.slice(0, end));
      expect(torn.journal.daySpent()).toBe(before);
      expect(torn.warnings.join()).not.toContain("damaged");
    }
  });

  it("with any bit changed is told to be damaged, or counts as it did", () => {
    const { path, bytes, acknowledged } = killed();
    for (let at = 0; at < bytes.length; at += at % 7 === 0 ? 3 : 4) {
      const changed = bytes.slice();
      changed[at] = (changed[at] as number) ^ (1 << (at % 8));
      const program = foundIn(path, changed);
      const isTold = program.warnings.some((warning) => warning.includes("damaged"));
      // Without its line feed the last record is one that was being written.
      const isTorn = at === bytes.length - 1;
      expect(isTold || isTorn, `byte ${at}`).toBe(true);
      expect(program.journal.daySpent() <= acknowledged + PRICE).toBe(true);
    }
  });
});
