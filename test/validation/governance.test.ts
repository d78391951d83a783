// The checks that govern a workflow: right for any prices and rates, and able to see what is wrong.
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Engine } from "../../src/engine/index.js";
import { type AdapterOptions, type ValidationResult, validateSetup } from "../../src/node.js";
import { GENOPS } from "../../src/telemetry/semantics.js";

afterEach(() => vi.restoreAllMocks());

const PAYER = { team: "ml-team", project: "search", environment: "production" };

function validated(adapter: AdapterOptions = {}): Promise<ValidationResult> {
  return validateSetup({
    checkConnectivity: false,
    checkTelemetry: false,
    adapter: { ...PAYER, ...adapter },
  });
}

function codesOf({ issues }: ValidationResult): string[] {
  return issues.map(({ code }) => code);
}

/** Amounts above 0 with up to 18 decimals, as text: a run whose start is free reserves nothing for its end. */
const amount = fc
  .tuple(fc.nat(3), fc.bigInt({ min: 1n, max: 10n ** 18n - 1n }))
  .map(([whole, fraction]) => `${whole}.${fraction.toString().padStart(18, "0")}`);

describe("a set-up with any prices and any rate", () => {
  it("is told to be right", async () => {
    const operations = fc.record(
      { log_metric: amount, create_run: amount, update_run: amount, log_artifact: amount },
      { requiredKeys: [] },
    );
    const pricing = fc.record(
      {
        trackingApiCall: amount,
        storage: fc.record({ s3: amount }),
        storageDays: fc.integer({ min: 0, max: 365 }),
        operations,
      },
      { requiredKeys: [] },
    );
    const options = fc.record({
      pricing,
      samplingRate: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(options, async (adapter) => {
        const result = await validated(adapter);
        expect(codesOf(result), JSON.stringify(result.issues)).toEqual([]);
      }),
      { numRuns: 10 },
    );
  });

  it("is judged whoever pays, and says for whom not", async () => {
    const result = await validateSetup({ checkConnectivity: false, checkTelemetry: false });
    const conformance = result.checks.find(({ name }) => name === "conformance");
    expect(conformance).toMatchObject({
      status: "passed",
      detail: "5 governed units conform to GenOps v0.1.0, once it is known who pays",
    });
  });
});

describe("what is wrong is seen:", () => {
  it("a ledger that books something else", async () => {
    vi.spyOn(Engine.prototype, "total").mockReturnValue(1n);
    const { issues, passed } = await validated();
    expect(passed).toBe(false);
    expect(issues[0]).toMatchObject({
      code: "ACCOUNTING_WRONG",
      severity: "error",
      cause: expect.stringContaining(
        "0.000000000000000001 USD were booked for a run that costs 0.000400007311503092 USD",
      ),
    });
  });

  it("sampling that keeps too little", async () => {
    const record = Engine.prototype.record;
    vi.spyOn(Engine.prototype, "record").mockImplementation(function (this: Engine, ...args) {
      record.apply(this, args);
      return 0;
    });
    const { issues } = await validated({ samplingRate: 0.5 });
    expect(issues).toMatchObject([
      { code: "SAMPLING_WRONG", cause: expect.stringMatching(/^0 of 10000 .* at the rate 0\.5;/) },
    ]);
  });

  it("telemetry that lacks what the specification asks for", async () => {
    const names = GENOPS as { -readonly [name in keyof typeof GENOPS]: string };
    const right = names.specVersion;
    names.specVersion = "genops.misspelt";
    try {
      expect(codesOf(await validated())).toEqual(["CONFORMANCE_FAILED"]);
    } finally {
      names.specVersion = right;
    }
  });

  it("an engine that cannot be started", async () => {
    vi.spyOn(WebAssembly, "Instance").mockImplementation(function refuse() {
      throw new Error("Wasm code generation disallowed by embedder");
    });
    expect(codesOf(await validated())).toEqual(["WEBASSEMBLY_UNAVAILABLE"]);
  });
});
