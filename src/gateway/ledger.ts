// The gateway's ledger: begun with a configuration, and what of a later one it takes over while it is at work.
import { diag, metrics } from "@opentelemetry/api";
import type { Configuration } from "../governance/configuration.js";
import type { GovernanceDecision } from "../governance/decision.js";
import { Governor } from "../governance/governor.js";
import { meter } from "../governance/metering.js";
import { VERSION } from "../version.js";
import type { GatewayConfiguration } from "./configuration.js";

/** Begins a ledger; `onDecision` is told of each decision that was not ALLOWED, beside the user's own hook. */
export function startLedger(
  governance: Configuration,
  onDecision: (decision: GovernanceDecision) => void,
): Governor {
  const told = (decision: GovernanceDecision) => {
    onDecision(decision);
    return governance.onDecision?.(decision);
  };
  const governor = new Governor({ ...governance, onDecision: told }, VERSION);
  meter(governor, governance.meterProvider ?? metrics.getMeterProvider());
  return governor;
}

/** What a ledger takes over only when it begins. */
function fixedOptions({ upstream, staticPrefix, governance }: GatewayConfiguration) {
  const { policies, pricing, storageBackends, samplingRate, runCapacity } = governance;
  const { journal, auditLog } = governance;
  const options = { policies, pricing, storageBackends, samplingRate, runCapacity };
  return { upstream: upstream.href, staticPrefix, ...options, journal, auditLog };
}

/** Functions and patterns by what they say. */
function written(value: unknown): string | undefined {
  return JSON.stringify(value, (_key, each: unknown) =>
    typeof each === "function" || each instanceof RegExp ? String(each) : each,
  );
}

/** Has a ledger at work take over the amounts of budgets; what changes only with a restart is warned of by name. */
export function adjustLedger(
  governor: Governor,
  before: GatewayConfiguration,
  after: GatewayConfiguration,
): void {
  const limits = governor.limits.adjust(after.governance.limits);
  const [was, is] = [fixedOptions(before), fixedOptions(after)];
  const names = (Object.keys(is) as (keyof typeof is)[]).filter(
    (name) => written(was[name]) !== written(is[name]),
  );
  const waiting = [...names, ...limits.map((name) => `limit ${JSON.stringify(name)}`)];
  if (waiting.length === 0) return;
  const logger = after.governance.logger ?? diag;
  logger.warn(`genops: this changes with a restart: ${waiting.join(", ")}`);
}
