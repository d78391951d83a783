// The module itself: no imports, any WebAssembly runtime, and the ABI that the binding speaks.
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { createEngine, loadEngine } from "../../src/engine/index.js";
import type { EngineExports } from "../../src/engine/module.js";
import { bytes, LAST_COST, module } from "./bare.js";
import { refused } from "./refused.js";

describe("the module", () => {
  it("imports nothing", () => {
    expect(WebAssembly.Module.imports(module)).toEqual([]);
  });

  it("holds no debug names and is at most 45 KiB", () => {
    expect(WebAssembly.Module.customSections(module, "name")).toEqual([]);
    expect(bytes.byteLength).toBeLessThanOrEqual(45 * 1024);
  });

  it("travels as text that is the same module, byte by byte", async () => {
    expect(Buffer.from(bytes).equals(await readFile("build/engine.wasm"))).toBe(true);
  });

  it("counts in a bare instance", async () => {
    const { instance } = await WebAssembly.instantiate(bytes, {});
    const engine = instance.exports as Record<string, (...values: number[]) => number> & {
      memory: WebAssembly.Memory;
    };
    const call = (name: string, ...values: number[]) => engine[name]?.(...values) ?? Number.NaN;
    const form = new Uint32Array(engine.memory.buffer, call("form"), 32);
    form.set([16, 16, 64, 1024, 4, 4, 4, 0, 0, 0]);
    expect(call("init")).toBe(0);
    const view = new DataView(engine.memory.buffer);
    const header = call("header");
    const window = view.getUint32(header + 688 + 18 * 4, true);
    const text = (value: string) => {
      const written = new TextEncoder().encode(value);
      new Uint8Array(engine.memory.buffer).set(written, window);
      return written.length;
    };
    const words = new Uint32Array(engine.memory.buffer, call("form"), 32).fill(0);
    words[1] = text("r");
    const run = call("openRun");
    const asked = text("POST /api/2.0/mlflow/runs/log-metric");
    const operation = call("classify", window, asked);
    call("tick", Date.UTC(2026, 0, 1));
    for (let i = 0; i < 1000; i++) expect(call("record", run, operation, 0, 0, 1)).toBe(1);
    expect(view.getBigUint64(header, true)).toBe(1000n * 10n ** 14n);
    expect(view.getBigUint64(header + LAST_COST, true)).toBe(10n ** 14n);
  });

  it("is started once, with capacities in range", () => {
    const good = [16, 16, 64, 1024, 4, 4, 4, 0];
    const start = (values: readonly number[]) => {
      const { exports } = new WebAssembly.Instance(module, {}) as unknown as {
        exports: EngineExports;
      };
      return [values, good].map((form) => {
        new Int32Array(exports.memory.buffer, exports.form(), 32).set(form);
        return exports.init();
      });
    };
    expect(start(good)).toEqual([0, -15]);
    for (const [index, wrong] of [
      [0, 0],
      [0, 2 ** 24],
      [1, 15],
      [2, 63],
      [3, 1023],
      [4, 0],
      [5, 0],
      [5, 65_536],
      [6, 0],
      [7, 2 ** 30 + 1],
      [0, -1],
    ] as const) {
      expect(start(good.with(index, wrong)), `word ${index}: ${wrong}`).toEqual([-15, 0]);
    }
  });
});

describe("an engine", () => {
  const options = { runs: 1 };

  it.each([
    ["bytes", () => bytes],
    ["a buffer", () => bytes.buffer],
    ["a compiled module", () => module],
    ["a response", () => new Response(bytes)],
    [
      "a URL",
      () => new URL(`data:application/wasm;base64,${Buffer.from(bytes).toString("base64")}`),
    ],
    ["nothing but the package", () => undefined],
  ])("is loaded from %s", async (_, source) => {
    const engine = await loadEngine(options, source());
    engine.record(engine.openRun({ runId: "r" }), "log_metric");
    expect(engine.total()).toBe(10n ** 14n);
  });

  it("is not loaded from a response that failed", async () => {
    await expect(loadEngine(options, new Response("no", { status: 404 }))).rejects.toMatchObject({
      code: "INCOMPATIBLE_MODULE",
      field: "source",
      message: expect.stringContaining("404"),
    });
  });

  it("is not loaded from another module", () => {
    const empty = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
    return expect(loadEngine(options, empty)).rejects.toMatchObject({
      code: "INCOMPATIBLE_MODULE",
      field: "source",
    });
  });

  it("is not loaded from bytes that are none", async () => {
    await expect(loadEngine(options, Uint8Array.of(1, 2, 3))).rejects.toMatchObject({
      code: "INCOMPATIBLE_MODULE",
      field: "source",
    });
  });

  it("has a ledger of its own", () => {
    const [one, two] = [createEngine(options), createEngine(options)];
    one.record(one.openRun({ runId: "r" }), "log_metric");
    expect([one.total(), two.total()]).toEqual([10n ** 14n, 0n]);
    expect(two.summary().runs).toEqual([]);
  });

  it("that asks for more memory than there is, says so", () => {
    const huge = { runs: 0x800000, tuples: 0x100000, names: 0x800000, nameBytes: 2 ** 30 };
    const all = { ...huge, reservations: 0xffffe };
    // 2.3 GiB fit where the host allows them; it must be an engine or a typed error, never a trap.
    try {
      expect(createEngine(all).total()).toBe(0n);
    } catch (error) {
      expect(error).toMatchObject({ code: "CAPACITY_EXCEEDED" });
    }
    expect(refused(() => createEngine({ runs: 2 ** 30 })).code).toBe("INVALID_OPTION");
  });
});
