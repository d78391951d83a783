// The requirements of the GenOps Governance Specification v0.1.0 as 44 items, in our words.

/** Can the item be judged from telemetry alone? `in-part`: what it shows can refute, never prove it. */
export type Judgeable = "yes" | "in-part" | "no";

/** Level that needs the item: `full` items are those of the reservation invariant (section 9.2). */
export type RequiredFor = "partial" | "full";

export interface ChecklistItem {
  /** 1 to 44; stable, so that reports can be compared. */
  readonly id: number;
  /** Section of the specification. */
  readonly section: string;
  readonly title: string;
  readonly judgeable: Judgeable;
  readonly requiredFor: RequiredFor;
}

type Row = readonly [
  section: string,
  judgeable: Judgeable,
  requiredFor: RequiredFor,
  title: string,
];

const ROWS: readonly Row[] = [
  ["1.3", "yes", "partial", "Units are well-formed spans: names, times, one value a name"],
  ["2.1", "yes", "partial", "Governed work is there, and each unit of it is a span"],
  ["2.2", "yes", "partial", "Each unit has a trace id and a span id of the W3C's form"],
  ["2.2", "in-part", "partial", "No id names two units"],
  ["2.3", "yes", "partial", "Each unit carries team, project and environment, as strings"],
  ["2.3", "yes", "partial", "Team, project and environment never change within a unit"],
  ["7", "yes", "partial", "What the specification defines is told under genops.* only"],
  ["2.4", "in-part", "full", "The decision comes before the work"],
  ["2.4", "yes", "full", "Every phase of a unit is told, and nothing was dropped"],
  ["3.3", "in-part", "full", "A reservation comes before the work; the span agrees with it"],
  ["3.3", "yes", "full", "The actual amount of the unit is the one that was reconciled"],
  ["3.3", "yes", "full", "One reconciliation compares the actual with the reserved amount"],
  ["3.2", "yes", "partial", "The accounting unit is declared, and is the same everywhere"],
  ["3.5", "in-part", "partial", "A reservation that fails blocks the unit"],
  ["3.5", "no", "full", "A reconciliation that fails is never dropped silently"],
  ["3.5", "no", "full", "Same reservation and same state, same outcome"],
  ["4.1", "yes", "partial", "Results are ALLOWED, BLOCKED, WARNING or RATE_LIMITED only"],
  ["4.1", "in-part", "partial", "What was blocked did not go on"],
  ["4.2", "yes", "partial", "Decision events have a result, and a reason unless ALLOWED"],
  ["5.3", "yes", "partial", "No reason code where the result is ALLOWED"],
  ["4.3", "yes", "partial", "One decision a unit, told alike by the span and the event"],
  ["4.4", "yes", "partial", "No decision without its unit"],
  ["5.2", "yes", "partial", "Reason codes without a prefix are those of the list"],
  ["5.5", "yes", "partial", "Other reason codes are x_ and lower-case words, nothing freeform"],
  ["7.1", "yes", "partial", "genops.operation.name (string) on every unit"],
  ["7.1", "yes", "partial", "genops.operation.type (string) on every unit"],
  ["7.1", "yes", "partial", "genops.spec.version (string) on every unit, blocked or not"],
  ["7.1", "yes", "partial", "genops.accounting.reserved (double) once it is reserved"],
  ["7.1", "yes", "partial", "genops.accounting.actual (double) once the work is done"],
  ["7.1", "yes", "partial", "genops.policy.result (string) on every unit"],
  ["7.1", "yes", "partial", "genops.policy.reason_code (string) unless ALLOWED"],
  ["7.1", "yes", "partial", "Amounts are left out only where nothing was reserved"],
  ["8.1", "yes", "full", "Event genops.policy.evaluated for every decision, in time"],
  ["8.2", "yes", "full", "Event genops.budget.reservation has its amount and unit"],
  ["8.3", "yes", "full", "Event genops.budget.reconciliation: amounts, unit, right delta"],
  ["7.2.1", "yes", "full", "A unit whose reservation failed tells no reservation"],
  ["7.2.1", "yes", "full", "A unit stopped after its reservation tells the reservation"],
  ["7.2.1", "yes", "full", "A unit that never ran tells no reconciliation"],
  ["6.3", "yes", "partial", "SLA attributes all or none, typed; met = actual ≤ target"],
  ["9.1", "yes", "partial", "No required value is null, empty, a placeholder or impossible"],
  ["11.3", "yes", "partial", "The version declared on the span is exactly 0.1.0"],
  ["9.2", "yes", "partial", "The level claimed is reached; partial is declared to the letter"],
  ["9.4", "yes", "partial", "Everything given can be read as telemetry"],
  ["11", "in-part", "partial", "Defined names keep their spelling, type and meaning"],
];

/** The checklist, in the order of its ids. */
export const CHECKLIST: readonly ChecklistItem[] = ROWS.map(
  ([section, judgeable, requiredFor, title], index) => ({
    id: index + 1,
    section,
    title,
    judgeable,
    requiredFor,
  }),
);
