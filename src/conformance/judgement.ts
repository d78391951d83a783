// Collects what was judged and what was found, item by item.
import type { Attributes, TelemetryValue } from "./otlp.js";
import type { Unit } from "./units.js";
import { type AttributeType, isPlaceholder, WIRE_FIELD, WIRE_KIND } from "./vocabulary.js";

/** One violation: where it is, what is there, what should be, and how to mend it. */
export interface Finding {
  /** Lower-case hex, or as it was found; absent when no span is concerned. */
  readonly traceId?: string;
  readonly spanId?: string;
  readonly spanName?: string;
  /** For example `attributes["genops.team"]` or `events["genops.policy.evaluated"].attributes["genops.policy.result"]`. */
  readonly path: string;
  readonly found: string;
  readonly expected: string;
  readonly remedy: string;
}

/** What a rule says; the place is added. */
export type Told = Omit<Finding, "traceId" | "spanId" | "spanName">;

/** The two items of values as such: unreadable, and meaningless. */
const WELL_FORMED = 1;
const MEANINGFUL = 40;

export function eventPath(name: string): string {
  return `events[${JSON.stringify(name)}]`;
}

export function attributePath(name: string, event?: string): string {
  const attribute = `attributes[${JSON.stringify(name)}]`;
  return event === undefined ? attribute : `${eventPath(event)}.${attribute}`;
}

/** A value as a finding shows it. */
export function shown(value: TelemetryValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value.kind === "null") return "a value that holds nothing";
  if (value.kind === "malformed") return "a value that OTLP does not have";
  if (value.value === undefined) return `a value of type ${value.kind}`;
  if (typeof value.value !== "string") return `${value.value} (${value.kind})`;
  const text = value.value.length > 80 ? `${value.value.slice(0, 79)}…` : value.value;
  return `${JSON.stringify(text)} (string)`;
}

/** Equal but for the rounding of a few additions. */
export function isSameAmount(left: number, right: number): boolean {
  return Math.abs(left - right) <= 1e-9 * Math.max(Math.abs(left), Math.abs(right)) + 1e-300;
}

function wrongType(value: TelemetryValue, type: AttributeType): string {
  const sent = `send it as ${WIRE_FIELD[type]}`;
  // https://github.com/open-telemetry/opentelemetry-js/issues/3436
  return type === "double" && value.kind === "int"
    ? `${sent}; JavaScript's OTLP exporters send whole numbers as integers unless they are told otherwise`
    : sent;
}

/** An amount that nobody can have reserved or used. */
function isImpossible(value: TelemetryValue): boolean {
  if (typeof value.value !== "number") return false;
  return !Number.isFinite(value.value) || value.value < 0;
}

export class Judgement {
  readonly #applied = new Map<number, number>();
  readonly #findings = new Map<number, Finding[]>();

  /** How often an item was applied. */
  applied(item: number): number {
    return this.#applied.get(item) ?? 0;
  }

  findings(item: number): readonly Finding[] {
    return this.#findings.get(item) ?? [];
  }

  get failed(): readonly number[] {
    return [...this.#findings.keys()];
  }

  /** Notes that an item applies to something that is there. */
  applies(...items: readonly number[]): void {
    for (const item of items) this.#applied.set(item, this.applied(item) + 1);
  }

  /** Notes a violation that no span is to blame for. */
  find(item: number, told: Finding): void {
    const known = this.#findings.get(item);
    if (known === undefined) this.#findings.set(item, [told]);
    else known.push(told);
  }

  /** Notes a violation by a unit. */
  blame(item: number, unit: Pick<Unit, "span">, told: Told): void {
    const { traceId, spanId, name } = unit.span;
    this.find(item, { traceId: traceId.text, spanId: spanId.text, spanName: name, ...told });
  }

  /**
   * Judges an attribute that must be there: absent or of another type is against `item`; unreadable
   * against item 1; empty, a placeholder or impossible against item 40. Answers the value when it is right.
   */
  require(
    item: number,
    unit: Unit,
    attributes: Attributes,
    name: string,
    type: AttributeType,
    event?: string,
  ): TelemetryValue["value"] {
    this.applies(item);
    const value = attributes.get(name)?.[0];
    if (value === undefined) {
      this.blame(item, unit, {
        path: attributePath(name, event),
        found: "nothing",
        expected: `a ${type}`,
        remedy: this.#remedyForAbsent(unit, name, event),
      });
      return undefined;
    }
    return this.typed(item, unit, value, name, type, event, true);
  }

  #remedyForAbsent(unit: Unit, name: string, event: string | undefined): string {
    if (event !== undefined) return "set it on the event when the event is recorded";
    return unit.span.resource.has(name)
      ? "set it on the span too: the resource has it, and the specification wants it on every unit"
      : "set it on the span when the unit begins";
  }

  /** Judges the type of an attribute that is there, and with `required` that it means something. */
  typed(
    item: number,
    unit: Unit,
    value: TelemetryValue,
    name: string,
    type: AttributeType,
    event?: string,
    required = false,
  ): TelemetryValue["value"] {
    const path = attributePath(name, event);
    const found = shown(value);
    if (value.kind === "malformed") {
      this.blame(WELL_FORMED, unit, {
        path,
        found,
        expected: `a ${type}`,
        remedy: `send it as ${WIRE_FIELD[type]}`,
      });
      return undefined;
    }
    if (required) this.applies(MEANINGFUL);
    if (value.kind === "null" && required) {
      const remedy = "send what is true of the unit";
      this.blame(MEANINGFUL, unit, { path, found, expected: `a ${type}`, remedy });
      return undefined;
    }
    if (value.kind !== WIRE_KIND[type]) {
      this.blame(item, unit, {
        path,
        found,
        expected: `a ${type}`,
        remedy: wrongType(value, type),
      });
      return undefined;
    }
    if (required && typeof value.value === "string" && isPlaceholder(value.value)) {
      this.blame(MEANINGFUL, unit, {
        path,
        found,
        expected: "a value that means something",
        remedy: "configure the real one; what is not known must not be made up",
      });
      return undefined;
    }
    if (required && isImpossible(value)) {
      this.blame(MEANINGFUL, unit, {
        path,
        found,
        expected: "a finite amount, 0 or more",
        remedy: "send the amount that was reserved or used",
      });
      return undefined;
    }
    return value.value;
  }
}
