// The specification's events as OpenTelemetry log records, in place of events on their spans.
import { type Attributes, type Context, ROOT_CONTEXT, type Span, trace } from "@opentelemetry/api";
import { ATTRIBUTE_NAMES, ATTRIBUTES } from "../governance/attribution.js";
import { GENOPS, MLFLOW, SPEC_VERSION } from "./semantics.js";

/** Where the events of governed units go: on their spans, or beside them as log records. */
export type EventRecords = "spans" | "logs";

/** One event, as the logs API of OpenTelemetry takes it. Times in ms since 1970. */
export interface EventLogRecord {
  readonly eventName: string;
  readonly timestamp: number;
  readonly observedTimestamp: number;
  /** 9 for what was allowed and booked, 13 for what a person should look at. */
  readonly severityNumber: number;
  readonly severityText: "INFO" | "WARN";
  readonly attributes: Attributes;
  /** Has the unit's span in it. */
  readonly context: Context;
}

/** OpenTelemetry's logger, by what is used of it. */
export interface EventLogger {
  emit(record: EventLogRecord): void;
}

/** OpenTelemetry's logger provider, by what is used of it: `@opentelemetry/api-logs` is not needed for it. */
export interface EventLoggerProvider {
  getLogger(name: string, version?: string): EventLogger;
}

/** What each record says of its unit, so that it can be read without the span: whose it is, and what was done. */
const TOLD: readonly string[] = [
  ...ATTRIBUTES.map((name) => `genops.${ATTRIBUTE_NAMES[name]}`),
  GENOPS.operationName,
  MLFLOW.runId,
  MLFLOW.experimentId,
];

function toldOf(attributes: Attributes): Attributes {
  const told: Attributes = { [GENOPS.specVersion]: SPEC_VERSION };
  for (const name of TOLD) if (attributes[name] !== undefined) told[name] = attributes[name];
  return told;
}

function isSerious(attributes: Attributes): boolean {
  const result = attributes[GENOPS.policyResult];
  return (
    (result !== undefined && result !== "ALLOWED") || attributes[GENOPS.budgetShare] !== undefined
  );
}

/** Writes the events of units through one logger. */
export class EventLog {
  readonly #provider: EventLoggerProvider;
  readonly #scope: string;
  readonly #version: string;
  readonly #onFailure: (error: unknown) => void;
  #logger: EventLogger | undefined;
  /** Whose span it is that stays open between its events. */
  readonly #owners = new WeakMap<Span, Attributes>();

  /** `onFailure` is told what the logger threw. */
  constructor(
    provider: EventLoggerProvider,
    scope: string,
    version: string,
    onFailure: (error: unknown) => void,
  ) {
    this.#provider = provider;
    this.#scope = scope;
    this.#version = version;
    this.#onFailure = onFailure;
  }

  /** Notes the attributes that a span was started with. */
  opened(span: Span, attributes: Attributes): void {
    this.#owners.set(span, toldOf(attributes));
  }

  /** Tells an event of a span that was {@link opened}; on the span itself when the logger throws. */
  add(span: Span, eventName: string, attributes: Attributes, atMs: number): void {
    try {
      this.#emit(span, eventName, attributes, atMs);
    } catch (error) {
      span.addEvent(eventName, attributes, atMs);
      this.#onFailure(error);
    }
  }

  #emit(span: Span, eventName: string, attributes: Attributes, atMs: number): void {
    this.#logger ??= this.#provider.getLogger(this.#scope, this.#version);
    const serious = isSerious(attributes);
    this.#logger.emit({
      eventName,
      timestamp: atMs,
      observedTimestamp: Date.now(),
      severityNumber: serious ? 13 : 9,
      severityText: serious ? "WARN" : "INFO",
      attributes: { ...this.#owners.get(span), ...attributes },
      context: trace.setSpan(ROOT_CONTEXT, span),
    });
  }
}

/** Finds the process's logger provider; undefined when it has none. `warn` is told what is missing. */
type Finder = (warn: (message: string) => void) => EventLoggerProvider | undefined;

let finder: Finder | undefined;

/** Tells how this platform finds the global logger provider. Called once by the platform's entry point. */
export function setLoggerProviderFinder(find: Finder): void {
  finder = find;
}

/** What the program registered as its global logger provider; undefined, and `warn` told why, when there is none. */
export function globalLoggerProvider(
  warn: (message: string) => void,
): EventLoggerProvider | undefined {
  if (finder !== undefined) return finder(warn);
  warn(
    "eventRecords is logs, but no logger provider was given; give the option loggerProvider. Events are told on spans.",
  );
  return undefined;
}
