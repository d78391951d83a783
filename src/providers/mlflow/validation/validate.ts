// validateSetup: makes every check, one after the other, and puts together what they found.

import type { AdapterOptions } from "../../../governance/configuration.js";
import { ConfigurationError } from "../../../governance/errors.js";
import { isRecord, rejectUnknown } from "../../../governance/option-names.js";
import { ungoverned } from "../../../instrumentation/scopes.js";
import { artifactStoreCheck } from "./artifact-store.js";
import { type Check, makeCheck, type Setup } from "./check.js";
import { attributesCheck, environmentCheck, optionsCheck } from "./configuration.js";
import { packagesCheck, runtimeCheck } from "./dependencies.js";
import { exportCheck } from "./export.js";
import { accountingCheck, conformanceCheck, limitsCheck, samplingCheck } from "./governance.js";
import { keptFilesCheck } from "./kept-files.js";
import { logRecordsCheck } from "./log-records.js";
import { registryCheck } from "./registry.js";
import {
  type Area,
  bySeverity,
  type CheckName,
  type CheckResult,
  type ValidationIssue,
  type ValidationResult,
} from "./result.js";
import { secretHider } from "./secrets.js";
import { trackingServerCheck } from "./tracking-server.js";

export interface ValidateSetupOptions {
  /** What the adapter would be given; `MLFLOW_TRACKING_URI`, else `./mlruns`. */
  readonly trackingUri?: string | undefined;
  /** `MLFLOW_REGISTRY_URI`, else the tracking URI. */
  readonly registryUri?: string | undefined;
  /** Further options that the program gives its adapter. */
  readonly adapter?: AdapterOptions | undefined;
  /** Asks the tracking server, the artifact store and the registry; true when left out. */
  readonly checkConnectivity?: boolean | undefined;
  /** Governs a small workflow in a temporary folder; true when left out. */
  readonly checkGovernance?: boolean | undefined;
  /** Exports a span, and a log record where events are told as such, to where `OTEL_*` says; true when left out. */
  readonly checkTelemetry?: boolean | undefined;
  /**
   * Writes no probe: without it an experiment, a run, an artifact and a registered model are made and
   * deleted again. False when left out.
   */
  readonly readOnly?: boolean | undefined;
  /** Milliseconds that each check has, 100 to 600,000; 15,000 when left out. */
  readonly timeoutMs?: number | undefined;
  /** Called before each check. */
  readonly onProgress?: ((check: CheckName) => void) | undefined;
}

const OPTIONS = [
  "trackingUri",
  "registryUri",
  "adapter",
  "checkConnectivity",
  "checkGovernance",
  "checkTelemetry",
  "readOnly",
  "timeoutMs",
  "onProgress",
];

const CHECKS: readonly Check[] = [
  runtimeCheck,
  packagesCheck,
  optionsCheck,
  environmentCheck,
  attributesCheck,
  keptFilesCheck,
  trackingServerCheck,
  artifactStoreCheck,
  registryCheck,
  accountingCheck,
  limitsCheck,
  samplingCheck,
  conformanceCheck,
  exportCheck,
  logRecordsCheck,
];

function checkOptions(options: ValidateSetupOptions): void {
  if (!isRecord(options)) {
    throw new ConfigurationError(
      "INVALID_OPTION",
      "options",
      options,
      "validateSetup: give an object, for example { trackingUri }",
    );
  }
  rejectUnknown(options, OPTIONS, "validateSetup");
  const wrong = (field: string, value: unknown, fix: string) =>
    new ConfigurationError(
      "INVALID_OPTION",
      field,
      value,
      `${field}: ${String(value)} is not ${fix}`,
    );
  for (const field of [
    "checkConnectivity",
    "checkGovernance",
    "checkTelemetry",
    "readOnly",
  ] as const) {
    const value: unknown = options[field];
    if (value !== undefined && typeof value !== "boolean")
      throw wrong(field, value, "true or false");
  }
  const { timeoutMs, onProgress, adapter } = options;
  const isTime = timeoutMs === undefined || (timeoutMs >= 100 && timeoutMs <= 600_000);
  if (!isTime) throw wrong("timeoutMs", timeoutMs, "a number of milliseconds from 100 to 600000");
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw wrong("onProgress", onProgress, "a function");
  }
  if (adapter !== undefined && !isRecord(adapter)) throw wrong("adapter", adapter, "an object");
}

function setupOf(options: ValidateSetupOptions): Setup {
  const { trackingUri, registryUri, adapter = {} } = options;
  return {
    adapter: {
      ...adapter,
      ...(trackingUri !== undefined && { trackingUri }),
      ...(registryUri !== undefined && { registryUri }),
    },
    readOnly: options.readOnly ?? false,
    timeoutMs: options.timeoutMs ?? 15_000,
    configured: {},
    dependencies: {},
    hasEngine: true,
    configuration: undefined,
    trackingUri: undefined,
    registryUri: undefined,
    client: undefined,
  };
}

function resultOf(
  setup: Setup,
  checks: readonly CheckResult[],
  issues: readonly ValidationIssue[],
): ValidationResult {
  const passed = issues.every(({ severity }) => severity !== "error");
  const statusOf = (name: CheckName) =>
    checks.find((check) => check.name === name)?.status ?? "skipped";
  return {
    passed,
    isValid: passed,
    issues: bySeverity(issues),
    checks,
    dependencies: setup.dependencies,
    configuration: setup.configured,
    connectivity: {
      trackingServer: statusOf("trackingServer"),
      artifactStore: statusOf("artifactStore"),
      registry: statusOf("registry"),
    },
  };
}

/** A copy whose every text has been through `hide`; names of fields stay. */
function withoutSecrets<T>(value: T, hide: (text: string) => string): T {
  if (typeof value === "string") return hide(value) as T;
  if (Array.isArray(value)) return value.map((one) => withoutSecrets(one, hide)) as T;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, one]) => [key, withoutSecrets(one, hide)]);
  return Object.fromEntries(entries) as T;
}

/**
 * Validates dependencies, configuration, connectivity, governance and telemetry of this process. It really
 * does what it validates: unless `readOnly`, a probe is written to the tracking server, its artifact store
 * and the registry, and deleted again; a span is exported, and a log record where events are. Nothing of it is billed by any adapter.
 *
 * Never rejects because of what it finds: that is in `issues`, each with its cause and its fix.
 *
 * @throws {ConfigurationError} for an option of this function that is unknown or impossible.
 */
export async function validateSetup(options: ValidateSetupOptions = {}): Promise<ValidationResult> {
  checkOptions(options);
  const { checkConnectivity = true, checkGovernance = true, checkTelemetry = true } = options;
  const left: Partial<Record<Area, boolean>> = {
    connectivity: !checkConnectivity,
    governance: !checkGovernance,
    telemetry: !checkTelemetry,
  };
  const setup = setupOf(options);
  const checks: CheckResult[] = [];
  const issues: ValidationIssue[] = [];
  for (const check of CHECKS) {
    if (left[check.area]) continue;
    options.onProgress?.(check.name);
    const make = () => makeCheck(check, setup);
    // The workflow that governance governs is the one exception; its ledger is its own.
    const outcome = await (check.area === "governance" ? make() : ungoverned(make));
    checks.push(outcome.result);
    issues.push(...outcome.issues);
  }
  const hide = secretHider([
    setup.adapter.trackingUri,
    setup.adapter.registryUri,
    process.env.MLFLOW_TRACKING_URI,
    process.env.MLFLOW_REGISTRY_URI,
  ]);
  return withoutSecrets(resultOf(setup, checks, issues), hide);
}
