// The wall clock by the monotonic one: near to it, never ahead, and not behind for long when somebody sets it.
import { afterEach, expect, it, vi } from "vitest";
import { wallTime, wallTimeAt } from "../../src/runtime/clock.js";

afterEach(() => {
  vi.useRealTimers();
  wallTime();
});

it("is never ahead of the wall clock, never goes back, and is at most a millisecond behind", () => {
  let last = 0;
  let most = 0;
  // As a machine may stop between two readings, only the nearest of each 100 counts.
  for (let round = 0; round < 200; round++) {
    let behind = Number.POSITIVE_INFINITY;
    for (let turn = 0; turn < 100; turn++) {
      const shown = wallTimeAt(performance.now());
      const wall = Date.now();
      expect(shown).toBeLessThanOrEqual(wall);
      expect(shown).toBeGreaterThanOrEqual(last);
      expect(Number.isInteger(shown)).toBe(true);
      last = shown;
      behind = Math.min(behind, wall - shown);
    }
    most = Math.max(most, behind);
  }
  expect(most).toBeLessThanOrEqual(1);
});

it("follows a clock that is set, as soon as it looks at it again", () => {
  const mark = performance.now();
  vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2031, 0, 1) });
  // Beyond the time for which what was seen is believed.
  expect(wallTimeAt(mark + 10_000)).toBe(Date.UTC(2031, 0, 1));
  vi.setSystemTime(Date.UTC(2030, 0, 1));
  expect(wallTime()).toBe(Date.UTC(2030, 0, 1));
  expect(wallTimeAt(performance.now())).toBeLessThan(Date.UTC(2030, 0, 1) + 1000);
});
