// Items 17 to 24: what may be decided, with which reason, and that it stays so.
import { attributePath, eventPath, type Judgement, shown } from "../judgement.js";
import type { Attributes, MetricPoint, TelemetryValue } from "../otlp.js";
import { type Assembly, first, type Unit } from "../units.js";
import {
  ACTUAL,
  DECISIONS,
  EXTENSION_CODE,
  isDecision,
  isPlaceholder,
  POLICY_EVALUATED,
  POLICY_NAME,
  REASON_CODE,
  REASON_CODES,
  RESULT,
} from "../vocabulary.js";

/** Says where a value stands: a unit, an event of it, or a metric's point. */
type Blame = (
  item: number,
  told: { found: string; expected: string; remedy: string },
  name: string,
) => void;

/** Text that other items have not already found empty or made up. */
function meaningful(value: TelemetryValue | undefined): string | undefined {
  return value?.kind === "string" && typeof value.value === "string" && !isPlaceholder(value.value)
    ? value.value
    : undefined;
}

function judgeValues(judgement: Judgement, attributes: Attributes, blame: Blame): void {
  const value = first(attributes, RESULT);
  const result = meaningful(value);
  if (result !== undefined) {
    judgement.applies(17);
    if (!isDecision(result)) {
      const remedy =
        "send the decision in the specification's words; put details into genops.policy.reason";
      blame(17, { found: shown(value), expected: DECISIONS.join(", "), remedy }, RESULT);
    }
  }
  const code = first(attributes, REASON_CODE);
  if (result === "ALLOWED") judgement.applies(20);
  if (code === undefined) return;
  if (result === "ALLOWED") {
    const remedy = "leave the code out; put what should be known into genops.policy.reason";
    blame(20, { found: shown(code), expected: "nothing with ALLOWED", remedy }, REASON_CODE);
    return;
  }
  const text = meaningful(code);
  if (text === undefined) return;
  const isListed = REASON_CODES.includes(text);
  const looksListed = /^(?!x_)[A-Za-z][A-Za-z0-9_]*$/i.test(text);
  judgement.applies(looksListed ? 23 : 24);
  if (isListed || EXTENSION_CODE.test(text)) return;
  const remedy = looksListed
    ? "codes without a prefix belong to the specification; name your own x_…"
    : "name it x_ and lower-case letters, digits or underscores; put sentences into genops.policy.reason";
  const expected = looksListed ? REASON_CODES.join(", ") : String(EXTENSION_CODE);
  blame(looksListed ? 23 : 24, { found: shown(code), expected, remedy }, REASON_CODE);
}

function judgeEventFields(judgement: Judgement, unit: Unit): void {
  for (const { attributes } of unit.decisions) {
    const result = judgement.require(19, unit, attributes, RESULT, "string", POLICY_EVALUATED);
    if (typeof result !== "string" || result === "ALLOWED" || !isDecision(result)) continue;
    judgement.require(19, unit, attributes, REASON_CODE, "string", POLICY_EVALUATED);
  }
}

function judgeStop(judgement: Judgement, unit: Unit): void {
  if (unit.result === undefined || unit.executed) return;
  judgement.applies(18);
  const actual = first(unit.span.attributes, ACTUAL)?.value;
  if (typeof actual === "number" && actual > 0) {
    judgement.blame(18, unit, {
      path: attributePath(ACTUAL),
      found: `${actual} used by a unit that is ${unit.result}`,
      expected: "nothing used",
      remedy: "stop the unit before it uses anything, or say what was really decided",
    });
  }
}

function judgeWorkBelow(judgement: Judgement, units: readonly Unit[]): void {
  const keyOf = (trace: string, span: string) => `${trace}/${span}`;
  const stopped = new Map<string, Unit>();
  for (const unit of units) {
    if (unit.result === undefined || unit.executed) continue;
    stopped.set(keyOf(unit.span.traceId.text, unit.span.spanId.text), unit);
  }
  for (const unit of units) {
    const above = stopped.get(keyOf(unit.span.traceId.text, unit.span.parentSpanId));
    if (above === undefined || !unit.executed) continue;
    judgement.blame(18, above, {
      path: attributePath(RESULT),
      found: `${above.result}, but ${JSON.stringify(unit.span.name)} ran below it`,
      expected: "nothing executed below",
      remedy: "stop the unit with all that belongs to it; make a retry a unit of its own beside it",
    });
  }
}

