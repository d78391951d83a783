// Items 8 to 16: three phases in their order, and the accounting invariant across them.
import { attributePath, eventPath, isSameAmount, type Judgement, shown } from "../judgement.js";
import { CLOCK_GRAIN, first, type Unit, type UnitEvent } from "../units.js";
import {
  ACTUAL,
  BUDGET_RECONCILIATION,
  BUDGET_RESERVATION,
  REASON_CODE,
  RESERVATION_FAILED,
  RESERVED,
  UNIT,
} from "../vocabulary.js";

/** Judges that an event of the first phase comes before the reconciliation and before any work below. */
function judgeBefore(judgement: Judgement, item: number, unit: Unit, event: UnitEvent): void {
  const { time } = event;
  if (time === undefined) return;
  const reconciled = unit.reconciliations[0];
  if (reconciled?.time !== undefined) {
    const grain = reconciled.source === event.source ? 0n : CLOCK_GRAIN;
    if (time > reconciled.time + grain) {
      judgement.blame(item, unit, {
        path: eventPath(event.name),
        found: `${time - reconciled.time} ns after the reconciliation`,
        expected: "a time before it",
        remedy: "decide and reserve before the work begins, and record the event then",
      });
      return;
    }
  }
  const early = unit.children.find(
    ({ start }) => start !== undefined && start + CLOCK_GRAIN < time,
  );
  if (early?.start === undefined) return;
  judgement.blame(item, unit, {
    path: eventPath(event.name),
    found: `${time - early.start} ns after ${JSON.stringify(early.name)} began below the unit`,
    expected: "a time before any work",
    remedy: "decide and reserve before the work begins, and record the event then",
  });
}

function judgePhases(judgement: Judgement, unit: Unit): void {
  judgement.applies(9);
  if (unit.span.dropped > 0) {
    judgement.blame(9, unit, {
      path: "droppedAttributesCount, droppedEventsCount",
      found: `${unit.span.dropped} dropped`,
      expected: "0",
      remedy:
        "raise the SDK's span limits (OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT, OTEL_SPAN_EVENT_COUNT_LIMIT)",
    });
  }
  for (const { name, dropped } of unit.logs) {
    if (dropped === 0 || !name.startsWith("genops.")) continue;
    judgement.blame(9, unit, {
      path: `${eventPath(name)}.droppedAttributesCount`,
      found: `${dropped} dropped`,
      expected: "0",
      remedy: "raise the SDK's limit for log records (OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT)",
    });
  }
  if (unit.span.end === undefined) {
    judgement.blame(9, unit, {
      path: "endTimeUnixNano",
      found: "no time",
      expected: "the time when the unit ended",
      remedy: "end the span; what has not ended has told no last phase",
    });
  }
}

