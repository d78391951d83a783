// Connects a ledger to the metrics of a provider: what settles, and what its budgets have left.
import type { MeterProvider } from "@opentelemetry/api";
import { metricsOf } from "../telemetry/metrics.js";
import { VERSION } from "../version.js";
import type { Governor } from "./governor.js";

/** Meters a ledger from now on. A provider that fails is contained; one that does nothing costs nothing. */
export function meter(governor: Governor, provider: Pick<MeterProvider, "getMeter">): void {
  try {
    const metrics = metricsOf(provider, VERSION);
    if (metrics === undefined) return;
    // A budget of each run has no one position, and metrics never speak of single runs.
    metrics.watch(() => governor.limits.statuses().filter(({ period }) => period !== "run"));
    governor.observation.add(metrics);
  } catch (error) {
    governor.contain(error);
  }
}
