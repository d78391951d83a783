// The whole check: read, assemble, judge item by item, and say which level is reached.
import { CHECKLIST, type ChecklistItem } from "./checklist.js";
import { type Finding, Judgement } from "./judgement.js";
import { readTelemetry } from "./otlp.js";
import { judgeAttributes } from "./rules/attributes.js";
import { judgeDecisions } from "./rules/decisions.js";
import { judgeEvents } from "./rules/events.js";
import { judgeIdentity } from "./rules/identity.js";
import { judgeLifecycle } from "./rules/lifecycle.js";
import { judgeVocabulary } from "./rules/names.js";
import { type Assembly, assembleUnits, type Unit } from "./units.js";
import { PARTIAL_DECLARATION, SPECIFICATION_VERSION } from "./vocabulary.js";

/** `not-judgeable`: telemetry alone cannot tell, whatever it says. */
export type ItemStatus = "pass" | "fail" | "not-applicable" | "not-judgeable";

export interface ItemResult extends ChecklistItem {
  readonly status: ItemStatus;
  /** How many things the item was applied to: units, events or values. */
  readonly judged: number;
  readonly findings: readonly Finding[];
}

/**
 * `full`: every item that applies passes. `partial`: likewise, but at least one unit declares itself
 * "GenOps v0.1 — partial", which excuses it from the reservation invariant. `none`: anything fails.
 */
export type ConformanceLevel = "full" | "partial" | "none";

export interface ConformanceReport {
  /** Version of the specification that was judged. */
  readonly specification: string;
  readonly level: ConformanceLevel;
  /** What the telemetry would satisfy if it declared itself rightly; above `level` when only that is wrong. */
  readonly satisfies: ConformanceLevel;
  /** Does any unit declare itself partial? */
  readonly declaresPartial: boolean;
  readonly counts: {
    /** Governed units; `executed` and `stopped` are parts of it. */
    readonly units: number;
    readonly executed: number;
    readonly stopped: number;
    /** Spans without anything of GenOps but its context. */
    readonly otherSpans: number;
    readonly logRecords: number;
    readonly metricPoints: number;
    /** Spans that came more than once, and count once. */
    readonly repeatedSpans: number;
    readonly findings: number;
  };
  /** All 44, by id. */
  readonly items: readonly ItemResult[];
}

const CLAIMS = 42;
const READABLE = 43;

function worst(failed: Iterable<number>): ConformanceLevel {
  let level: ConformanceLevel = "full";
  for (const id of failed) {
    if (CHECKLIST[id - 1]?.requiredFor === "partial") return "none";
    level = "partial";
  }
  return level;
}

function judgeUnits(
  judgement: Judgement,
  assembly: Assembly,
  points: Parameters<typeof judgeVocabulary>[2],
) {
  judgeIdentity(judgement, assembly);
  judgeLifecycle(judgement, assembly.units);
  judgeDecisions(judgement, assembly, points);
  judgeAttributes(judgement, assembly.units);
  judgeEvents(judgement, assembly.units);
  judgeVocabulary(judgement, assembly.units, points);
}

const RANK: Readonly<Record<ConformanceLevel, number>> = { none: 0, partial: 1, full: 2 };

function judgeClaims(
  judgement: Judgement,
  units: readonly Unit[],
  reached: ConformanceLevel,
): void {
  for (const unit of units) {
    for (const claim of unit.claims) {
      judgement.applies(CLAIMS);
      if (claim.level !== "misspelt" && RANK[claim.level] <= RANK[reached]) continue;
      judgement.blame(CLAIMS, unit, {
        path: `attributes[${JSON.stringify(claim.attribute)}]`,
        found: JSON.stringify(claim.text),
        expected:
          claim.level === "misspelt"
            ? JSON.stringify(PARTIAL_DECLARATION)
            : `no claim above what is reached, which is ${reached}`,
        remedy:
          claim.level === "misspelt"
            ? "declare the level to the letter, with the long dash"
            : "mend the items that fail, or claim less; partial needs every required attribute too",
      });
    }
  }
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function findingText({ traceId, spanId, path, found }: Finding): string {
  return [traceId, spanId, path, found].join("\n");
}

function resultOf(item: ChecklistItem, judgement: Judgement): ItemResult {
  const findings = [...judgement.findings(item.id)].sort((left, right) =>
    compare(findingText(left), findingText(right)),
  );
  const judged = judgement.applied(item.id);
  const status: ItemStatus =
    item.judgeable === "no"
      ? "not-judgeable"
      : findings.length > 0
        ? "fail"
        : judged > 0
          ? "pass"
          : "not-applicable";
  return { ...item, status, judged, findings };
}

/**
 * Judges telemetry against the GenOps Governance Specification v0.1.0. Pure: no clock, no file, no
 * network, and never throws for anything that JSON can hold.
 *
 * @param input OTLP JSON as parsed: an export request of traces, logs or metrics, or a list of them, nested
 *   as you like. Give everything of one period together: a span in one file may have its events in another.
 *   The order counts nothing, and a span delivered twice counts once.
 */
export function checkConformance(input: unknown): ConformanceReport {
  const telemetry = readTelemetry(input);
  const assembly = assembleUnits(telemetry);
  const judgement = new Judgement();
  judgement.applies(READABLE);
  for (const part of telemetry.unreadable) {
    judgement.find(READABLE, {
      path: "input",
      found: part,
      expected: "OTLP JSON: resourceSpans, resourceLogs or resourceMetrics",
      remedy: "export with OTLP in JSON, or have a Collector's file exporter write it",
    });
  }
  judgeUnits(judgement, assembly, telemetry.points);
  const { units } = assembly;
  const reached = worst(judgement.failed);
  judgeClaims(judgement, units, reached);
  const items = CHECKLIST.map((item) => resultOf(item, judgement));
  const declaresPartial = units.some((unit) => unit.declaresPartial);
  const satisfies = reached === "full" && declaresPartial ? "partial" : reached;
  const failed = items.some(({ status }) => status === "fail");
  const executed = units.filter((unit) => unit.executed).length;
  return {
    specification: SPECIFICATION_VERSION,
    level: failed ? "none" : satisfies,
    satisfies,
    declaresPartial,
    counts: {
      units: units.length,
      executed,
      stopped: units.length - executed,
      otherSpans: assembly.otherSpans.length,
      logRecords: telemetry.logs.length,
      metricPoints: telemetry.points.length,
      repeatedSpans: assembly.repeated,
      findings: items.reduce((sum, { findings }) => sum + findings.length, 0),
    },
    items,
  };
}
