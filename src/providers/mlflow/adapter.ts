// The main interface: governs MLflow, tracks runs, and tells what they cost.
import { context, type MeterProvider, metrics, trace } from "@opentelemetry/api";
import { MlflowCostAggregator } from "../../costs/aggregator.js";
import { usdNumber } from "../../costs/summary.js";
import {
  ATTRIBUTES,
  attributesOf,
  type GovernanceAttributes,
} from "../../governance/attribution.js";
import {
  type AdapterOptions,
  type Configuration,
  configure,
} from "../../governance/configuration.js";
import { ConfigurationError } from "../../governance/errors.js";
import { Governor } from "../../governance/governor.js";
import type { JournalStatus } from "../../governance/journal/open.js";
import type { BudgetStatus } from "../../governance/limits.js";
import { warnWithoutOwner } from "../../governance/logging.js";
import { meter } from "../../governance/metering.js";
import { rejectUnknown } from "../../governance/option-names.js";
import { type CostQuestion, priceOf } from "../../governance/pricing.js";
import { clientSeam } from "../../instrumentation/mlflow-client.js";
import {
  endScope,
  enterScope,
  inScope,
  install,
  isInstalled,
  uninstall,
  useSeam,
} from "../../instrumentation/scopes.js";
import { reasonOf } from "../../mlflow/errors.js";
import {
  type ActiveRun,
  setRegistryUri,
  setTrackingUri,
  startRun,
  withRun,
} from "../../mlflow/fluent.js";
import { withoutCredentials } from "../../mlflow/redaction.js";
import { connectionTo, locateStore } from "../../mlflow/store-uri.js";
import type { LoggableValue } from "../../mlflow/validation.js";
import { asyncDispose, environmentVariable } from "../../runtime/capabilities.js";
import { startTelemetry, type TelemetryExport } from "../../telemetry/export.js";
import { VERSION } from "../../version.js";

/** What a tracked run is, and what it overrides of the adapter's attributes. */
export interface TrackRunOptions extends GovernanceAttributes {
  /** Made when it does not exist yet. The active experiment when left out. */
  readonly experimentName?: string | undefined;
  readonly runName?: string | undefined;
  /** Run above this one; the run that is active, when left out. */
  readonly parentRunId?: string | undefined;
  readonly tags?: Readonly<Record<string, LoggableValue>> | undefined;
}

/** The quick numbers. */
export interface AdapterMetrics {
  /** USD booked to the current UTC day, for display; with the journal, by all processes of this ledger. */
  readonly dailyUsage: number;
  /** Calls that succeeded and changed something, since the adapter was made; a batch is one. */
  readonly operationCount: number;
  /** Runs started. */
  readonly runCount: number;
}

const RUN_OPTIONS = ["experimentName", "runName", "parentRunId", "tags", ...ATTRIBUTES];

function checkRunOptions(options: TrackRunOptions): GovernanceAttributes {
  if (typeof options !== "object" || options === null) {
    throw new ConfigurationError(
      "INVALID_OPTION",
      "options",
      options,
      "trackMlflowRun: give an object, for example { experimentName, runName }",
    );
  }
  rejectUnknown(options, RUN_OPTIONS, "trackMlflowRun");
  return attributesOf(options);
}

function checkCallback(callback: unknown): void {
  if (callback === undefined || typeof callback === "function") return;
  throw new ConfigurationError(
    "INVALID_OPTION",
    "callback",
    callback,
    `trackMlflowRun: ${String(callback)} is no function; give the body of the run, or leave it out`,
  );
}

/** @throws {ConfigurationError} for a URI that the client cannot use, given or of the environment. */
function checkUri(field: string, variable: string, given: string | undefined): void {
  const uri = given ?? environmentVariable(variable);
  if (uri === undefined) return;
  const name = given === undefined ? variable : field;
  try {
    locateStore(uri);
  } catch (error) {
    const shown = withoutCredentials(uri);
    throw new ConfigurationError("INVALID_OPTION", name, shown, `${name}: ${reasonOf(error)}`);
  }
}

/** The export of an adapter that says how to send, and has no provider to send to. */
function askedFor(
  options: AdapterOptions,
  { asyncExport, eventRecords, loggerProvider, logger = console }: Configuration,
): TelemetryExport | undefined {
  if (options.asyncExport === undefined || asyncExport === undefined) return undefined;
  const warn = (message: string) => logger.warn(`genops: ${message}`);
  const logs = eventRecords === "logs" && loggerProvider === undefined;
  return startTelemetry(warn, { batched: asyncExport, logs });
}

