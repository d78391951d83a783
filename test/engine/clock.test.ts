// The one clock: days are UTC, a step back books to its own day, a wild leap is refused.
import { beforeEach, describe, expect, it } from "vitest";
import { createEngine, type Engine } from "../../src/engine/index.js";
import { refused } from "./refused.js";

const DAY = 86_400_000;
const NEW_YEAR = Date.UTC(2026, 0, 1);
const PRICE = 10n ** 14n;

let engine: Engine;
let run: number;

beforeEach(() => {
  engine = createEngine({ runs: 1 });
  run = engine.openRun({ runId: "r" });
});

function recordAt(time: number): void {
  engine.tick(time);
  engine.record(run, "log_metric");
}

describe("the day", () => {
  it("ends at midnight UTC, to the millisecond", () => {
    recordAt(NEW_YEAR - 1);
    expect(engine.dayTotal()).toBe(PRICE);
    engine.tick(NEW_YEAR);
    expect(engine.dayTotal()).toBe(0n);
    recordAt(NEW_YEAR + DAY - 1);
    expect(engine.dayTotal()).toBe(PRICE);
    expect(engine.total()).toBe(2n * PRICE);
  });

  it("counts from the beginning when no clock was ever set", () => {
    engine.record(run, "log_metric");
    expect(engine.dayTotal()).toBe(PRICE);
  });

  it("is that of the reservation, not of the settlement", () => {
    engine.tick(NEW_YEAR - 1);
    const ticket = engine.reserve(run, "log_metric") as number;
    engine.tick(NEW_YEAR);
    engine.settle(ticket);
    expect(engine.dayTotal()).toBe(0n);
    engine.tick(NEW_YEAR - 1);
    expect(engine.dayTotal()).toBe(PRICE);
    expect(engine.total()).toBe(PRICE);
  });
});

describe("a clock that steps back", () => {
  it("books to the day it says, while that one is kept", () => {
    recordAt(NEW_YEAR);
    recordAt(NEW_YEAR - 1);
    recordAt(NEW_YEAR - 2);
    expect(engine.dayTotal()).toBe(2n * PRICE);
    recordAt(NEW_YEAR + 1);
    expect(engine.dayTotal()).toBe(2n * PRICE);
  });

  it("books to the older of the two kept days from further back", () => {
    recordAt(NEW_YEAR);
    recordAt(NEW_YEAR - 30 * DAY);
    expect(engine.dayTotal()).toBe(PRICE);
    engine.tick(NEW_YEAR - 1);
    expect(engine.dayTotal()).toBe(PRICE);
    engine.tick(NEW_YEAR);
    expect(engine.dayTotal()).toBe(PRICE);
    expect(engine.total()).toBe(2n * PRICE);
  });

  it("keeps nothing of the day before when days were left out", () => {
    recordAt(NEW_YEAR);
    recordAt(NEW_YEAR + 2 * DAY);
    engine.tick(NEW_YEAR + DAY);
    expect(engine.dayTotal()).toBe(0n);
    expect(engine.total()).toBe(2n * PRICE);
  });

  it("can come home from anywhere", () => {
    engine.tick(NEW_YEAR);
    engine.tick(5);
    engine.tick(NEW_YEAR + 399 * DAY);
    recordAt(NEW_YEAR + 399 * DAY);
    expect(engine.dayTotal()).toBe(PRICE);
  });
});

describe("a time that is none", () => {
  it.each([
    -1,
    Number.NaN,
    Infinity,
    -Infinity,
    2.5e14,
    1e15,
    "1767225600000",
    null,
    undefined,
    new Date(0),
  ])("%s is refused, and the clock stays", (time) => {
    recordAt(NEW_YEAR);
    expect(refused(() => engine.tick(time as number))).toMatchObject({
      code: "CLOCK_JUMP",
      field: "nowMs",
      value: time,
    });
    expect(engine.dayTotal()).toBe(PRICE);
  });

  it("is one more than 400 days ahead, once the clock is set", () => {
    engine.tick(NEW_YEAR);
    engine.tick(NEW_YEAR + 400 * DAY);
    expect(refused(() => engine.tick(NEW_YEAR + 800 * DAY + 1)).code).toBe("CLOCK_JUMP");
    engine.tick(NEW_YEAR + 800 * DAY);
  });
});