function told(attributes: Attributes): string {
  const code = first(attributes, REASON_CODE);
  const result = String(first(attributes, RESULT)?.value);
  return code === undefined ? result : `${result} (${code.value})`;
}

/** Section 4.3: a retry may be decided anew on the same unit, and each policy decides for itself. */
function mayFollow(earlier: Attributes, later: Attributes): boolean {
  if (first(earlier, RESULT)?.value === "RATE_LIMITED") return true;
  const [before, after] = [first(earlier, POLICY_NAME)?.value, first(later, POLICY_NAME)?.value];
  return before !== undefined && after !== undefined && before !== after;
}

function judgeImmutability(judgement: Judgement, unit: Unit): void {
  if (unit.decisions.length === 0) return;
  judgement.applies(21);
  for (const [index, event] of unit.decisions.entries()) {
    const earlier = unit.decisions[index - 1];
    if (earlier === undefined || mayFollow(earlier.attributes, event.attributes)) continue;
    judgement.blame(21, unit, {
      path: eventPath(POLICY_EVALUATED),
      found: `${told(event.attributes)} after ${told(earlier.attributes)}`,
      expected: "one decision",
      remedy:
        "decide once; make a retry a unit of its own, and name the policy where several decide",
    });
  }
  const result = first(unit.span.attributes, RESULT)?.value;
  const decided = unit.decisions.map(({ attributes }) => first(attributes, RESULT)?.value);
  if (!isDecision(result) || !decided.every(isDecision)) return;
  const alike = unit.decisions.filter(
    ({ attributes }) => first(attributes, RESULT)?.value === result,
  );
  const code = meaningful(first(unit.span.attributes, REASON_CODE));
  const codes = alike.map(({ attributes }) => meaningful(first(attributes, REASON_CODE)));
  // Without a code here or there, items 19, 20, 31 and 40 have their say.
  const sameCode = code === undefined || codes.some((each) => each === undefined || each === code);
  if (alike.length > 0 && (sameCode || result === "ALLOWED")) return;
  judgement.blame(21, unit, {
    path: attributePath(alike.length === 0 ? RESULT : REASON_CODE),
    found: `${told(unit.span.attributes)}, where the event says ${unit.decisions.map(({ attributes }) => told(attributes)).join(", ")}`,
    expected: "what was decided",
    remedy: "set the span's result and reason from the decision, and never change them",
  });
}

function judgeOrphans(judgement: Judgement, assembly: Assembly): void {
  for (const unit of assembly.units) judgement.applies(...unit.decisions.map(() => 22));
  for (const log of assembly.orphans) {
    judgement.applies(22);
    const { traceId, spanId } = log;
    const identified = traceId.valid && spanId.valid;
    judgement.find(22, {
      ...(identified && { traceId: traceId.text, spanId: spanId.text }),
      path: `logRecords[${JSON.stringify(log.name)}]`,
      found: identified ? "the ids of a span that is not here" : "no ids of a span",
      expected: "the trace id and span id of its unit, and that span",
      remedy: identified
        ? "give the traces too; decisions must not be kept when their unit is sampled away"
        : "record the event while the unit's span is the current one",
    });
  }
}

function judgePoint(judgement: Judgement, { metric, attributes }: MetricPoint): void {
  judgeValues(judgement, attributes, (item, said, name) => {
    judgement.find(item, {
      path: `metrics[${JSON.stringify(metric)}].${attributePath(name)}`,
      ...said,
    });
  });
}

export function judgeDecisions(
  judgement: Judgement,
  assembly: Assembly,
  points: readonly MetricPoint[],
): void {
  for (const unit of assembly.units) {
    const lists = [
      [unit.span.attributes, undefined] as const,
      ...unit.decisions.map(({ attributes }) => [attributes, POLICY_EVALUATED] as const),
    ];
    for (const [attributes, event] of lists) {
      judgeValues(judgement, attributes, (item, said, name) =>
        judgement.blame(item, unit, { path: attributePath(name, event), ...said }),
      );
    }
    judgeEventFields(judgement, unit);
    judgeStop(judgement, unit);
    judgeImmutability(judgement, unit);
  }
  judgeWorkBelow(judgement, assembly.units);
  judgeOrphans(judgement, assembly);
  for (const point of points) judgePoint(judgement, point);
}
