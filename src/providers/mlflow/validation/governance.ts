// Governance: a small workflow is governed for real in a temporary folder; its price, its sampling and its
// telemetry are compared with what they must be.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkConformance } from "../../../conformance/index.js";
import { withoutCostContext } from "../../../costs/context.js";
import { attoToUsd, type Decimal, FLAGS, usdToAtto } from "../../../engine/index.js";
import {
  type AdapterOptions,
  type Configuration,
  configure,
  OPTIONS,
} from "../../../governance/configuration.js";
import { Governor } from "../../../governance/governor.js";
import { type Pricing, pricedEngine } from "../../../governance/pricing.js";
import { clientSeam } from "../../../instrumentation/mlflow-client.js";
import { inScope, useSeam } from "../../../instrumentation/scopes.js";
import { MlflowClient } from "../../../mlflow/client.js";
import { withoutVariables } from "../../../runtime/capabilities.js";
import { VERSION } from "../../../version.js";
import { type Check, type Setup, Skipped } from "./check.js";
import { optionVariable } from "./configuration.js";
import { recordSpans, type SpanRecorder } from "./recorded-spans.js";

const ARTIFACT_BYTES = 10_240;
const SILENT = { debug: () => undefined, warn: () => undefined };

/** The workflow's operations, and which of the two prices of the list each has. */
const WORKFLOW: readonly (readonly [string, "trackingApiCall" | "free"])[] = [
  ["create_experiment", "trackingApiCall"],
  ["create_run", "trackingApiCall"],
  ["log_param", "trackingApiCall"],
  ["log_metric", "trackingApiCall"],
  ["log_artifact", "free"],
  ["update_run", "free"],
];

const ATTO = 10n ** 18n;

/** Rounded once, half to even. */
function divided(amount: bigint, by: bigint): bigint {
  const whole = amount / by;
  const rest = (amount % by) * 2n;
  return rest > by || (rest === by && whole % 2n === 1n) ? whole + 1n : whole;
}

/** Atto-USD that the workflow must cost by its price list alone. */
export function expectedCost(pricing: Pricing): bigint {
  const atto = (amount: Decimal) => usdToAtto(amount, "price");
  const calls = WORKFLOW.reduce((sum, [name, kind]) => {
    const byDefault = kind === "free" ? 0 : (pricing.trackingApiCall ?? "0.0001");
    return sum + atto(pricing.operations?.[name] ?? byDefault);
  }, 0n);
  const rate = atto(pricing.storage?.s3 ?? "0.023") * atto(pricing.storageDays ?? 1);
  return calls + divided(BigInt(ARTIFACT_BYTES) * rate, 2n ** 30n * 30n * ATTO);
}

/** With these options and nothing of the environment: neither budgets nor files of this set-up, nor its journal. */
function configureAlone(options: AdapterOptions): Configuration {
  return withoutVariables(OPTIONS.map(optionVariable), () =>
    configure({ ...options, journal: false, logger: SILENT }),
  );
}

interface Governed {
  readonly governor: Governor;
  readonly spans: SpanRecorder;
}

