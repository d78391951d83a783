// Items 7 and 44: names of the specification, under their own namespace, spelt and typed as defined.
import { attributePath, eventPath, type Judgement, shown, type Told } from "../judgement.js";
import type { Attributes, MetricPoint } from "../otlp.js";
import { first, type Unit } from "../units.js";
import {
  DEFINED,
  OPTIONAL,
  OPTIONAL_EVENTS,
  REQUIRED_EVENTS,
  WIRE_FIELD,
  WIRE_KIND,
} from "../vocabulary.js";
import { attributeLists } from "./identity.js";

/** Concepts that nothing but GenOps defines; `operation.name` and others belong to other conventions too. */
const OWN_CONCEPT =
  /(^|[._/-])(policy[._]result|policy[._]reason_?code|accounting[._](reserved|actual|unit|reconciliation_?delta)|sla[._](latency_?target_?ms|actual_?latency_?ms))$/i;
const OWN_EVENT = /(^|[._/-])(policy[._]evaluated|budget[._](reservation|reconciliation))$/i;

/** Spelling without what people vary: case, dots, underscores, hyphens. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

const DEFINED_BY_PLAIN = new Map(
  [...DEFINED.keys(), ...REQUIRED_EVENTS, ...OPTIONAL_EVENTS.keys()].map((name) => [
    plain(name),
    name,
  ]),
);

type Blame = (item: 7 | 44, told: Told) => void;

function judgeName(name: string, pathOf: () => string, isEvent: boolean, blame: Blame): void {
  const defined = DEFINED_BY_PLAIN.get(plain(name));
  if (name.startsWith("genops.")) {
    if (defined === undefined || defined === name) return;
    blame(44, {
      path: pathOf(),
      found: JSON.stringify(name),
      expected: JSON.stringify(defined),
      remedy: "spell it as the specification does",
    });
    return;
  }
  const isOwn = isEvent ? OWN_EVENT : OWN_CONCEPT;
  if (defined === undefined && !isOwn.test(name)) return;
  blame(7, {
    path: pathOf(),
    found: JSON.stringify(name),
    expected: defined === undefined ? "a name under genops." : JSON.stringify(defined),
    remedy: "tell it under genops.* and nowhere else",
  });
}

function judgeNames(attributes: Attributes, event: string | undefined, blame: Blame): void {
  for (const name of attributes.keys()) {
    judgeName(name, () => attributePath(name, event), false, blame);
  }
  for (const [name, type] of OPTIONAL) {
    const value = first(attributes, name);
    if (value === undefined || value.kind === WIRE_KIND[type]) continue;
    blame(44, {
      path: attributePath(name, event),
      found: shown(value),
      expected: `a ${type}`,
      remedy: `send it as ${WIRE_FIELD[type]}, or leave it out`,
    });
  }
}

function judgeOptionalEvents(unit: Unit, blame: Blame): void {
  for (const { name: event, attributes } of unit.events) {
    for (const name of OPTIONAL_EVENTS.get(event) ?? []) {
      if (attributes.has(name)) continue;
      blame(44, {
        path: attributePath(name, event),
        found: "nothing",
        expected: `a ${DEFINED.get(name)}`,
        remedy: "set what the event is defined to carry, or do not record it",
      });
    }
  }
}

export function judgeVocabulary(
  judgement: Judgement,
  units: readonly Unit[],
  points: readonly MetricPoint[],
): void {
  for (const unit of units) {
    judgement.applies(7, 44);
    const blame: Blame = (item, told) => judgement.blame(item, unit, told);
    for (const [attributes, event] of attributeLists(unit)) judgeNames(attributes, event, blame);
    for (const { name } of [...unit.span.events, ...unit.logs]) {
      judgeName(name, () => eventPath(name), true, blame);
    }
    judgeOptionalEvents(unit, blame);
  }
  for (const { metric, attributes } of points) {
    if (![...attributes.keys()].some((name) => name.startsWith("genops."))) continue;
    judgement.applies(7, 44);
    judgeNames(attributes, undefined, (item, { path, ...told }) =>
      judgement.find(item, { path: `metrics[${JSON.stringify(metric)}].${path}`, ...told }),
    );
  }
}
