// The operator's routes: closed without the token, exact amounts, metrics that Prometheus can read, live events.
import { describe, expect, inject, it } from "vitest";
import { Account } from "../../src/gateway/operator/account.js";
import { Operator } from "../../src/gateway/operator/operator.js";
import { expositionText } from "../../src/gateway/operator/prometheus.js";
import { configure } from "../../src/governance/configuration.js";
import { Governor } from "../../src/governance/governor.js";
import { parsePrometheus } from "../support/prometheus-parser.js";
import { ADMIN_TOKEN, operating } from "./operating.js";

const GIB = 2 ** 30;
const HOSTILE = `"ml\\team"\n# TYPE x counter\n{a="b"} é <script>`;

describe("admission", () => {
  it.each(["health", "metrics", "summary", "events", "nowhere"])(
    "/genops/%s is closed without the admin token",
    async (name) => {
      const { ask } = await operating();
      for (const headers of [
        {},
        { authorization: "Bearer wrong" },
        { authorization: `Basic ${Buffer.from(`admin:${ADMIN_TOKEN}`).toString("base64")}` },
        { cookie: "genops_session=guess" },
        { cookie: `genops_session=${ADMIN_TOKEN}` },
      ]) {
        const answer = await ask(`/genops/${name}`, { headers });
        expect(answer.status).toBe(401);
        expect(answer.headers.get("www-authenticate")).toContain("Bearer");
        expect(await answer.json()).toMatchObject({ error_code: "UNAUTHENTICATED" });
      }
    },
  );

  it("nothing opens a gateway without an admin token", async () => {
    const { ask } = await operating({}, null);
    for (const headers of [
      {},
      { authorization: "Bearer undefined" },
      { authorization: "Bearer " },
    ]) {
      const answer = await ask("/genops/summary", { headers });
      expect(answer.status).toBe(401);
      expect((await answer.json()).message).toContain("GENOPS_GATEWAY_ADMIN_TOKEN");
    }
  });

  it("a session is opened by the form, cannot be read by scripts, and ends with the log-out", async () => {
    const { ask, uri } = await operating();
    const post = (path: string, token: string, headers: Record<string, string> = {}) =>
      ask(path, { method: "POST", body: new URLSearchParams({ token }), headers });
    expect((await post("/genops/login", "wrong")).status).toBe(401);
    const opened = await post("/genops/login", ADMIN_TOKEN);
    expect(opened.status).toBe(303);
    const cookie = opened.headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(
      /^genops_session=[\w-]{43}; Path=\/genops\/; HttpOnly; SameSite=Strict; Max-Age=43200$/,
    );
    expect(cookie).not.toContain(ADMIN_TOKEN);
    const session = { cookie: cookie.split(";")[0] ?? "" };
    expect((await ask("/genops/summary", { headers: session })).status).toBe(200);
    // Other sites can neither log in nor out.
    const foreign = { ...session, origin: "https://evil.example" };
    expect((await post("/genops/logout", "", foreign)).status).toBe(403);
    expect(
      (await post("/genops/login", ADMIN_TOKEN, { "sec-fetch-site": "cross-site" })).status,
    ).toBe(403);
    expect((await post("/genops/logout", "", { ...session, origin: uri })).status).toBe(303);
    expect((await ask("/genops/summary", { headers: session })).status).toBe(401);
    expect((await post("/genops/login", "x".repeat(9000))).status).toBe(401);
  });

  it("each path has its methods, and a near miss is told", async () => {
    const { ask } = await operating();
    expect((await ask("/genops")).headers.get("location")).toBe("/genops/");
    const put = await ask("/genops/summary", { method: "DELETE" });
    expect([put.status, put.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    expect((await ask("/genops/login")).status).toBe(405);
    expect((await (await ask("/genops/sumary")).json()).message).toContain("/genops/summary?");
    const head = await ask("/genops/health", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });
});

describe("/genops/health", () => {
  it("is ok until the gateway drains", async () => {
    const { ask, operator } = await operating();
    const answer = await ask("/genops/health");
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(await answer.json()).toMatchObject({ status: "ok", journal: "off" });
    operator.drain();
    const draining = await ask("/genops/health");
    expect([draining.status, (await draining.json()).status]).toEqual([503, "draining"]);
  });
});

describe("/genops/summary", () => {
  it("holds every digit, by every dimension, today and since the start", async () => {
    const { ask, happen, governor } = await operating({
      budgets: [
        {
          name: "search",
          limit: "0.0003",
          period: "day",
          scope: { team: "search" },
          action: "block",
        },
      ],
    });
    const search = { team: "search", project: "ranker", customerId: "acme" };
    happen({ name: "log_metric" }, search);
    happen({ name: "log_batch", items: 40 }, search);
    happen({ name: "log_metric" }, search, true);
    const bytes = GIB / 4 + 1;
    happen(
      { name: "log_artifact", upload: { artifactUri: "s3://bucket/m", sizeBytes: bytes } },
      { team: "vision" },
    );
    happen({ name: "search_runs" }, {});
    happen({ name: "log_metric" }, search);
    expect(happen({ name: "set_tag" }, search)).toMatchObject({ code: "BUDGET_EXCEEDED" });
    expect(happen({ name: "set_tag" }, search)).toMatchObject({ code: "BUDGET_EXCEEDED" });
    const summary = await (await ask("/genops/summary")).json();
    // 0.023 USD a GiB-month, a day of thirty, a quarter of a GiB and a byte.
    const stored = "0.000191666667380681";
    expect(summary).toMatchObject({
      totalCost: "0.000491666667380681",
      operationCount: 4,
      errorCount: 1,
      totalStorageBytes: bytes,
      costByTeam: { search: "0.0003", vision: stored },
      costByStorageBackend: { s3: stored },
      operations: {
        log_metric: { count: 2, errorCount: 1, items: 2 },
        log_batch: { count: 1, errorCount: 0, items: 40 },
      },
      storage: { s3: { bytes, files: 1 } },
      today: {
        day: new Date().toISOString().slice(0, 10),
        cost: "0.000491666667380681",
        costElsewhere: "0",
        operations: 4,
        errors: 1,
        byTeam: [
          { name: "search", cost: "0.0003", operations: 3, errors: 1 },
          { name: "vision", cost: stored, operations: 1, errors: 0 },
          { name: "(unattributed)", cost: "0", operations: 0, errors: 0 },
        ],
      },
      budgets: [{ name: "search", spent: "0.0003", isOver: true, action: "block" }],
      refusals: [
        {
          result: "BLOCKED",
          policy: "budget.search",
          operation: "set_tag",
          team: "search",
          count: 2,
        },
      ],
      journal: { state: "off" },
    });
    expect(summary.costByRun).toBeUndefined();
    expect(summary.runs).toBeUndefined();
    const withRuns = await (await ask("/genops/summary?runs=true")).json();
    expect(withRuns.costByRun).toEqual({ "(unattributed)": "0.000491666667380681" });
    expect(withRuns.runs).toEqual([]);
    expect(governor.containedFailures).toBe(0);
  });
});

describe("/genops/metrics", () => {
  it("is what Prometheus' own parser reads, hostile names included", async ({ skip }) => {
    const python = inject("pythonPath");
    if (python === undefined) return skip("There is no Python here.");
    const { ask, happen, operator } = await operating({
      budgets: [{ name: 'a "quoted" \\ budget', limit: "1", period: "day" }],
      rateLimits: [{ name: "calls", operations: 2, per: "minute", scope: { team: "fast" } }],
    });
    happen({ name: "log_metric" }, { team: HOSTILE.replace("\n", " "), project: "p" });
    happen({ name: "log_metric" }, { team: "search" }, true);
    const upload = { artifactUri: "s3://bucket/m", sizeBytes: 5 };
    happen({ name: "log_artifact", upload }, { team: "search" });
    for (let call = 0; call < 5; call++) happen({}, { team: "fast" });
    for (const status of [200, 204, 403, 0, 999]) operator.answered(status);
    const answer = await ask("/genops/metrics");
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await answer.text();
    const families = await parsePrometheus(python, text);
    const samples = families.flatMap((family) => family.samples);
    const value = (name: string, labels: Record<string, string>) =>
      samples.find((each) => {
        const fits = Object.entries(labels).every(([label, is]) => each.labels[label] === is);
        return each.name === name && fits;
      })?.value;
    expect(value("genops_cost_usd_total", { team: HOSTILE.replace("\n", " ") })).toBe(0.0001);
    expect(value("genops_operations_total", { operation: "log_metric", outcome: "error" })).toBe(1);
    expect(value("genops_operations_total", { operation: "log_metric", outcome: "ok" })).toBe(3);
    expect(value("genops_stored_bytes_total", { backend: "s3" })).toBe(5);
    expect(value("genops_budget_limit", { budget: 'a "quoted" \\ budget' })).toBe(1);
    expect(value("genops_budget_over", { budget: 'a "quoted" \\ budget' })).toBe(0);
    expect(value("genops_decisions_total", { result: "RATE_LIMITED" })).toBe(3);
    expect(value("genops_journal_state", { state: "off" })).toBe(1);
    expect(value("genops_gateway_requests_total", { status: "2xx" })).toBe(2);
    expect(value("nodejs_heap_size_used_bytes", {})).toBeLessThan(
      value("process_resident_memory_bytes", {}) as number,
    );
    expect(value("nodejs_external_memory_bytes", {})).toBeGreaterThan(0);
    expect(value("genops_gateway_requests_total", { status: "none" })).toBe(2);
    const tracking = { class: "tracking-write" };
    expect(value("genops_operation_duration_seconds_bucket", { ...tracking, le: "+Inf" })).toBe(4);
    expect(value("genops_operation_duration_seconds_count", tracking)).toBe(4);
    for (const { name, labels } of samples) {
      expect(name).toMatch(/^(genops|process|nodejs)_[a-z_]+$/);
      for (const label of ["run", "run_id", "customer", "customer_id"]) {
        expect(labels).not.toHaveProperty(label);
      }
    }
    // No family is told twice, which a scrape would refuse.
    expect(new Set(families.map(({ name }) => name)).size).toBe(families.length);
  });

  it("line feeds in labels and help texts cannot begin a line of their own", async ({ skip }) => {
    const python = inject("pythonPath");
    if (python === undefined) return skip("There is no Python here.");
    const samples = [{ labels: { name: HOSTILE }, value: 1 }];
    const family = { name: "told", type: "gauge", help: "a\\b\nc", samples } as const;
    const text = expositionText([family, { ...family, name: "silent", samples: [] }]);
    expect(text.split("\n")).toHaveLength(4);
    const [told, surplus] = await parsePrometheus(python, text);
    expect(told?.samples).toMatchObject([{ name: "told", labels: { name: HOSTILE } }]);
    expect(told?.help).toBe("a\\b\nc");
    expect(surplus).toBeUndefined();
  });

  it("stays bounded, whatever callers are named, and no amount is lost", async () => {
    const { ask, happen } = await operating();
    for (let team = 0; team < 1500; team++) {
      happen({}, { team: `team-${team}`, customerId: `customer-${team}` });
    }
    const text = await (await ask("/genops/metrics")).text();
    const costs = text.split("\n").filter((line) => line.startsWith("genops_cost_usd_total{"));
    expect(costs).toHaveLength(501);
    expect(costs.at(-1)).toBe(
      'genops_cost_usd_total{team="(overflow)",project="(overflow)",environment="(overflow)"} 0.1',
    );
    const { today } = await (await ask("/genops/summary")).json();
    expect(today.byCustomer).toHaveLength(1001);
    expect(today.byCustomer[0]).toMatchObject({ name: "(overflow)", cost: "0.05" });
  });
});

describe("the account of a day", () => {
  it("begins anew with the UTC day, and does not go back with a clock that does", () => {
    let now = Date.parse("2026-02-23T23:59:59Z");
    const account = new Account(() => now);
    const governor = new Governor(configure({ journal: false }), "0.0.0");
    governor.observation.add(account);
    const happen = () => {
      const pending = governor.begin({ name: "log_metric", items: 1 }, { team: "a" });
      if (!(pending instanceof Error)) governor.succeed(pending, {});
    };
    happen();
    expect(account.today.total.operations).toBe(1);
    now += 1000;
    expect(account.today.total.operations).toBe(0);
    happen();
    now -= 2000;
    happen();
    expect(account.today.byTeam.get("a")).toMatchObject({ operations: 2, cost: 2n * 10n ** 14n });
    expect([...account.payers]).toMatchObject([{ cost: 3n * 10n ** 14n }]);
  });
});

describe("an operator that takes the place of another", () => {
  it("goes on with its account, and with its sessions while the token is the same", async () => {
    const { uri, ask, happen, governor, operator, replace } = await operating();
    happen({}, { team: "a" });
    const body = new URLSearchParams({ token: ADMIN_TOKEN });
    const login = await ask("/genops/login", { method: "POST", body, headers: {} });
    const headers = { cookie: login.headers.get("set-cookie")?.split(";")[0] ?? "" };
    const upstream = new URL(uri);
    const same = { isSecure: false, upstream, governor, adminToken: ADMIN_TOKEN };
    const next = new Operator({ ...same, before: operator });
    replace(next);
    happen({}, { team: "a" });
    const summary = await ask("/genops/summary", { headers });
    expect((await summary.json()).today.byTeam).toMatchObject([{ name: "a", operations: 2 }]);
    replace(new Operator({ ...same, adminToken: "another", before: next }));
    expect((await ask("/genops/summary", { headers })).status).toBe(401);
    expect((await ask("/genops/summary")).status).toBe(401);
  });
});

describe("/genops/events", () => {
  it("tells how things stand, then what has changed, and ends when the gateway drains", async () => {
    const { ask, happen, operator } = await operating();
    const answer = await ask("/genops/events");
    expect(answer.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    let text = "";
    const until = async (words: string): Promise<void> => {
      while (!text.includes(words)) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`The stream ended without ${words}`);
        text += Buffer.from(value).toString();
      }
    };
    await until('"byTeam":[]');
    happen({}, { team: "line\u2028feed\n\nevent: forged" });
    await until("forged");
    for (const line of text.split("\n"))
      expect(line).toMatch(/^(event: snapshot|data: \{.*\}|retry: 2000|)$/s);
    operator.drain();
    expect((await reader.read()).done).toBe(true);
  });
});
