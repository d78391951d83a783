// Zero-code export: started by a platform's entry where the environment asks for it.
import type { MeterProvider, TracerProvider } from "@opentelemetry/api";
import type { EventLoggerProvider } from "./event-log.js";

/** Takes a warning that a person should see. */
export type Warn = (message: string) => void;

/** A running export. */
export interface TelemetryExport {
  readonly tracerProvider: TracerProvider;
  /** Absent where metrics are not asked for, or cannot be sent. */
  readonly meterProvider?: MeterProvider | undefined;
  /** Absent where log records are not asked for, or cannot be sent. */
  readonly loggerProvider?: EventLoggerProvider | undefined;
  /** Sends what waits. Never rejects: what could not be sent is warned about. */
  flush(): Promise<void>;
}

/** How an export of our own sends. */
export interface ExportOptions {
  /** Spans and log records in batches, in the background; else each as it ends. */
  readonly batched: boolean;
  /** Are events told as log records, so that they are to be sent, too? */
  readonly logs: boolean;
}

type Starter = (warn: Warn, options: ExportOptions) => TelemetryExport | undefined;

let starter: Starter | undefined;

/** Tells how this platform starts an export. Called once by the platform's entry point. */
export function setTelemetryStarter(start: Starter): void {
  starter = start;
}

/** Starts the export that the `OTEL_*` environment asks for; undefined when it asks for none. */
export function startTelemetry(warn: Warn, options: ExportOptions): TelemetryExport | undefined {
  return starter?.(warn, options);
}
