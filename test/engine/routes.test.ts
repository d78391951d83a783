// The routes of a real MLflow server, asked of itself, and what the engine makes of each.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, inject, it } from "vitest";
import { createEngine } from "../../src/engine/index.js";
import { neutralEnvironment } from "../support/python.js";
import { requiresMlflow } from "../support/requires-mlflow.js";

const LIST_ROUTES = `
import json, logging
logging.disable(logging.CRITICAL)
from mlflow.server import app
rules = [rule for rule in app.url_map.iter_rules()]
print(json.dumps([[m, r.rule] for r in rules for m in sorted(r.methods - {"HEAD", "OPTIONS"})]))
`;

/** A file of the web interface, and a route whose address MLflow spells wrong. */
const NO_ROUTE = /^\/build\/|2\.0mlflow/;

describe.skipIf(!requiresMlflow())("the routes of MLflow's own server", () => {
  it("are all in the table", { timeout: 60_000 }, async () => {
    const { stdout } = await promisify(execFile)(
      inject("pythonPath") as string,
      ["-c", LIST_ROUTES],
      { env: { ...neutralEnvironment(), MLFLOW_TRACKING_URI: "sqlite://" } },
    );
    const routes: [string, string][] = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
    const engine = createEngine({ runs: 1 });
    const nameOf = (method: string, rule: string) => {
      const path = rule.replace(/<path:[^>]+>/g, "a/b").replace(/<[^>]+>/g, "id");
      return engine.operations[engine.classify(method, path)]?.name;
    };
    expect(routes.length).toBeGreaterThan(300);
    for (const [method, rule] of routes) {
      const name = nameOf(method, rule);
      if (NO_ROUTE.test(rule)) expect(name, `${method} ${rule}`).toBeUndefined();
      else
        expect([undefined, "unknown_read", "unknown_write"], `${method} ${rule}`).not.toContain(
          name,
        );
    }
  });
});
