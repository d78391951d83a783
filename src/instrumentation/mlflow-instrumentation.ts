// MLflow governance as an ordinary OpenTelemetry instrumentation, for `registerInstrumentations`.
import {
  type MeterProvider,
  metrics,
  ProxyTracerProvider,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import type { AdapterOptions } from "../governance/configuration.js";
import { ConfigurationError } from "../governance/errors.js";
import { GenOpsMlflowAdapter } from "../providers/mlflow/adapter.js";
import { VERSION } from "../version.js";

/** Options of the adapter, and whether it governs at once. */
export interface MlflowInstrumentationConfig extends AdapterOptions {
  /** Govern as soon as it is made; true when left out. */
  readonly enabled?: boolean | undefined;
}

/**
 * Governs MLflow calls of the whole process: those of our own client, and requests to the tracking and registry
 * URIs through `fetch`, and through `node:http` where there is one. Spans go to the provider that
 * `registerInstrumentations` sets, else to the global one; metrics likewise.
 *
 * @throws {ConfigurationError} for an unknown option or an impossible value.
 */
export class MlflowInstrumentation {
  readonly instrumentationName = "genops";
  readonly instrumentationVersion = VERSION;

  #config: MlflowInstrumentationConfig;
  /** Spans are made through it, so that it can be told later where they go. */
  readonly #tracers = new ProxyTracerProvider();
  #adapter: GenOpsMlflowAdapter | undefined;
  #metered: MeterProvider | undefined;

  constructor(config: MlflowInstrumentationConfig = {}) {
    this.#config = config;
    this.#tracers.setDelegate(trace.getTracerProvider());
    if (config.enabled !== false) this.enable();
  }

  /** The adapter that governs: its costs and budgets. */
  get adapter(): GenOpsMlflowAdapter {
    if (this.#adapter === undefined) {
      const { enabled: _, ...options } = this.#config;
      this.#metered = options.meterProvider ?? metrics.getMeterProvider();
      this.#adapter = new GenOpsMlflowAdapter({ tracerProvider: this.#tracers, ...options });
    }
    return this.#adapter;
  }

  /** Governs from now on. A second time changes nothing. */
  enable(): void {
    this.adapter.instrumentFramework();
  }

  /** Gives everything back exactly as it was. */
  disable(): void {
    this.#adapter?.uninstrumentFramework();
  }

  /** Where spans go, unless the configuration names a provider; those of runs that have begun stay where they are. */
  setTracerProvider(tracerProvider: TracerProvider): void {
    this.#tracers.setDelegate(tracerProvider);
  }

  /** Where metrics go, unless the configuration names a provider. */
  setMeterProvider(meterProvider: MeterProvider): void {
    if (this.#config.meterProvider !== undefined) return;
    const { adapter } = this;
    if (meterProvider === this.#metered) return;
    this.#metered = meterProvider;
    adapter.addMeterProvider(meterProvider);
  }

  getConfig(): MlflowInstrumentationConfig & { enabled: boolean } {
    return { ...this.#config, enabled: this.#config.enabled ?? true };
  }

  /**
   * Takes other options. @throws {ConfigurationError} once it was enabled: a ledger keeps its rules.
   */
  setConfig(config: MlflowInstrumentationConfig): void {
    if (this.#adapter !== undefined) {
      throw new ConfigurationError(
        "INVALID_OPTION",
        "config",
        config,
        "config: its ledger is open already; give the options to the constructor of MlflowInstrumentation",
      );
    }
    this.#config = config;
  }
}
