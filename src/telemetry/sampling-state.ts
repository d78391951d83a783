// Says in a span's tracestate how many operations it stands for, as OpenTelemetry's consistent sampling does.
import { type Context, createTraceState, isSpanContextValid, trace } from "@opentelemetry/api";

/** Randomness that thresholds are compared with: 56 bits, 14 hexadecimal digits. */
const DIGITS = 14;
const ALL = 1n << 56n;

/** How an operation's telemetry was thinned. */
export interface Thinning {
  /** Hexadecimal digits without trailing zeros, as in `ot=th:`. */
  readonly threshold: string;
  /** How many operations a kept one stands for. */
  readonly weight: number;
}

function parse(threshold: string): bigint {
  return /^[0-9a-f]{1,14}$/.test(threshold) ? BigInt(`0x${threshold.padEnd(DIGITS, "0")}`) : 0n;
}

/** Of two chances, one after the other, the threshold of both. */
function combined(first: string, second: string): string {
  // What was kept had a chance, so it is not told as none.
  const kept = ((ALL - parse(first)) * (ALL - parse(second))) >> 56n || 1n;
  const digits = (ALL - kept).toString(16).padStart(DIGITS, "0").replace(/0+$/, "");
  return digits === "" ? "0" : digits;
}

/** An `ot` entry with another threshold, the rest of it as it was. */
function withThreshold(entry: string | undefined, threshold: string): string {
  const parts = (entry ?? "").split(";").filter((part) => part !== "");
  const before = parts.find((part) => part.startsWith("th:"))?.slice(3);
  const others = parts.filter((part) => !part.startsWith("th:"));
  return [`th:${combined(before ?? "0", threshold)}`, ...others].join(";");
}

/**
 * The context in which a thinned operation's span is to be started: a span takes the tracestate of the one
 * above it, and the API has no other way to give it one. So a span with none above it says only in its
 * attributes what it stands for.
 */
export function thinned(parent: Context, { threshold }: Thinning): Context {
  const above = trace.getSpanContext(parent);
  if (above === undefined || !isSpanContextValid(above)) return parent;
  const state = above.traceState ?? createTraceState();
  const traceState = state.set("ot", withThreshold(state.get("ot"), threshold));
  return trace.setSpanContext(parent, { ...above, traceState });
}
