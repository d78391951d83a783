// Bad input: each is a typed error that names field and value, and changes nothing.
import { beforeEach, describe, expect, it } from "vitest";
import { createEngine, type Engine, type EngineOptions } from "../../src/engine/index.js";
import { refused } from "./refused.js";

const NO_WHOLE_NUMBERS = [
  -1,
  0.5,
  Number.NaN,
  Infinity,
  -Infinity,
  2 ** 53,
  "7",
  null,
  true,
  {},
  1n,
];

describe("options", () => {
  const capacities = ["runs", "tuples", "names", "nameBytes", "reservations", "seed"] as const;

  it.each(capacities)("%s must be a whole number in its range", (field) => {
    for (const value of NO_WHOLE_NUMBERS) {
      const options = { [field]: value } as EngineOptions;
      expect(
        refused(() => createEngine(options)),
        String(value),
      ).toMatchObject({
        code: "INVALID_OPTION",
        field,
        value,
        message: expect.stringContaining(`${field}: ${String(value)} is not a whole number from`),
      });
    }
  });

  it.each([
    ["runs", 0, 1],
    ["runs", 0x800001, undefined],
    ["tuples", 15, 16],
    ["tuples", 0x100001, undefined],
    ["names", 63, 64],
    ["names", 0x800001, undefined],
    ["nameBytes", 1023, 1024],
    ["nameBytes", 2 ** 30 + 1, undefined],
    ["reservations", 0, 1],
    ["reservations", 0x100000, undefined],
    ["seed", -1, Number.MAX_SAFE_INTEGER],
  ])("%s of %d is out of range", (field, outside, inside) => {
    const error = refused(() => createEngine({ [field]: outside }));
    expect(error).toMatchObject({ code: "INVALID_OPTION", field, value: outside });
    if (inside !== undefined) createEngine({ runs: 1, [field]: inside });
  });

  it.each([
    [{ name: "log_metric", class: "other" }, "operations.name"],
    [{ name: "", class: "other" }, "operations.name"],
    [{ name: "Embed", class: "other" }, "operations.name"],
    [{ name: "embed text", class: "other" }, "operations.name"],
    [{ name: "x".repeat(257), class: "other" }, "operations.name"],
    [{ name: 5, class: "other" }, "operations.name"],
    [{ class: "other" }, "operations.name"],
    [{ name: "embed", class: "nothing" }, "operations.class"],
    [{ name: "embed", class: "" }, "operations.class"],
    [{ name: "embed" }, "operations.class"],
  ])("the operation %j is refused", (custom, field) => {
    const operations = [custom] as unknown as EngineOptions["operations"] & object;
    const error = refused(() => createEngine({ operations }));
    expect(error).toMatchObject({ code: "INVALID_OPTION", field });
  });

  it("the same operation twice is refused", () => {
    const custom = { name: "embed", class: "other" };
    expect(refused(() => createEngine({ operations: [custom, custom] }))).toMatchObject({
      code: "INVALID_OPTION",
      field: "operations.name",
      value: "embed",
    });
  });

  it.each([5, true, {}])("the static prefix %j is no text", (staticPrefix) => {
    expect(refused(() => createEngine({ staticPrefix: staticPrefix as string }))).toMatchObject({
      code: "INVALID_OPTION",
      field: "staticPrefix",
      value: staticPrefix,
    });
  });

  it("a static prefix that is too long is refused", () => {
    const staticPrefix = "x".repeat(5000);
    expect(refused(() => createEngine({ staticPrefix }))).toMatchObject({
      code: "INVALID_NAME",
      field: "staticPrefix",
    });
  });
});

