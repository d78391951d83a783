// An operator's routes on a server of their own, over a real ledger in which tests let operations happen.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { Operator } from "../../src/gateway/operator/operator.js";
import type { GovernanceAttributes } from "../../src/governance/attribution.js";
import { type AdapterOptions, configure } from "../../src/governance/configuration.js";
import { Governor } from "../../src/governance/governor.js";
import type { Operation } from "../../src/governance/operation.js";
import "../../src/node.js";

export const ADMIN_TOKEN = "admin-token-of-the-tests";

export interface Operating {
  readonly uri: string;
  readonly governor: Governor;
  readonly operator: Operator;
  /** One operation from its decision to its settlement; a refusal when it was one. */
  happen(operation: Partial<Operation>, who?: GovernanceAttributes, failed?: boolean): unknown;
  /** Has another operator answer from now on. */
  replace(operator: Operator): void;
  /** Asks a path with the admin token, or with other headers. */
  ask(path: string, init?: RequestInit): Promise<Response>;
}

export async function operating(
  options: AdapterOptions = {},
  adminToken: string | null = ADMIN_TOKEN,
): Promise<Operating> {
  let operator: Operator | undefined;
  const governor = new Governor(
    { ...configure({ journal: false, ...options }), onDecision: (told) => operator?.decided(told) },
    "0.0.0",
  );
  const upstream = new URL("http://mlflow.example:5000");
  let made = new Operator({
    adminToken: adminToken ?? undefined,
    isSecure: false,
    upstream,
    governor,
  });
  operator = made;
  const server = createServer((request, response) => void made.handle(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    made.drain();
    server.closeAllConnections();
    server.close();
  });
  const uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const authorization = `Bearer ${ADMIN_TOKEN}`;
  return {
    uri,
    governor,
    operator: made,
    happen(operation, who = {}, failed = false) {
      const pending = governor.begin({ name: "log_metric", items: 1, ...operation }, who);
      if (pending instanceof Error) return pending;
      if (failed) governor.fail(pending, new Error("the server said no"));
      else governor.succeed(pending, {});
      return undefined;
    },
    replace(next) {
      made = next;
      operator = next;
    },
    ask: (path, init) =>
      fetch(`${uri}${path}`, { headers: { authorization }, redirect: "manual", ...init }),
  };
}