/** Runs the workflow under a ledger of its own, with this set-up's prices and payers. */
async function govern({ configuration }: Setup): Promise<Governed> {
  if (configuration === undefined) throw new Skipped("the options cannot be used");
  const spans = recordSpans();
  const { attributes, pricing } = configuration;
  const own = configureAlone({
    // Who pays is another check; here somebody always does.
    ...{ team: "validation", project: "validation", environment: "validation" },
    ...attributes,
    pricing,
    runCapacity: 16,
    storageBackends: { "file:": "s3" },
    tracerProvider: spans.tracerProvider,
  });
  const governor = new Governor(own, VERSION);
  const folder = await mkdtemp(join(tmpdir(), "genops-validate-"));
  try {
    const client = new MlflowClient({ trackingUri: folder });
    const workflow = async () => {
      const experimentId = await client.createExperiment("probe");
      const { info } = await client.createRun(experimentId);
      await client.logParam(info.runId, "learning_rate", 0.01);
      await client.logMetric(info.runId, "accuracy", 0.95);
      await client.logText(info.runId, "x".repeat(ARTIFACT_BYTES), "model.txt");
      await client.setTerminated(info.runId);
    };
    useSeam(clientSeam);
    await withoutCostContext(() => inScope(governor, {}, workflow));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return { governor, spans };
}

/** Governed once, for both checks that look at it. */
const governed = new WeakMap<Setup, Promise<Governed>>();

function governOnce(setup: Setup): Promise<Governed> {
  let underway = governed.get(setup);
  if (underway === undefined) {
    underway = govern(setup);
    governed.set(setup, underway);
  }
  return underway;
}

export const accountingCheck: Check = {
  name: "accounting",
  area: "governance",
  async run(setup, found) {
    const { governor } = await governOnce(setup);
    const expected = expectedCost(governor.configuration.pricing);
    const booked = governor.engine.total();
    if (booked !== expected || governor.containedFailures > 0) {
      found({
        code: "ACCOUNTING_WRONG",
        severity: "error",
        message: "The ledger does not book what the price list says.",
        cause: `${attoToUsd(booked)} USD were booked for a run that costs ${attoToUsd(expected)} USD; ${governor.containedFailures} internal failures.`,
        fix: "npm install genops@latest   # and report what genops validate --json prints",
      });
    }
    return `a run with a ${ARTIFACT_BYTES / 1024} KiB artifact on S3 costs ${attoToUsd(booked)} USD, as it must`;
  },
};

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

export const limitsCheck: Check = {
  name: "limits",
  area: "governance",
  run({ configuration }, found) {
    if (configuration === undefined) throw new Skipped("the options cannot be used");
    const { limits, policies, pricing, runCapacity } = configuration;
    const { budgets, rateLimits } = limits;
    const judged = Object.keys(policies).filter((name) => !/^actions?$|^dryRun$/.test(name));
    if (budgets.length + rateLimits.length + judged.length === 0) {
      return "none: whatever is done, nothing warns and nothing blocks";
    }
    try {
      const alone = configureAlone({ budgets, rateLimits, policies, pricing, runCapacity });
      new Governor(alone, VERSION);
    } catch (error) {
      found({
        code: "LIMITS_UNUSABLE",
        severity: "error",
        message: "The engine cannot hold these budgets, rate limits and policies.",
        cause: (error as Error).message,
        fix: "unset GENOPS_BUDGETS GENOPS_RATE_LIMITS GENOPS_BUDGET_DAILY_LIMIT   # then set one after the other",
      });
      return "cannot be held";
    }
    const names = [...[...budgets, ...rateLimits].map(({ name }) => name), ...judged];
    const counts = [
      budgets.length > 0 && plural(budgets.length, "budget"),
      rateLimits.length > 0 && plural(rateLimits.length, "rate limit"),
      judged.length > 0 && `${judged.length} ${judged.length === 1 ? "policy" : "policies"}`,
    ].filter((count) => count !== false);
    return `${counts.join(", ")} can be held: ${names.join(", ")}`;
  },
};

const DRAWS = 10_000;

export const samplingCheck: Check = {
  name: "sampling",
  area: "governance",
  run({ configuration }, found) {
    if (configuration === undefined) throw new Skipped("the options cannot be used");
    const { samplingRate: rate, pricing } = configuration;
    const engine = pricedEngine(pricing, { runs: 16, samplingRate: rate, seed: 1 });
    engine.tick(Date.now());
    const run = engine.openRun({ runId: "probe" });
    const operation = engine.operation("log_metric");
    let kept = 0;
    for (let draw = 0; draw < DRAWS; draw++) {
      if ((engine.record(run, operation, 0, 0, 1) & FLAGS.sampled) !== 0) kept++;
    }
    const expected = BigInt(DRAWS) * (engine.price(operation) ?? 0n);
    // Six standard deviations: with the seed above the outcome is always the same.
    const tolerance = 6 * Math.sqrt(rate * (1 - rate) * DRAWS) + 1e-9;
    if (Math.abs(kept - rate * DRAWS) > tolerance || engine.total() !== expected) {
      found({
        code: "SAMPLING_WRONG",
        severity: "error",
        message: "Sampling does not keep what it should, or touches money.",
        cause: `${kept} of ${DRAWS} operations were kept at the rate ${rate}; ${attoToUsd(engine.total())} USD were booked, ${attoToUsd(expected)} USD are right.`,
        fix: "npm install genops@latest   # and report what genops validate --json prints",
      });
    }
    return `${((kept / DRAWS) * 100).toFixed(1)} % of operations become spans, 100 % are billed`;
  },
};

export const conformanceCheck: Check = {
  name: "conformance",
  area: "governance",
  async run(setup, found) {
    const { spans } = await governOnce(setup);
    const report = checkConformance(spans.document());
    const failed = report.items.find(({ status }) => status === "fail");
    const finding = failed?.findings[0];
    if (report.level !== "full" || report.counts.units === 0) {
      found({
        code: "CONFORMANCE_FAILED",
        severity: "error",
        message: "The telemetry of a governed run does not conform to the GenOps specification.",
        cause:
          finding === undefined
            ? "No governed unit was emitted."
            : `${finding.path}: ${finding.found}`,
        fix: finding?.remedy ?? "npm install genops@latest",
      });
    }
    if (report.level !== "full") return "not conformant with GenOps v0.1.0";
    const { team, project, environment } = setup.configuration?.attributes ?? {};
    const condition = team && project && environment ? "" : ", once it is known who pays";
    return `${report.counts.units} governed units conform to GenOps v0.1.0${condition}`;
  },
};