/**
 * Governs MLflow under one ledger. Several adapters side by side never mix: a run tracked by one is
 * billed by that one; what no adapter tracks is billed by the one instrumented last.
 */
export class GenOpsMlflowAdapter {
  /** Detailed costs: by run, experiment, team, project, customer and more. */
  readonly costAggregator: MlflowCostAggregator;

  readonly #governor: Governor;
  readonly #trackingUri: string | undefined;
  readonly #export: TelemetryExport | undefined;

  /**
   * @throws {ConfigurationError} for an unknown option or an impossible value; nothing was changed then.
   */
  constructor(options: AdapterOptions = {}, started?: TelemetryExport) {
    const configuration = configure(options);
    checkUri("trackingUri", "MLFLOW_TRACKING_URI", configuration.trackingUri);
    checkUri("registryUri", "MLFLOW_REGISTRY_URI", configuration.registryUri);
    const telemetry = started ?? askedFor(options, configuration);
    this.#governor = new Governor(
      telemetry && configuration.tracerProvider === undefined
        ? {
            ...configuration,
            tracerProvider: telemetry.tracerProvider,
            ...(telemetry.loggerProvider && { loggerProvider: telemetry.loggerProvider }),
          }
        : configuration,
      VERSION,
    );
    this.#export = telemetry;
    useSeam(clientSeam);
    meter(
      this.#governor,
      configuration.meterProvider ?? telemetry?.meterProvider ?? metrics.getMeterProvider(),
    );
    this.#trackingUri = configuration.trackingUri;
    const { engine, runs, observation } = this.#governor;
    this.costAggregator = new MlflowCostAggregator(engine, runs, observation);
    // The fluent functions go where the adapter was told to, as it was said how to get there.
    const { trackingUri, registryUri } = configuration;
    if (trackingUri !== undefined) setTrackingUri(trackingUri, connectionTo(trackingUri));
    if (registryUri !== undefined) setRegistryUri(registryUri, connectionTo(registryUri));
    warnWithoutOwner(this.#governor);
  }

  // ── tracking ───────────────────────────────────────────────────────────────────────────────────

