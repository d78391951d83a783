// What monitoring reads: costs, calls, decisions, budgets. Labels are bounded: never a run, never a customer.
import { attoToUsd, UNATTRIBUTED } from "../../engine/index.js";
import type { Governor } from "../../governance/governor.js";
import type { BudgetStatus } from "../../governance/limits.js";
import { VERSION } from "../../version.js";
import { type Account, DURATION_EDGES, type Durations } from "./account.js";
import { expositionText, type Family, type Sample } from "./prometheus.js";
import type { Refusals } from "./refusals.js";

const JOURNAL_STATES = ["active", "unavailable", "off"] as const;

function* histogram(
  labels: Readonly<Record<string, string>>,
  { buckets, seconds }: Durations,
): Iterable<Sample> {
  let count = 0;
  for (const [index, inBucket] of buckets.entries()) {
    count += inBucket;
    const le = DURATION_EDGES[index] === undefined ? "+Inf" : String(DURATION_EDGES[index]);
    yield { suffix: "_bucket", labels: { ...labels, le }, value: count };
  }
  yield { suffix: "_sum", labels, value: seconds };
  yield { suffix: "_count", labels, value: count };
}

function budgetFamily(
  budgets: readonly BudgetStatus[],
  name: string,
  help: string,
  value: (budget: BudgetStatus) => number | string,
): Family {
  return {
    name: `genops_budget_${name}`,
    type: "gauge",
    help: `${help}; in the unit that is a label, where it is an amount.`,
    samples: budgets.map((budget) => ({
      labels: {
        budget: budget.name,
        unit: budget.unit,
        period: budget.period,
        action: budget.action,
      },
      value: value(budget),
    })),
  };
}

function budgetFamilies(budgets: readonly BudgetStatus[]): Family[] {
  return [
    budgetFamily(budgets, "limit", "Limit of a budget", ({ limit }) => limit),
    budgetFamily(budgets, "spent", "Spent of a budget this period", ({ spent }) => spent),
    budgetFamily(budgets, "held", "Held for calls that are under way", ({ held }) => held),
    budgetFamily(budgets, "over", "1 when a budget is passed or refused a call", ({ isOver }) =>
      Number(isOver),
    ),
  ];
}

function accountFamilies(account: Account): Family[] {
  const { operations, durations, storedBytes, payers, requests } = account;
  return [
    {
      name: "genops_gateway_requests_total",
      type: "counter",
      help: "HTTP requests that have ended, governed or not, by the hundreds of their status.",
      samples: [...requests].map(([status, value]) => ({ labels: { status }, value })),
    },
    {
      name: "genops_cost_usd_total",
      type: "counter",
      help: "USD booked since the start, by who pays.",
      samples: [...payers].map(({ payer, cost }) => ({
        labels: {
          team: payer.team ?? UNATTRIBUTED,
          project: payer.project ?? UNATTRIBUTED,
          environment: payer.environment ?? UNATTRIBUTED,
        },
        value: attoToUsd(cost),
      })),
    },
    {
      name: "genops_operations_total",
      type: "counter",
      help: "MLflow operations that came to an end since the start.",
      samples: [...operations].flatMap(([operation, { succeeded, failed }]) => [
        { labels: { operation, outcome: "ok" }, value: succeeded },
        { labels: { operation, outcome: "error" }, value: failed },
      ]),
    },
    {
      name: "genops_operation_duration_seconds",
      type: "histogram",
      help: "Time that MLflow operations took, by class.",
      samples: [...durations].flatMap(([operationClass, each]) => [
        ...histogram({ class: operationClass }, each),
      ]),
    },
    {
      name: "genops_stored_bytes_total",
      type: "counter",
      help: "Bytes of artifacts and models kept since the start, by storage backend.",
      samples: [...storedBytes].map(([backend, value]) => ({ labels: { backend }, value })),
    },
  ];
}

/** The text that Prometheus scrapes. */
export function metricsText(governor: Governor, account: Account, refusals: Refusals): string {
  governor.refreshJournal();
  const spent = governor.daySpent();
  const journal = governor.journal;
  const memory = process.memoryUsage();
  return expositionText([
    {
      name: "genops_gateway_info",
      type: "gauge",
      help: "Always 1; the version is a label.",
      samples: [{ labels: { version: VERSION }, value: 1 }],
    },
    {
      name: "process_start_time_seconds",
      type: "gauge",
      help: "When the process was started, in seconds since 1970.",
      samples: [{ value: (Date.now() / 1000 - process.uptime()).toFixed(3) }],
    },
    {
      name: "process_resident_memory_bytes",
      type: "gauge",
      help: "Memory of the process.",
      samples: [{ value: memory.rss }],
    },
    {
      name: "nodejs_heap_size_used_bytes",
      type: "gauge",
      help: "Memory of JavaScript's objects.",
      samples: [{ value: memory.heapUsed }],
    },
    {
      name: "nodejs_external_memory_bytes",
      type: "gauge",
      help: "Memory of buffers and WebAssembly.",
      samples: [{ value: memory.external }],
    },
    {
      name: "genops_day_cost_usd",
      type: "gauge",
      help: "USD of this UTC day, of all processes of this ledger.",
      samples: [{ value: attoToUsd(spent) }],
    },
    {
      name: "genops_runs_started_total",
      type: "counter",
      help: "Runs started since the start.",
      samples: [{ value: governor.runCount }],
    },
    ...accountFamilies(account),
    {
      name: "genops_decisions_total",
      type: "counter",
      help: "Decisions that were not simply allowed, by what decided.",
      samples: [...refusals.counts].map(({ result, reasonCode, policy, count }) => ({
        labels: { result, reason_code: reasonCode, policy },
        value: count,
      })),
    },
    ...budgetFamilies(governor.limits.statuses()),
    {
      name: "genops_journal_state",
      type: "gauge",
      help: "1 for the state that the journal is in.",
      samples: JOURNAL_STATES.map((state) => ({
        labels: { state },
        value: Number(journal.state === state),
      })),
    },
    {
      name: "genops_journal_uncertain_usd",
      type: "gauge",
      help: "USD of this UTC day that killed processes may or may not have spent; counted as spent.",
      samples: [{ value: journal.uncertain }],
    },
    {
      name: "genops_contained_failures_total",
      type: "counter",
      help: "Internal failures that were kept from the traffic.",
      samples: [{ value: governor.containedFailures }],
    },
  ]);
}
