// MLflow's own web page in a real browser, served through the gateway: it shows runs, and what it writes is governed.
import { afterAll, describe, expect, inject, it } from "vitest";
import { createGateway } from "../../src/gateway/index.js";
import { uniqueName } from "../adapter/workplace.js";
import { CHROMIUM } from "../runtimes/pins.js";
import { need, PATIENCE } from "../runtimes/player.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { type Browser, openBrowser } from "./browser.js";

let browser: Browser | undefined;
afterAll(() => browser?.close());

describe.runIf(requiresMlflow())("MLflow's web page", () => {
  it("shows a run, and sets a tag that is priced", { timeout: PATIENCE }, async (context) => {
    browser ??= await openBrowser(await need(context, CHROMIUM));
    const { tab } = browser;
    const upstream = inject("mlflowServerUri") as string;
    await using gateway = await createGateway({
      upstream,
      port: 0,
      journal: false,
      defaults: { team: "page" },
    });
    const { url, governor } = gateway;
    const post = async (path: string, body: object) => {
      const reply = await fetch(`${url}/api/2.0/mlflow/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      return (await reply.json()) as Record<string, unknown>;
    };
    const name = uniqueName("page");
    const { experiment_id: experimentId } = await post("experiments/create", { name });
    const made = await post("runs/create", { experiment_id: experimentId, run_name: "seen-run" });
    const { run_id: runId } = (made as { run: { info: { run_id: string } } }).run.info;

    const visit = async (uri: string) => {
      const before = tab.complaints.length;
      await tab.goto(`${uri}/#/experiments/${experimentId}/runs`);
      await tab.until('document.body.innerText.includes("seen-run")');
      await tab.goto(`${uri}/#/experiments/${experimentId}/runs/${runId}`);
      await tab.until(`document.body.innerText.includes(${JSON.stringify(runId)})`);
      return new Set(tab.complaints.slice(before));
    };
    // The page has complaints of its own about a server without users.
    const usual = await visit(upstream);
    expect([...(await visit(url))].filter((text) => !usual.has(text))).toEqual([]);

    // As the page itself does it: from its own origin, under /ajax-api.
    const before = governor.engine.total("run", runId);
    const status = await tab.evaluate<number>(
      `fetch("/ajax-api/2.0/mlflow/runs/set-tag", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ run_id: ${JSON.stringify(runId)}, key: "mlflow.note.content", value: "seen" }) }).then(({ status }) => status)`,
    );
    expect(status).toBe(200);
    expect(governor.engine.total("run", runId) - before).toBe(10n ** 14n);
    expect(governor.engine.total("team", "page")).toBe(governor.engine.total());
    expect(governor.containedFailures).toBe(0);
  });
});