/** An amount of an event, when it is one that can be compared. */
function amount(event: UnitEvent | undefined, name: string): number | undefined {
  const value = event && first(event.attributes, name)?.value;
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

function spanAmount(unit: Unit, name: string): number | undefined {
  const value = first(unit.span.attributes, name)?.value;
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

function judgeReservation(judgement: Judgement, unit: Unit): void {
  if (unit.executed) {
    judgement.applies(10);
    if (unit.reservations.length === 0) {
      judgement.blame(10, unit, {
        path: eventPath(BUDGET_RESERVATION),
        found: "no such event",
        expected: "one before the work",
        remedy: `reserve first, and record ${BUDGET_RESERVATION} with the amount and its unit`,
      });
    }
  }
  for (const event of unit.reservations) judgeBefore(judgement, 10, unit, event);
  // A reservation that was extended counts as it was at last.
  const [told, declared] = [amount(unit.reservations.at(-1), RESERVED), spanAmount(unit, RESERVED)];
  if (told === undefined || declared === undefined || isSameAmount(told, declared)) return;
  judgement.blame(10, unit, {
    path: attributePath(RESERVED),
    found: `${declared}, where the event says ${told}`,
    expected: "the same amount",
    remedy: "set the span's amount from the reservation",
  });
}

function judgeReconciliation(judgement: Judgement, unit: Unit): void {
  if (unit.executed) judgement.applies(12);
  const [event, ...others] = unit.reconciliations;
  if (event === undefined) {
    if (!unit.executed) return;
    judgement.blame(12, unit, {
      path: eventPath(BUDGET_RECONCILIATION),
      found: "no such event",
      expected: "one when the work is done",
      remedy: `compare actual and reserved when the work is done, and record ${BUDGET_RECONCILIATION}`,
    });
    return;
  }
  if (others.length > 0) {
    judgement.blame(12, unit, {
      path: eventPath(BUDGET_RECONCILIATION),
      found: `${unit.reconciliations.length} such events`,
      expected: "one",
      remedy: "settle a unit once",
    });
    return;
  }
  const compared = amount(event, RESERVED);
  const reserved = [spanAmount(unit, RESERVED), amount(unit.reservations.at(-1), RESERVED)].filter(
    (each) => each !== undefined,
  );
  if (compared !== undefined && reserved.length > 0) {
    if (!reserved.some((each) => isSameAmount(each, compared))) {
      judgement.blame(12, unit, {
        path: attributePath(RESERVED, BUDGET_RECONCILIATION),
        found: `${compared}, where ${reserved[0]} was reserved`,
        expected: "the amount that was reserved",
        remedy: "reconcile against the reservation itself",
      });
    }
  }
  const [actual, declared] = [amount(event, ACTUAL), spanAmount(unit, ACTUAL)];
  if (actual === undefined || declared === undefined) return;
  judgement.applies(11);
  if (isSameAmount(actual, declared)) return;
  judgement.blame(11, unit, {
    path: attributePath(ACTUAL),
    found: `${declared}, where ${actual} was reconciled`,
    expected: "the same amount",
    remedy: "set the span's amount when the unit is reconciled, and leave it",
  });
}

/** Absence is against this item; the events' schemas ask for their own. */
function judgeUnitOfAccount(judgement: Judgement, unit: Unit): void {
  // What was stopped before a reservation has nothing to account for.
  if (!unit.executed && !unit.span.attributes.has(UNIT)) return;
  const name = judgement.require(13, unit, unit.span.attributes, UNIT, "string");
  if (typeof name !== "string") return;
  for (const event of [...unit.reservations, ...unit.reconciliations]) {
    const value = first(event.attributes, UNIT);
    if (value?.kind !== "string" || value.value === name || value.value === "") continue;
    judgement.blame(13, unit, {
      path: attributePath(UNIT, event.name),
      found: shown(value),
      expected: `${JSON.stringify(name)}, as the span declares`,
      remedy: "account for a unit in one unit of measure; amounts in two cannot be compared",
    });
  }
}

function judgeFailedReservation(judgement: Judgement, unit: Unit): void {
  const codes = [unit.span, ...unit.decisions].map(({ attributes }) =>
    first(attributes, REASON_CODE),
  );
  if (!codes.some((code) => code?.value === RESERVATION_FAILED)) return;
  judgement.applies(14);
  // A code beside ALLOWED is against item 20.
  if (unit.result === "BLOCKED" || unit.result === "ALLOWED" || unit.result === undefined) return;
  judgement.blame(14, unit, {
    path: attributePath(REASON_CODE),
    found: `${RESERVATION_FAILED} with ${unit.result}`,
    expected: "BLOCKED",
    remedy: "do not run what could not be reserved",
  });
}

export function judgeLifecycle(judgement: Judgement, units: readonly Unit[]): void {
  for (const unit of units) {
    judgePhases(judgement, unit);
    judgeUnitOfAccount(judgement, unit);
    judgeFailedReservation(judgement, unit);
    // A runtime that says so need not reserve (section 9.2).
    if (unit.declaresPartial) continue;
    for (const decision of unit.decisions.slice(0, 1)) {
      judgement.applies(8);
      judgeBefore(judgement, 8, unit, decision);
    }
    judgeReservation(judgement, unit);
    judgeReconciliation(judgement, unit);
  }
}
