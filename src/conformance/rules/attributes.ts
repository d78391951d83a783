// Items 25 to 32, 39 and 41: what every unit carries, and the service level where one is enforced.
import { attributePath, type Judgement, shown } from "../judgement.js";
import { first, type Unit } from "../units.js";
import {
  ACTUAL,
  isPlaceholder,
  OPERATION_NAME,
  OPERATION_TYPE,
  REASON_CODE,
  RESERVED,
  RESULT,
  SLA,
  SLA_ACTUAL,
  SLA_MET,
  SLA_TARGET,
  SLA_TIER,
  SPEC_VERSION,
  SPECIFICATION_VERSION,
  UNIT,
} from "../vocabulary.js";

function judgeVersion(judgement: Judgement, unit: Unit): void {
  const version = judgement.require(27, unit, unit.span.attributes, SPEC_VERSION, "string");
  if (typeof version !== "string") return;
  judgement.applies(41);
  if (version === SPECIFICATION_VERSION) return;
  judgement.blame(41, unit, {
    path: attributePath(SPEC_VERSION),
    found: JSON.stringify(version),
    expected: JSON.stringify(SPECIFICATION_VERSION),
    remedy: "declare the exact version, MAJOR.MINOR.PATCH; it is the only one judged here",
  });
}

function judgeAccounting(judgement: Judgement, unit: Unit): void {
  const { attributes } = unit.span;
  if (unit.executed) {
    const reserved = judgement.require(28, unit, attributes, RESERVED, "double");
    const actual = judgement.require(29, unit, attributes, ACTUAL, "double");
    if (reserved === 0 && typeof actual === "number" && actual > 0) {
      judgement.blame(40, unit, {
        path: attributePath(RESERVED),
        found: `0, while ${actual} was used`,
        expected: "an estimate of what the unit will use",
        remedy: "reserve an estimate before the work; 0 for something that has a price is a filler",
      });
    }
    return;
  }
  // What was stopped may leave amounts out, and what it does send must be right.
  for (const [item, name] of [
    [28, RESERVED],
    [29, ACTUAL],
  ] as const) {
    const value = first(attributes, name);
    if (value === undefined) continue;
    judgement.applies(item);
    judgement.typed(item, unit, value, name, "double", undefined, true);
  }
  if (unit.reservations.length === 0) return;
  judgement.applies(32);
  for (const name of [RESERVED, UNIT]) {
    if (attributes.has(name)) continue;
    judgement.blame(32, unit, {
      path: attributePath(name),
      found: "nothing, after a reservation was recorded",
      expected: "what was reserved",
      remedy: "set the amount and its unit on the span when the reservation is made",
    });
  }
}

function judgeResult(judgement: Judgement, unit: Unit): void {
  const { attributes } = unit.span;
  const result = judgement.require(30, unit, attributes, RESULT, "string");
  if (result === "BLOCKED" || result === "WARNING" || result === "RATE_LIMITED") {
    judgement.require(31, unit, attributes, REASON_CODE, "string");
  }
}

function judgeServiceLevel(judgement: Judgement, unit: Unit): void {
  const { attributes } = unit.span;
  const present = [...SLA.keys()].filter((name) => attributes.has(name));
  if (present.length === 0) return;
  judgement.applies(39);
  for (const [name, type] of SLA) {
    const value = first(attributes, name);
    if (value === undefined) {
      judgement.blame(39, unit, {
        path: attributePath(name),
        found: `nothing, beside ${present.join(", ")}`,
        expected: `a ${type}`,
        remedy: "set all four where a service level is enforced, and none where it is not",
      });
    } else judgement.typed(39, unit, value, name, type);
  }
  const tier = first(attributes, SLA_TIER)?.value;
  if (typeof tier === "string" && isPlaceholder(tier)) {
    judgement.blame(39, unit, {
      path: attributePath(SLA_TIER),
      found: JSON.stringify(tier),
      expected: "the name of a tier",
      remedy: "name the tier that is enforced",
    });
  }
  const [target, actual] = [first(attributes, SLA_TARGET), first(attributes, SLA_ACTUAL)];
  const met = first(attributes, SLA_MET);
  if (typeof target?.value !== "bigint" || typeof actual?.value !== "bigint") return;
  if (met?.kind !== "boolean" || met.value === actual.value <= target.value) return;
  judgement.blame(39, unit, {
    path: attributePath(SLA_MET),
    found: `${shown(met)} for ${actual.value} ms of ${target.value} ms`,
    expected: String(actual.value <= target.value),
    remedy: "set it to whether the actual latency is at most the target",
  });
}

export function judgeAttributes(judgement: Judgement, units: readonly Unit[]): void {
  for (const unit of units) {
    const { attributes } = unit.span;
    judgement.require(25, unit, attributes, OPERATION_NAME, "string");
    judgement.require(26, unit, attributes, OPERATION_TYPE, "string");
    judgeVersion(judgement, unit);
    judgeAccounting(judgement, unit);
    judgeResult(judgement, unit);
    judgeServiceLevel(judgement, unit);
  }
}
