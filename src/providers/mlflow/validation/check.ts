// One check: what it is told, what it may report, and the time it has.

import type { AdapterOptions, Configuration } from "../../../governance/configuration.js";
import type { MlflowClient } from "../../../mlflow/client.js";
import type { ConnectionOptions } from "../../../mlflow/connection.js";
import type {
  Area,
  CheckName,
  CheckResult,
  CheckStatus,
  DependencyState,
  ValidationIssue,
} from "./result.js";

/** What the checks know of the set-up; earlier ones tell later ones. */
export interface Setup {
  /** Options of the adapter, as the program gives them. */
  readonly adapter: AdapterOptions;
  /** Nothing is written anywhere. */
  readonly readOnly: boolean;
  /** Milliseconds that each check has. */
  readonly timeoutMs: number;
  readonly configured: Record<string, string>;
  readonly dependencies: Record<string, DependencyState>;
  /** Can the engine be started? */
  hasEngine: boolean;
  /** Undefined until the options proved right. */
  configuration: Configuration | undefined;
  /** Undefined when it is none that the client can use. */
  trackingUri: string | undefined;
  /** Undefined unless the registry has a URI of its own. */
  registryUri: string | undefined;
  /** Undefined until the server has answered. */
  client: MlflowClient | undefined;
}

/** What the server is told of itself: patient enough for a check, and no more. */
export function hasty(connection: ConnectionOptions, { timeoutMs }: Setup): ConnectionOptions {
  // Less than the check has, so that the more telling error comes first.
  return { ...connection, maxRetries: 1, timeoutSeconds: (0.6 * timeoutMs) / 1000 };
}

export type Found = (issue: Omit<ValidationIssue, "area" | "check">) => void;

/** Thrown by a check that makes no sense here; the message says why. */
export class Skipped extends Error {}

export interface Check {
  readonly name: CheckName;
  readonly area: Area;
  /** Answers what was found in a few words. The signal fires when its time is over. */
  run(setup: Setup, found: Found, signal: AbortSignal): Promise<string> | string;
}

function statusOf(issues: readonly ValidationIssue[]): CheckStatus {
  if (issues.some(({ severity }) => severity === "error")) return "failed";
  return issues.some(({ severity }) => severity === "warning") ? "warned" : "passed";
}

interface Outcome {
  readonly result: CheckResult;
  readonly issues: readonly ValidationIssue[];
}

const TIMED_OUT = Symbol("timed out");

/** Makes one check. Never rejects: what nobody foresaw is an issue of its own. */
export async function makeCheck(check: Check, setup: Setup): Promise<Outcome> {
  const { name, area } = check;
  const issues: ValidationIssue[] = [];
  const found: Found = (issue) => issues.push({ ...issue, area, check: name });
  const start = performance.now();
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<typeof TIMED_OUT>((resolve) => {
    timer = setTimeout(() => resolve(TIMED_OUT), setup.timeoutMs);
  });
  let detail = "";
  let status: CheckStatus | undefined;
  try {
    const work = (async () => check.run(setup, found, controller.signal))();
    const answer = await Promise.race([work, timeout]);
    if (answer === TIMED_OUT) {
      // Whatever it still does, such as cleaning up, goes on in the background.
      work.catch(() => undefined);
      const seconds = setup.timeoutMs / 1000;
      detail = `no end within ${seconds} s`;
      found({
        code: "CHECK_TIMED_OUT",
        severity: "error",
        message: `The check ${name} did not end in time.`,
        cause: `Nothing more was heard within ${seconds} s.`,
        fix: `genops validate --timeout ${Math.ceil(seconds * 4)}`,
      });
    } else detail = answer;
  } catch (error) {
    detail = error instanceof Error ? error.message : String(error);
    if (error instanceof Skipped) status = "skipped";
    else {
      found({
        code: "CHECK_FAILED",
        severity: "error",
        message: `The check ${name} failed for a reason that it does not know.`,
        cause: detail,
        fix: "genops validate --json   # and report what it prints",
      });
    }
  } finally {
    clearTimeout(timer);
    controller.abort();
  }
  // What comes later belongs to nobody.
  const kept = [...issues];
  return {
    result: {
      name,
      area,
      status: status ?? statusOf(kept),
      detail,
      durationMs: Math.round(performance.now() - start),
    },
    issues: kept,
  };
}
