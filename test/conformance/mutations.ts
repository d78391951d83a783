// One good trace, broken in one place at a time, and the item that each break is against.
import {
  type Attribute,
  at,
  bool,
  double,
  drop,
  dropEvent,
  eventOf,
  int,
  set,
  string,
  TRACE_ID,
  type Trace,
} from "./good-trace.js";

export interface Mutation {
  readonly what: string;
  /** Items that must fail, and no others. */
  readonly items: readonly number[];
  /** A part of the finding's path. */
  readonly path?: string;
  readonly break: (trace: Trace) => void;
}

type Break = Mutation["break"];
const breaks = (
  items: number | readonly number[],
  what: string,
  change: Break,
  path?: string,
): Mutation => ({
  what,
  items: typeof items === "number" ? [items] : items,
  break: change,
  ...(path !== undefined && { path }),
});

/** Gives fields other values. */
function put(owner: object | undefined, fields: object): void {
  Object.assign(owner ?? {}, fields);
}

const nothing = (key: string): Attribute => ({ key, value: {} });

export const MUTATIONS: readonly Mutation[] = [
  // identity
  breaks(1, "a unit without a name", ({ spans }) => put(spans.answer, { name: "" }), "name"),
  breaks(1, "a unit without a start", ({ spans }) => put(spans.answer, { startTimeUnixNano: "0" })),
  breaks(1, "a unit that ends before it starts", ({ spans }) =>
    put(spans.blocked, { startTimeUnixNano: at(412) }),
  ),
  breaks(1, "an event without a time", ({ spans }) =>
    put(eventOf(spans.blocked, "policy.evaluated"), { timeUnixNano: "soon" }),
  ),
  breaks(
    1,
    "an attribute twice",
    ({ spans }) => void spans.answer.attributes.push(string("genops.operation.type", "embedding")),
  ),
  breaks(1, "a value that OTLP does not have", ({ spans }) =>
    set(spans.answer, { key: "genops.operation.type", value: { stringValue: 5 } }),
  ),
  breaks(2, "nothing governed at all", (trace) => {
    trace.spans = { plain: { ...trace.spans.plain, parentSpanId: "" } } as Trace["spans"];
    trace.logs = [];
    trace.points = [];
  }),
  breaks(
    3,
    "a span id of zeros",
    ({ spans }) => put(spans.warned, { spanId: "0".repeat(16) }),
    "spanId",
  ),
  breaks(
    3,
    "a trace id that is too short",
    ({ spans }) => put(spans.warned, { traceId: TRACE_ID.slice(2) }),
    "traceId",
  ),
  breaks(4, "an id of another unit", ({ spans }) =>
    put(spans.warned, { spanId: spans.limited.spanId }),
  ),
  breaks(5, "a unit without a team", ({ spans }) => drop(spans.answer, "team"), "genops.team"),
  breaks(
    5,
    "a blocked unit without a project",
    ({ spans }) => drop(spans.blocked, "project"),
    "genops.project",
  ),
  breaks(5, "an environment that is a number", ({ spans }) =>
    set(spans.answer, int("genops.environment", 1)),
  ),
  breaks(
    6,
    "a team that changes in an event",
    ({ spans }) =>
      void eventOf(spans.answer, "budget.reconciliation").attributes.push(
        string("genops.team", "others"),
      ),
  ),
  breaks(
    6,
    "a project set twice, differently",
    ({ spans }) => void spans.answer.attributes.push(string("genops.project", "others")),
  ),
  breaks(
    6,
    "an environment that a log tells otherwise",
    ({ logs }) => void logs[0]?.attributes.push(string("genops.environment", "staging")),
  ),
  breaks(
    7,
    "a decision under another namespace too",
    ({ spans }) => void spans.answer.attributes.push(string("acme.policy.result", "ALLOWED")),
  ),
  breaks(
    7,
    "a name written with underscores",
    ({ spans }) => void spans.answer.attributes.push(string("genops_accounting_reserved", "1")),
  ),
  breaks(
    7,
    "an event under another namespace",
    ({ spans }) =>
      void spans.answer.events.push({
        timeUnixNano: at(101),
        name: "acme.budget.reservation",
        attributes: [],
      }),
  ),
  // lifecycle
  breaks(8, "a decision after the reconciliation", ({ spans }) =>
    put(eventOf(spans.warned, "policy.evaluated"), { timeUnixNano: at(600) }),
  ),
  breaks(
    8,
    "a decision after the work below began",
    ({ spans }) => put(eventOf(spans.answer, "policy.evaluated"), { timeUnixNano: at(130) }),
    "policy.evaluated",
  ),
  breaks(9, "a unit whose events were dropped", ({ spans }) =>
    put(spans.answer, { droppedEventsCount: 2 }),
  ),
  breaks(9, "a unit that never ended", ({ spans }) => put(spans.answer, { endTimeUnixNano: "0" })),
  breaks(10, "no reservation", ({ spans }) => dropEvent(spans.answer, "budget.reservation")),
  breaks(10, "a reservation after the reconciliation", ({ spans }) =>
    put(eventOf(spans.warned, "budget.reservation"), { timeUnixNano: at(600) }),
  ),
  breaks(10, "a reservation after the work below began", ({ spans }) =>
    put(eventOf(spans.answer, "budget.reservation"), { timeUnixNano: at(130) }),
  ),
  breaks(10, "another amount reserved than the span says", ({ spans }) =>
    set(eventOf(spans.answer, "budget.reservation"), double("genops.accounting.reserved", 0.04)),
  ),
  breaks(11, "another actual amount than was reconciled", ({ spans }) =>
    set(spans.answer, double("genops.accounting.actual", 0.04)),
  ),
  breaks(12, "no reconciliation", ({ spans }) => dropEvent(spans.answer, "budget.reconciliation")),
  breaks(
    12,
    "two reconciliations",
    ({ spans }) =>
      void spans.answer.events.push({
        ...eventOf(spans.answer, "budget.reconciliation"),
        timeUnixNano: at(298),
      }),
  ),
  breaks(12, "a reconciliation against another reservation", ({ spans }) => {
    const event = eventOf(spans.answer, "budget.reconciliation");
    set(event, double("genops.accounting.reserved", 0.04));
    drop(event, "accounting.reconciliation_delta");
  }),
  breaks(
    13,
    "no unit of account",
    ({ spans }) => drop(spans.answer, "accounting.unit"),
    "genops.accounting.unit",
  ),
  breaks(13, "two units of account", ({ spans }) =>
    set(eventOf(spans.answer, "budget.reservation"), string("genops.accounting.unit", "EUR")),
  ),
  breaks(14, "a warning where the reservation failed", ({ spans }) => {
    for (const owner of [spans.warned, eventOf(spans.warned, "policy.evaluated")]) {
      set(owner, string("genops.policy.reason_code", "BUDGET_RESERVATION_FAILED"));
    }
  }),
  // decisions
  breaks(17, "a result of one's own on a span", ({ spans }) =>
    set(spans.answer, string("genops.policy.result", "DENIED")),
  ),
  breaks(17, "a result in lower case in an event", ({ spans }) =>
    set(eventOf(spans.answer, "policy.evaluated"), string("genops.policy.result", "allowed")),
  ),
  breaks(
    17,
    "a result of one's own in a metric",
    ({ points }) => set(points[0] as never, string("genops.policy.result", "STOPPED")),
    "metrics",
  ),
  breaks(
    18,
    "a blocked unit that used something",
    ({ spans }) => void spans.blocked.attributes.push(double("genops.accounting.actual", 0.1)),
  ),
  breaks(18, "a unit that ran below a blocked one", ({ spans }) =>
    put(spans.warned, { parentSpanId: spans.blocked.spanId }),
  ),
  breaks(19, "a decision event without a result", ({ spans }) =>
    drop(eventOf(spans.answer, "policy.evaluated"), "policy.result"),
  ),
  breaks(19, "a blocking event without a reason", (trace) => {
    drop(eventOf(trace.spans.blocked, "policy.evaluated"), "policy.reason_code");
    trace.logs = [];
  }),
  breaks(
    20,
    "a reason beside ALLOWED on a span",
    ({ spans }) => void spans.answer.attributes.push(string("genops.policy.reason_code", "x_fine")),
  ),
  breaks(
    20,
    "a reason beside ALLOWED in an event",
    ({ spans }) =>
      void eventOf(spans.answer, "policy.evaluated").attributes.push(
        string("genops.policy.reason_code", "x_fine"),
      ),
  ),
  breaks(
    21,
    "a second decision",
    ({ spans }) =>
      void spans.answer.events.push({
        ...eventOf(spans.answer, "policy.evaluated"),
        timeUnixNano: at(102),
      }),
  ),
  breaks(21, "another reason on the span than was decided", ({ spans }) =>
    set(spans.unfunded, string("genops.policy.reason_code", "BUDGET_EXCEEDED")),
  ),
  // ALLOWED made BLOCKED afterwards: also without a reason, and with work, its use and its reconciliation.
  breaks([18, 21, 31, 38], "a decision changed afterwards", ({ spans }) =>
    set(spans.answer, string("genops.policy.result", "BLOCKED")),
  ),
  breaks(
    22,
    "a decision that no unit is named for",
    ({ logs }) => put(logs[0], { traceId: "", spanId: "" }),
    "logRecords",
  ),
  breaks(22, "a decision whose unit is not there", ({ logs }) =>
    put(logs[0], { spanId: "00000000000000ff" }),
  ),
  breaks(23, "a new code without a prefix", ({ spans }) => {
    for (const owner of [spans.warned, eventOf(spans.warned, "policy.evaluated")]) {
      set(owner, string("genops.policy.reason_code", "POLICY_DENY_SIZE"));
    }
  }),
  breaks(
    23,
    "a new code without a prefix in a metric",
    ({ points }) => set(points[0] as never, string("genops.policy.reason_code", "TOO_LARGE")),
    "metrics",
  ),
  breaks(24, "a code of one's own with capitals", ({ spans }) => {
    for (const owner of [spans.warned, eventOf(spans.warned, "policy.evaluated")]) {
      set(owner, string("genops.policy.reason_code", "x_Budget"));
    }
  }),
  breaks(24, "a sentence for a code", ({ spans }) => {
    for (const owner of [spans.warned, eventOf(spans.warned, "policy.evaluated")]) {
      set(owner, string("genops.policy.reason_code", "the budget is nearly used up"));
    }
  }),
  // attributes
  breaks(25, "no operation name", ({ spans }) => drop(spans.blocked, "operation.name")),
  breaks(25, "an operation name that is a number", ({ spans }) =>
    set(spans.answer, int("genops.operation.name", 7)),
  ),
  breaks(26, "no operation type", ({ spans }) => drop(spans.answer, "operation.type")),
  breaks(27, "no version", ({ spans }) => drop(spans.answer, "spec.version")),
  breaks(27, "no version on a blocked unit", ({ spans }) => drop(spans.blocked, "spec.version")),
  breaks(28, "no reserved amount", ({ spans }) => drop(spans.answer, "accounting.reserved")),
  breaks(28, "a reserved amount that is an integer", ({ spans }) => {
    const event = eventOf(spans.answer, "budget.reservation");
    set(spans.answer, int("genops.accounting.reserved", 1));
    // Compared as numbers only.
    set(event, double("genops.accounting.reserved", 0.02));
  }),
  breaks(28, "a reserved amount that is text", ({ spans }) =>
    set(spans.answer, string("genops.accounting.reserved", "0.02")),
  ),
  breaks(29, "no actual amount", ({ spans }) => drop(spans.answer, "accounting.actual")),
  breaks(29, "an actual amount that is an integer", ({ spans }) =>
    set(spans.answer, int("genops.accounting.actual", 0)),
  ),
  breaks(30, "no result on the span", ({ spans }) => drop(spans.answer, "policy.result")),
  breaks(31, "no reason on a blocked span", ({ spans }) =>
    drop(spans.blocked, "policy.reason_code"),
  ),
  breaks(31, "a reason that is a number", ({ spans }) =>
    set(spans.blocked, int("genops.policy.reason_code", 3)),
  ),
  breaks(32, "a reservation that a stopped unit does not tell", ({ spans }) =>
    drop(spans.limited, "accounting.reserved"),
  ),
  breaks(32, "a reservation whose unit a stopped unit does not tell", ({ spans }) =>
    drop(spans.limited, "accounting.unit"),
  ),
  // events
  breaks(33, "no decision event", ({ spans }) => dropEvent(spans.answer, "policy.evaluated")),
  breaks(33, "a decision after the unit ended", ({ spans }) =>
    put(eventOf(spans.limited, "policy.evaluated"), { timeUnixNano: at(500) }),
  ),
  breaks(34, "a reservation without its amount", ({ spans }) =>
    drop(eventOf(spans.answer, "budget.reservation"), "accounting.reserved"),
  ),
  breaks(34, "a reservation without its unit", ({ spans }) =>
    drop(eventOf(spans.answer, "budget.reservation"), "accounting.unit"),
  ),
  breaks(34, "a reservation of an integer", ({ spans }) =>
    set(eventOf(spans.answer, "budget.reservation"), int("genops.accounting.reserved", 1)),
  ),
  breaks(35, "a reconciliation without the actual amount", ({ spans }) =>
    drop(eventOf(spans.answer, "budget.reconciliation"), "accounting.actual"),
  ),
  breaks(35, "a difference the wrong way round", ({ spans }) =>
    set(
      eventOf(spans.answer, "budget.reconciliation"),
      double("genops.accounting.reconciliation_delta", -0.01),
    ),
  ),
  breaks(36, "a reservation beside its failure", ({ spans }) => {
    spans.unfunded.events.push({
      timeUnixNano: at(430),
      name: "genops.budget.reservation",
      attributes: [
        double("genops.accounting.reserved", 0.5),
        string("genops.accounting.unit", "USD"),
      ],
    });
    spans.unfunded.attributes.push(
      double("genops.accounting.reserved", 0.5),
      string("genops.accounting.unit", "USD"),
    );
  }),
  breaks(37, "a stopped unit that reserved without saying when", ({ spans }) =>
    dropEvent(spans.limited, "budget.reservation"),
  ),
  breaks(
    38,
    "a reconciliation of a blocked unit",
    ({ spans }) =>
      void spans.blocked.events.push({
        ...eventOf(spans.answer, "budget.reconciliation"),
        timeUnixNano: at(411),
      }),
  ),
  breaks(39, "no tier beside the latencies", ({ spans }) => drop(spans.answer, "sla.tier")),
  breaks(39, "a target that is a double", ({ spans }) =>
    set(spans.answer, double("genops.sla.latency_target_ms", 250.5)),
  ),
  breaks(39, "a service level told as met that was missed", ({ spans }) =>
    set(spans.answer, int("genops.sla.actual_latency_ms", 251)),
  ),
  breaks(39, "a service level told as missed that was met", ({ spans }) =>
    set(spans.answer, bool("genops.sla.met", false)),
  ),
  // values
  breaks(40, "a team that is unknown", ({ spans }) =>
    set(spans.answer, string("genops.team", "unknown-team")),
  ),
  breaks(40, "an empty environment", ({ spans }) =>
    set(spans.answer, string("genops.environment", " ")),
  ),
  breaks(40, "a project that nobody filled in", ({ spans }) =>
    set(spans.answer, string("genops.project", "{{ project }}")),
  ),
  breaks(40, "a type that holds nothing", ({ spans }) =>
    set(spans.answer, nothing("genops.operation.type")),
  ),
  breaks(40, "an amount that is no number", ({ spans }) =>
    set(spans.answer, { key: "genops.accounting.actual", value: { doubleValue: "NaN" } }),
  ),
  breaks(40, "a reason that is none", ({ spans }) =>
    set(spans.blocked, string("genops.policy.reason_code", "n/a")),
  ),
  breaks(40, "a negative amount", ({ spans }) => {
    drop(eventOf(spans.answer, "budget.reconciliation"), "accounting.reconciliation_delta");
    for (const owner of [spans.answer, eventOf(spans.answer, "budget.reconciliation")]) {
      set(owner, double("genops.accounting.actual", -0.01));
    }
  }),
  breaks(40, "a reserved amount of nothing for something used", ({ spans }) => {
    for (const owner of [
      spans.answer,
      eventOf(spans.answer, "budget.reservation"),
      eventOf(spans.answer, "budget.reconciliation"),
    ]) {
      set(owner, double("genops.accounting.reserved", 0));
    }
    set(
      eventOf(spans.answer, "budget.reconciliation"),
      double("genops.accounting.reconciliation_delta", 0.03),
    );
  }),
  // claims
  breaks(41, "a version that is not exact", ({ spans }) =>
    set(spans.answer, string("genops.spec.version", "0.1")),
  ),
  breaks(41, "another version", ({ spans }) =>
    set(spans.answer, string("genops.spec.version", "1.0.0")),
  ),
  breaks(
    42,
    "partial with a short dash",
    ({ spans }) =>
      void spans.answer.attributes.push(string("genops.spec.conformance", "GenOps v0.1 - partial")),
  ),
  breaks([10, 42], "a claim of full without a reservation", ({ spans }) => {
    dropEvent(spans.answer, "budget.reservation");
    spans.answer.attributes.push(string("genops.spec.conformance", "GenOps v0.1"));
  }),
  breaks([5, 42], "a claim of partial without a team", ({ spans }) => {
    drop(spans.answer, "team");
    spans.answer.attributes.push(string("genops.spec.conformance", "GenOps v0.1 — partial"));
  }),
  breaks(
    44,
    "a defined name in another spelling",
    ({ spans }) => void spans.answer.attributes.push(string("genops.operation_type", "inference")),
  ),
  breaks(44, "an optional attribute of another type", ({ spans }) =>
    set(spans.answer, double("genops.tokens.input", 812.5)),
  ),
  breaks(44, "an optional event without what it carries", ({ spans }) =>
    drop(eventOf(spans.answer, "cost.calculated"), "cost.currency"),
  ),
];
