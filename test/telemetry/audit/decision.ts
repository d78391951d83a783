// A record to write.
import type { AuditDecision } from "../../../src/telemetry/audit/record.js";

export function decision(call: number, team = "ml-team"): AuditDecision {
  return {
    kind: "decision",
    time: new Date(1_790_000_000_000 + call).toISOString(),
    phase: "after",
    call,
    operation: "log_metric",
    operationClass: "tracking-write",
    who: { team, project: "søk", user: "ada" },
    target: { runId: "0af7651916cd43dd8448eb211c80319c" },
    decision: "ALLOWED",
    reasonCode: null,
    cost: "0.0001",
    outcome: "ok",
  };
}