  /**
   * Runs `callback` inside a new MLflow run that this adapter governs, and answers its value. The run
   * ends FINISHED, or FAILED when the callback throws, whose error comes through.
   *
   * @throws {ConfigurationError} for an unknown option, before anything is sent.
   * @throws {MlflowError} when the store refuses the run.
   */
  trackMlflowRun<T>(
    options: TrackRunOptions,
    callback: (run: ActiveRun) => Promise<T> | T,
  ): Promise<T>;
  /**
   * Opens a run for the rest of the block: `await using run = await adapter.trackMlflowRun({…})`. It
   * ends FINISHED with the block; use the callback form to have errors mark it FAILED.
   */
  trackMlflowRun(options: TrackRunOptions): Promise<ActiveRun>;
  trackMlflowRun<T>(
    options: TrackRunOptions,
    callback?: (run: ActiveRun) => Promise<T> | T,
  ): Promise<T | ActiveRun> {
    // Not an async function: the block form must enter its scope before anything is awaited.
    try {
      const overrides = checkRunOptions(options);
      checkCallback(callback);
      return callback === undefined
        ? this.#openRun(options, overrides)
        : inScope(this.#governor, overrides, () => this.#track(options, callback));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #runOptions(options: TrackRunOptions) {
    const { experimentName, runName, parentRunId, tags } = options;
    return {
      nested: true,
      ...(experimentName !== undefined && { experimentName }),
      ...(runName !== undefined && { runName }),
      ...(parentRunId !== undefined && { parentRunId }),
      ...(tags !== undefined && { tags }),
      ...(this.#trackingUri !== undefined && { trackingUri: this.#trackingUri }),
    };
  }

  #track<T>(options: TrackRunOptions, callback: (run: ActiveRun) => Promise<T> | T): Promise<T> {
    return withRun(this.#runOptions(options), async (run) => {
      const span = this.#governor.runSpan(run.info.runId);
      const inside = span ? trace.setSpan(context.active(), span) : context.active();
      try {
        return await context.with(inside, () => callback(run));
      } catch (error) {
        this.#governor.noteFailure(run.info.runId, error);
        throw error;
      }
    });
  }

  #openRun(options: TrackRunOptions, overrides: GovernanceAttributes): Promise<ActiveRun> {
    const scope = enterScope(this.#governor, overrides);
    return startRun(this.#runOptions(options)).then(
      (run) => {
        const end = run[asyncDispose].bind(run);
        return Object.assign(run, {
          [asyncDispose]: async () => {
            try {
              await end();
            } finally {
              endScope(scope);
            }
          },
        });
      },
      (error) => {
        endScope(scope);
        throw error;
      },
    );
  }

  // ── instrumentation ────────────────────────────────────────────────────────────────────────────

  /** Governs every call of the MLflow client in this process. A second time changes nothing. */
  instrumentFramework(): void {
    install(this.#governor);
  }

  /** Gives the client back exactly as it was; open tracked runs stay governed to their end. */
  uninstrumentFramework(): void {
    uninstall(this.#governor);
  }

  /** Is this adapter governing the process? */
  get isInstrumented(): boolean {
    return isInstalled(this.#governor);
  }

  /** Tells what it costs to another provider of metrics, too. */
  addMeterProvider(meterProvider: MeterProvider): void {
    meter(this.#governor, meterProvider);
  }

  // ── costs ──────────────────────────────────────────────────────────────────────────────────────

  /**
   * USD booked to the current UTC day, for display; it starts anew when the day ends. With the journal it is what all
   * processes of this ledger spent today, those before this one too.
   */
  get dailyUsage(): number {
    return usdNumber(this.#governor.daySpent());
  }

  /** How the journal is, and what it knows of the current UTC day. */
  get journal(): JournalStatus {
    return this.#governor.journal;
  }

  /** Calls that succeeded and changed something; a batch is one. */
  get operationCount(): number {
    return this.#governor.engine.operationCount();
  }

  getMetrics(): AdapterMetrics {
    return {
      dailyUsage: this.dailyUsage,
      operationCount: this.operationCount,
      runCount: this.#governor.runCount,
    };
  }

  /**
   * USD that an operation would cost under this adapter's prices, for display.
   * @throws {ConfigurationError} for an unknown operation, an unpriced backend or an impossible size.
   */
  calculateCost(question: CostQuestion): number {
    return usdNumber(priceOf(this.#governor.engine, question));
  }

  // ── budgets ────────────────────────────────────────────────────────────────────────────────────

  /**
   * Has any budget been passed, or used up so far that it refused a call, in its current period? One with
   * the period `run` counts for ever once a run has passed it.
   */
  isOverBudget(): boolean {
    this.#governor.tick();
    return this.#governor.limits.isOver;
  }

  /** Where every budget stands at this moment, `budgetDailyLimit` as the one called `daily`. */
  get budgets(): readonly BudgetStatus[] {
    this.#governor.tick();
    return this.#governor.limits.statuses();
  }

  /**
   * Where one budget stands; with a run's id, where that run stands in a budget with the period `run`.
   * @throws {ConfigurationError} for a name that is no budget's, and a run that this adapter does not know.
   */
  budget(name: string, runId?: string): BudgetStatus {
    this.#governor.tick();
    if (runId === undefined) return this.#governor.limits.status(name);
    const run = this.#governor.runs.get(runId);
    if (run !== undefined) return this.#governor.limits.status(name, run.node);
    throw new ConfigurationError(
      "INVALID_OPTION",
      "runId",
      runId,
      `runId: ${JSON.stringify(runId)} is no run that this adapter knows`,
    );
  }

  /** Internal failures that were kept from the program, 0 when all is well. */
  get containedFailures(): number {
    return this.#governor.containedFailures;
  }

  /**
   * Sends the telemetry that waits, when this adapter exports its own, and has the journal write down exactly what was
   * spent. Never rejects.
   */
  async flush(): Promise<void> {
    this.#governor.settleJournal();
    await this.#export?.flush();
  }
}

/** Makes a configured adapter. Nothing is patched: the runs it tracks are governed all the same. */
export function instrumentMlflow(options: AdapterOptions = {}): GenOpsMlflowAdapter {
  return new GenOpsMlflowAdapter(options);
}

/**
 * Governs the whole process, configured from the environment: `GENOPS_TEAM`, `GENOPS_PROJECT`,
 * `MLFLOW_TRACKING_URI`, and spans to `OTEL_EXPORTER_OTLP_ENDPOINT` when that is set.
 *
 * @throws {ConfigurationError} for an impossible variable.
 */
export function autoInstrumentMlflow(): GenOpsMlflowAdapter {
  const { asyncExport = true, eventRecords } = configure({});
  const warn = (message: string) => console.warn(`genops: ${message}`);
  const logs = eventRecords === "logs";
  const telemetry = startTelemetry(warn, { batched: asyncExport, logs });
  const adapter = new GenOpsMlflowAdapter({}, telemetry);
  adapter.instrumentFramework();
  return adapter;
}