describe("a method", () => {
  let engine: Engine;
  let run: number;
  let ticket: number;
  let before: ReturnType<typeof state>;

  function state() {
    return { ...engine.summary(), day: engine.dayTotal(), meters: engine.meters };
  }

  beforeEach(() => {
    engine = createEngine({ runs: 8, reservations: 4 });
    run = engine.openRun({ runId: "r", experiment: "e", team: "t" });
    ticket = engine.reserve(run, "log_artifact", "storage.s3", 1000) as number;
    engine.record(run, "log_metric");
    before = state();
  });

  function expectRefused(call: () => unknown, code: string, field: string, value: unknown): void {
    const error = refused(call);
    expect(error, String(value)).toMatchObject({ code, field, value });
    expect(error.message.startsWith(`${field}: `), error.message).toBe(true);
    expect(state()).toEqual(before);
  }

  it.each(NO_WHOLE_NUMBERS)("refuses the quantity %s", (quantity) => {
    const wrong = quantity as number;
    const refusals = [
      () => engine.record(run, "log_artifact", "storage.s3", wrong),
      () => engine.record(run, "log_metric", 0, wrong),
      () => engine.reserve(run, "log_artifact", "storage.s3", wrong),
      () => engine.reserve(run, "log_metric", 0, wrong),
      () => engine.charge(ticket, "storage.s3", wrong),
      () => engine.extend(ticket, "storage.s3", wrong),
      () => engine.price("log_artifact", "storage.s3", wrong),
    ];
    for (const call of refusals) expectRefused(call, "INVALID_QUANTITY", "quantity", quantity);
    engine.settle(ticket);
    expect(engine.lastCost()).toBe(engine.price("log_artifact", "storage.s3", 1000));
  });

  it.each([...NO_WHOLE_NUMBERS, 2 ** 31])("refuses %s items", (items) => {
    const wrong = items as number;
    expectRefused(
      () => engine.record(run, "log_batch", 0, 0, wrong),
      "INVALID_QUANTITY",
      "items",
      items,
    );
    expectRefused(() => engine.settle(ticket, "ok", 1, wrong), "INVALID_QUANTITY", "items", items);
  });

  it.each([
    -1,
    511,
    65_536,
    2 ** 31,
    0.5,
    Number.NaN,
    Infinity,
    null,
    true,
    {},
    1n,
    "log_metrics",
    "",
  ])("refuses the operation %s", (operation) => {
    const wrong = operation as number;
    for (const call of [
      () => engine.record(run, wrong),
      () => engine.reserve(run, wrong),
      () => engine.price(wrong),
    ]) {
      expectRefused(call, "UNKNOWN_OPERATION", "operation", operation);
    }
  });

  it.each([-1, 5, 256, 2 ** 32, 0.5, Number.NaN, null, true, {}, 1n])(
    "refuses the meter %s",
    (meter) => {
      const wrong = meter as number;
      for (const call of [
        () => engine.record(run, "log_artifact", wrong, 1),
        () => engine.reserve(run, "log_artifact", wrong, 1),
        () => engine.charge(ticket, wrong, 1),
        () => engine.extend(ticket, wrong, 1),
        () => engine.price("log_artifact", wrong, 1),
      ]) {
        expectRefused(call, "UNKNOWN_METER", "meter", meter);
      }
    },
  );

  it("refuses the call itself as a meter to charge", () => {
    expectRefused(() => engine.charge(ticket, 0, 1), "UNKNOWN_METER", "meter", 0);
    expectRefused(() => engine.extend(ticket, 0, 1), "UNKNOWN_METER", "meter", 0);
  });

  it.each(["", "x".repeat(4097), "é".repeat(2049), undefined, null, 5, {}])(
    "refuses a meter named %.10j",
    (name) => {
      expect(refused(() => engine.meter(name as string))).toMatchObject({
        code: "INVALID_NAME",
        field: "meter",
        value: name,
      });
      expect(state()).toEqual(before);
    },
  );

  it.each(["done", "", "OK", null, 1, true])("refuses the outcome %j", (outcome) => {
    expectRefused(
      () => engine.settle(ticket, outcome as "ok"),
      "INVALID_OPTION",
      "outcome",
      outcome,
    );
    engine.settle(ticket);
  });

  it.each(["experiment", "team", "project", "customerId", "environment", "costCenter", "context"])(
    "refuses what is no name of the %s",
    (field) => {
      for (const value of ["x".repeat(4097), null, 5, true, {}, ["t"], 1n]) {
        const wrong = { [field]: value };
        for (const call of [
          () => engine.openRun({ runId: "new", ...wrong }),
          () => engine.openScope(wrong),
        ]) {
          expect(refused(call), String(value)).toMatchObject({
            code: "INVALID_NAME",
            field,
            value,
          });
        }
      }
      expect(state().runs).toEqual(before.runs);
      expect(engine.total()).toBe(before.total);
    },
  );

  it.each(["", undefined, null, 5, "x".repeat(4097)])("refuses a run named %.10j", (runId) => {
    expectRefused(() => engine.openRun({ runId: runId as string }), "INVALID_NAME", "runId", runId);
  });

  it.each([null, 5, {}, "x".repeat(4097)])("refuses a parent run named %.10j", (parentRunId) => {
    const wrong = { runId: "r", parentRunId: parentRunId as string };
    expectRefused(() => engine.openRun(wrong), "INVALID_NAME", "parentRunId", parentRunId);
  });

  it("refuses another attribution of an open run", () => {
    for (const other of [
      { team: "u" },
      { experiment: "f" },
      { project: "p" },
      { parentRunId: "p" },
      { team: undefined },
    ]) {
      const options = { runId: "r", experiment: "e", team: "t", ...other };
      expect(refused(() => engine.openRun(options))).toMatchObject({
        code: "ATTRIBUTION_IMMUTABLE",
        field: "runId",
        value: "r",
      });
    }
    expect(state().runs).toEqual(before.runs);
  });

  it("refuses a run that would be its own ancestor", () => {
    engine.openRun({ runId: "child", parentRunId: "middle" });
    engine.openRun({ runId: "middle", parentRunId: "top" });
    for (const [runId, parentRunId] of [
      ["same", "same"],
      ["top", "child"],
      ["top", "middle"],
    ] as const) {
      expect(refused(() => engine.openRun({ runId, parentRunId }))).toMatchObject({
        code: "PARENT_CYCLE",
        value: runId,
      });
    }
  });

  it.each([undefined, null, "everything", 5])(
    "refuses a total of the dimension %s",
    (dimension) => {
      const wrong = dimension as "team";
      if (dimension === undefined) expect(engine.total(wrong)).toBe(before.total);
      else expectRefused(() => engine.total(wrong, "x"), "INVALID_NAME", "dimension", dimension);
    },
  );

  it("refuses a total without a name, and knows none under a name never seen", () => {
    expectRefused(() => engine.total("team"), "INVALID_NAME", "name", undefined);
    for (const dimension of ["run", "team", "operationType", "meter"] as const) {
      expect(engine.total(dimension, "never seen")).toBe(0n);
    }
  });
});
