// Laws of the text that reports are made of, and of the amounts in them.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  attoOf,
  fewestDecimals,
  formatBytes,
  formatCount,
  formatExactUsd,
  formatShare,
  formatUsd,
} from "../../src/costs/usd-text.js";
import {
  bar,
  padLeft,
  padRight,
  shorten,
  textWidth,
  treeRows,
  wrap,
} from "../../src/terminal/layout.js";
import { ProgressLine, paintFor, stripAnsi, wantsColour } from "../../src/terminal/terminal.js";

const amounts = fc.bigInt({ min: 0n, max: 10n ** 24n });

/** Printed amount as whole units of its last decimal. */
function units(text: string): bigint {
  return BigInt(text.replace(/[$,.]/g, ""));
}

describe("money", () => {
  it("rounds once, half to even", () => {
    expect(formatUsd(250_000_000_000_000n, 4)).toBe("$0.0002");
    expect(formatUsd(350_000_000_000_000n, 4)).toBe("$0.0004");
    expect(formatUsd(1_234_567_890_000_000_000_000n, 2)).toBe("$1,234.57");
    expect(formatUsd(5n * 10n ** 17n, 0)).toBe("$0");
    expect(formatExactUsd(57_800_044_400_000_000n)).toBe("$0.0578000444");
    expect(formatExactUsd(2n * 10n ** 18n)).toBe("$2.00");
  });

  it("prints an amount that is nowhere more than half a unit away", () => {
    fc.assert(
      fc.property(amounts, fc.integer({ min: 0, max: 18 }), (amount, decimals) => {
        const unit = 10n ** BigInt(18 - decimals);
        const error = units(formatUsd(amount, decimals)) * unit - amount;
        expect((error < 0n ? -error : error) * 2n <= unit).toBe(true);
      }),
    );
  });

  it("prints and reads back every exact amount", () => {
    fc.assert(
      fc.property(amounts, (amount) => {
        const text = formatExactUsd(amount).replace(/[$,]/g, "");
        expect(attoOf(text)).toBe(amount);
      }),
    );
  });

  it("finds the fewest decimals with which every column adds up as printed", () => {
    expect(fewestDecimals([[10n ** 14n, 2n * 10n ** 14n]], 4)).toBe(4);
    // 0.00006 + 0.00006 would be printed as 0.0001 + 0.0001 = 0.0001.
    expect(fewestDecimals([[6n * 10n ** 13n, 6n * 10n ** 13n]], 4)).toBe(5);
    const columns = fc.array(fc.array(fc.bigInt({ min: 0n, max: 10n ** 17n })), { maxLength: 4 });
    fc.assert(
      fc.property(columns, fc.integer({ min: 0, max: 18 }), (parts, least) => {
        const decimals = fewestDecimals(parts, least);
        expect(decimals).toBeGreaterThanOrEqual(least);
        for (const column of parts) {
          const printed = column.reduce((sum, part) => sum + units(formatUsd(part, decimals)), 0n);
          const total = column.reduce((sum, part) => sum + part, 0n);
          expect(printed).toBe(units(formatUsd(total, decimals)));
        }
      }),
    );
  });

  it("never calls a part nothing or everything", () => {
    expect(formatShare(0n, 5n)).toBe("0 %");
    expect(formatShare(5n, 5n)).toBe("100.0 %");
    expect(formatShare(1n, 3n)).toBe("33.3 %");
    expect(formatShare(1n, 10n ** 9n)).toBe("<0.1 %");
    expect(formatShare(10n ** 9n - 1n, 10n ** 9n)).toBe(">99.9 %");
  });

  it("counts", () => {
    expect(formatBytes(1)).toBe("1 byte");
    expect(formatBytes(1023)).toBe("1023 bytes");
    expect(formatBytes(1536)).toBe("1.5 KiB");
    expect(formatBytes(2 ** 40)).toBe("1.0 TiB");
    expect(formatCount(1_234_567)).toBe("1,234,567");
  });
});

describe("layout", () => {
  it("draws bars that fit, grow with their part, and never hide one", () => {
    const cells = fc.integer({ min: 1, max: 60 });
    fc.assert(
      fc.property(amounts, amounts, cells, (one, other, width) => {
        const total = one + other;
        const drawn = bar(one, total, width);
        expect(textWidth(drawn)).toBeLessThanOrEqual(width);
        expect(drawn === "").toBe(one === 0n);
        const more = bar(one + other / 2n, total, width);
        expect(textWidth(more)).toBeGreaterThanOrEqual(textWidth(drawn));
      }),
    );
    expect(bar(1n, 1n, 4)).toBe("████");
    expect(bar(1n, 2n, 4)).toBe("██");
  });

  it("pads and cuts to the cell, colours or not", () => {
    const text = fc.stringMatching(/^[a-z ─│✓★]{0,20}$/);
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 30 }), (plain, width) => {
        const painted = `\u001b[1m${plain}\u001b[22m`;
        const expected = Math.max(width, textWidth(plain));
        expect(textWidth(padLeft(painted, width))).toBe(expected);
        expect(textWidth(padRight(painted, width))).toBe(expected);
        expect(textWidth(shorten(plain, width))).toBe(Math.min(width, textWidth(plain)));
        expect(stripAnsi(painted)).toBe(plain);
      }),
    );
  });

  it("wraps without losing a word or passing the edge", () => {
    const words = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1 });
    fc.assert(
      fc.property(words, fc.integer({ min: 12, max: 40 }), (text, width) => {
        const lines = wrap(text.join(" "), width);
        expect(lines.join(" ")).toBe(text.join(" "));
        expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(width);
      }),
    );
  });

  it("draws trees", () => {
    const leaf = (item: string) => ({ item, children: [] });
    const rows = treeRows([
      { item: "a", children: [{ item: "b", children: [leaf("c")] }, leaf("d")] },
      leaf("e"),
    ]);
    expect(rows.map(({ branches, item }) => branches + item)).toEqual([
      "a",
      "├─ b",
      "│  └─ c",
      "└─ d",
      "e",
    ]);
  });
});

describe("terminal", () => {
  const terminal = { isTTY: true, write: () => true };
  const pipe = { write: () => true };

  it("colours a terminal, unless somebody says otherwise", () => {
    expect(wantsColour(terminal, undefined, {})).toBe(true);
    expect(wantsColour(pipe, undefined, {})).toBe(false);
    expect(wantsColour(terminal, undefined, { TERM: "dumb" })).toBe(false);
    expect(wantsColour(terminal, undefined, { NO_COLOR: "1", FORCE_COLOR: "1" })).toBe(false);
    expect(wantsColour(pipe, undefined, { FORCE_COLOR: "1" })).toBe(true);
    expect(wantsColour(terminal, undefined, { FORCE_COLOR: "0" })).toBe(false);
    expect(wantsColour(pipe, true, { NO_COLOR: "1" })).toBe(true);
    expect(wantsColour(terminal, false, { FORCE_COLOR: "1" })).toBe(false);
    expect(paintFor(pipe, false).red("x")).toBe("x");
  });

  it("shows progress on a terminal alone, and leaves its line empty", () => {
    const written: string[] = [];
    const write = (text: string) => written.push(text);
    const silent = new ProgressLine({ write });
    silent.show("working");
    silent.clear();
    expect(written).toEqual([]);
    const line = new ProgressLine({ isTTY: true, write });
    line.show("one");
    line.show("one");
    line.show("two");
    line.clear();
    line.clear();
    const erase = "\r\u001b[K";
    expect(written).toEqual([`${erase}one`, `${erase}two`, erase]);
  });
});
