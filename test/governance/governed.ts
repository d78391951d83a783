// An adapter on a store of its own, with everything that it tells.
import { join } from "node:path";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import {
  type AdapterOptions,
  type GenOpsMlflowAdapter,
  type GovernanceAlert,
  type GovernanceDecision,
  instrumentMlflow,
} from "../../src/node.js";
import { temporaryFolder } from "../adapter/workplace.js";

export interface Governed {
  readonly adapter: GenOpsMlflowAdapter;
  readonly warnings: string[];
  readonly decisions: GovernanceDecision[];
  readonly alerts: GovernanceAlert[];
  readonly exporter: InMemorySpanExporter;
}

/** In a folder unless told otherwise; the experiment `e` is there already where `options` make one. */
export async function governed(options: AdapterOptions = {}): Promise<Governed> {
  const exporter = new InMemorySpanExporter();
  const warnings: string[] = [];
  const decisions: GovernanceDecision[] = [];
  const alerts: GovernanceAlert[] = [];
  const adapter = instrumentMlflow({
    team: "ml-team",
    project: "search",
    environment: "production",
    trackingUri: join(await temporaryFolder(), "mlruns"),
    tracerProvider: new BasicTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(exporter)],
    }),
    logger: { debug: () => {}, warn: (message) => warnings.push(message) },
    onDecision: (decision) => decisions.push(decision),
    onBudgetAlert: (alert) => alerts.push(alert),
    ...options,
  });
  return { adapter, warnings, decisions, alerts, exporter };
}
