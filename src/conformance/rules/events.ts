// Items 33 to 38: the three events, their schemas, and which of them a stopped unit tells.
import { attributePath, eventPath, isSameAmount, type Judgement } from "../judgement.js";
import { CLOCK_GRAIN, first, type Unit } from "../units.js";
import {
  ACTUAL,
  BUDGET_RECONCILIATION,
  BUDGET_RESERVATION,
  DELTA,
  POLICY_EVALUATED,
  REASON_CODE,
  RESERVATION_FAILED,
  RESERVED,
  UNIT,
} from "../vocabulary.js";

function judgeDecisionEvent(judgement: Judgement, unit: Unit): void {
  judgement.applies(33);
  if (unit.decisions.length === 0) {
    judgement.blame(33, unit, {
      path: eventPath(POLICY_EVALUATED),
      found: "no such event",
      expected: "one for the decision",
      remedy: `record ${POLICY_EVALUATED} with the result when the decision is made`,
    });
  }
  const { end } = unit.span;
  for (const event of unit.decisions) {
    if (event.time === undefined || end === undefined || event.time <= end + CLOCK_GRAIN) continue;
    judgement.blame(33, unit, {
      path: eventPath(POLICY_EVALUATED),
      found: `${event.time - end} ns after the unit ended`,
      expected: "a time before the work",
      remedy: "record the event when the decision is made",
    });
  }
}

/** Delta of one list of attributes that has all three amounts. */
function judgeDelta(judgement: Judgement, unit: Unit, event?: string): void {
  const lists = event === undefined ? [unit.span] : unit.reconciliations;
  for (const { attributes } of lists) {
    const value = first(attributes, DELTA);
    if (value === undefined) continue;
    const delta = judgement.typed(35, unit, value, DELTA, "double", event);
    const [actual, reserved] = [
      first(attributes, ACTUAL)?.value,
      first(attributes, RESERVED)?.value,
    ];
    if (typeof delta !== "number" || typeof actual !== "number" || typeof reserved !== "number") {
      continue;
    }
    const expected = actual - reserved;
    // Both amounts are rounded already, and their difference may be far smaller than they are.
    if (isSameAmount(reserved + delta, actual)) continue;
    judgement.blame(35, unit, {
      path: attributePath(DELTA, event),
      found: String(delta),
      expected: `${expected} (${actual} − ${reserved})`,
      remedy: "subtract what was reserved from what was used, in this order",
    });
  }
}

function judgeAmounts(judgement: Judgement, unit: Unit): void {
  for (const { attributes } of unit.reservations) {
    judgement.require(34, unit, attributes, RESERVED, "double", BUDGET_RESERVATION);
    judgement.require(34, unit, attributes, UNIT, "string", BUDGET_RESERVATION);
  }
  for (const { attributes } of unit.reconciliations) {
    judgement.require(35, unit, attributes, ACTUAL, "double", BUDGET_RECONCILIATION);
    judgement.require(35, unit, attributes, RESERVED, "double", BUDGET_RECONCILIATION);
    judgement.require(35, unit, attributes, UNIT, "string", BUDGET_RECONCILIATION);
  }
  judgeDelta(judgement, unit);
  judgeDelta(judgement, unit, BUDGET_RECONCILIATION);
}

function judgeStopped(judgement: Judgement, unit: Unit): void {
  if (unit.executed) return;
  const codes = [unit.span, ...unit.decisions].map(({ attributes }) =>
    first(attributes, REASON_CODE),
  );
  if (codes.some((code) => code?.value === RESERVATION_FAILED)) {
    judgement.applies(36);
    if (unit.reservations.length > 0) {
      judgement.blame(36, unit, {
        path: eventPath(BUDGET_RESERVATION),
        found: `a reservation, beside ${RESERVATION_FAILED}`,
        expected: "no such event",
        remedy: "record a reservation only when it is held",
      });
    }
  }
  if (unit.span.attributes.has(RESERVED)) {
    judgement.applies(37);
    if (unit.reservations.length === 0) {
      judgement.blame(37, unit, {
        path: eventPath(BUDGET_RESERVATION),
        found: `no such event, beside ${RESERVED} on the span`,
        expected: "the event, once something was reserved",
        remedy: "record the reservation when it is held; leave the amount out when none was",
      });
    }
  }
  judgement.applies(38);
  if (unit.reconciliations.length > 0) {
    judgement.blame(38, unit, {
      path: eventPath(BUDGET_RECONCILIATION),
      found: `a reconciliation of a unit that is ${unit.result ?? "stopped"}`,
      expected: "no such event",
      remedy: "release what was reserved without reconciling; nothing was used",
    });
  }
}

export function judgeEvents(judgement: Judgement, units: readonly Unit[]): void {
  for (const unit of units) {
    judgeAmounts(judgement, unit);
    // A runtime that says so need not reserve (section 9.2).
    if (!unit.declaresPartial) judgeDecisionEvent(judgement, unit);
    judgeStopped(judgement, unit);
  }
}
