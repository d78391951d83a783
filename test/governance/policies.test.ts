// Policies: what each refuses, with which reason, and that nothing of a refused call is sent.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, inject, it, vi } from "vitest";
import * as mlflow from "../../src/mlflow/node.js";
import {
  type AdapterOptions,
  ConfigurationError,
  type PolicyOptions,
  type PolicyRequest,
  PolicyViolationError,
} from "../../src/node.js";
import { temporaryFolder, uniqueName } from "../adapter/workplace.js";
import { callsOf } from "../mlflow/each-store.js";
import { faultyServer } from "../mlflow/faulty-server.js";
import { requiresMlflow } from "../support/requires-mlflow.js";
import { type Governed, governed } from "./governed.js";

afterEach(() => vi.unstubAllEnvs());

async function under(policies: PolicyOptions, options: AdapterOptions = {}): Promise<Governed> {
  const made = await governed({ policies, ...options });
  await mlflow.createExperiment("e");
  return made;
}

async function violationOf(call: Promise<unknown>): Promise<PolicyViolationError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(PolicyViolationError);
  return error as PolicyViolationError;
}

const run = { experimentName: "e", runName: "r" };

async function newestRun() {
  const [found] = await mlflow.searchRuns({ experimentNames: ["e"] });
  if (found === undefined) throw new Error("There is no run.");
  return found;
}

describe("promise 16: the guide's policies", () => {
  const guide: PolicyOptions = {
    requireTags: ["owner", "ticket"],
    allowedEnvironments: ["dev", "staging", "prod"],
    maxArtifactSizeMb: 1000,
  };

  it("let its example pass", async () => {
    const made = await under(guide);
    await made.adapter.trackMlflowRun(run, async () => {
      await mlflow.setTag("owner", "engineer@company.com");
      await mlflow.setTag("ticket", "JIRA-123");
    });
    expect((await newestRun()).info.status).toBe("FINISHED");
    expect(made.decisions).toEqual([]);
  });

  it("fail a run without the required tags, with the reason as tags, and throw", async () => {
    const made = await under(guide);
    const body = vi.fn(() => mlflow.setTag("owner", "me"));
    const error = await violationOf(made.adapter.trackMlflowRun(run, body));
    expect(error).toMatchObject({
      code: "POLICY_VIOLATION",
      policy: "requireTags",
      reasonCode: "x_required_tags_missing",
      field: "ticket",
    });
    expect(error.message).toContain('run "r" ends without the required tag "ticket"');
    expect(body).toHaveBeenCalledOnce();
    const { info, data } = await newestRun();
    expect(info.status).toBe("FAILED");
    expect(data.tags).toMatchObject({
      owner: "me",
      "genops.policy.result": "BLOCKED",
      "genops.policy.reason_code": "x_required_tags_missing",
      "genops.policy.reason": error.message,
    });
    // The tags that tell the reason are governance's own, and cost nothing.
    expect(made.adapter.getMetrics()).toMatchObject({ operationCount: 2, dailyUsage: 0.0002 });
    expect(made.adapter.containedFailures).toBe(0);
  });

  it("take tags of the start, of a batch and of a log, and see those that are taken away", async () => {
    const made = await under({ requireTags: ["owner", "ticket"] });
    const tags = { owner: "me" };
    await made.adapter.trackMlflowRun({ ...run, tags }, () => mlflow.setTags({ ticket: "1" }));
    await violationOf(
      made.adapter.trackMlflowRun({ ...run, tags: { ...tags, ticket: "1" } }, () =>
        mlflow.deleteTag("ticket"),
      ),
    );
    await violationOf(
      made.adapter.trackMlflowRun({ ...run, tags: { ...tags, ticket: " " } }, () => {}),
    );
  });

  it("ask for the tags of a run that began elsewhere", async () => {
    const made = await governed({ policies: { requireTags: ["owner"] } });
    const experimentId = await mlflow.createExperiment("e");
    const client = new mlflow.MlflowClient();
    const tagged = await client.createRun(experimentId, { tags: { owner: "me" } });
    const bare = await client.createRun(experimentId);
    made.adapter.instrumentFramework();
    try {
      await client.setTerminated(tagged.info.runId);
      await violationOf(client.setTerminated(bare.info.runId));
    } finally {
      made.adapter.uninstrumentFramework();
    }
    expect((await client.getRun(tagged.info.runId)).info.status).toBe("FINISHED");
    expect((await client.getRun(bare.info.runId)).info.status).toBe("FAILED");
  });

  it("leave a run that fails anyway its own error", async () => {
    const made = await under(guide);
    const failing = made.adapter.trackMlflowRun(run, () => Promise.reject(new Error("diverged")));
    await expect(failing).rejects.toThrow("diverged");
    expect((await newestRun()).data.tags).not.toHaveProperty("genops.policy.result");
  });

  it.each([
    ["dev", "development"],
    ["Development", "dev"],
    ["staging", "stage"],
    ["production", "prod"],
  ])("take environment %s where %s is allowed", async (environment, allowed) => {
    const made = await under({ allowedEnvironments: [allowed] }, { environment });
    await made.adapter.trackMlflowRun(run, () => mlflow.logMetric("m", 1));
    expect(made.decisions).toEqual([]);
  });

  it("refuse another environment before anything is sent", async () => {
    const made = await under(guide, { environment: "laptop" });
    const calls = await callsOf(async () => {
      const error = await violationOf(made.adapter.trackMlflowRun(run, () => {}));
      expect(error).toMatchObject({
        reasonCode: "x_environment_not_allowed",
        field: "environment",
      });
      expect(error.message).toContain('"laptop", and allowed are "dev", "staging", "prod"');
    });
    expect(calls.filter((call) => call.startsWith("POST"))).toEqual([]);
  });

  it("refuse an artifact that is too large, and take one that just fits", async () => {
    const made = await under({ maxArtifactSizeMb: 0.001 });
    await made.adapter.trackMlflowRun(run, async () => {
      await mlflow.logText("x".repeat(1048), "fits.txt");
      const error = await violationOf(mlflow.logText("x".repeat(1049), "large.txt"));
      expect(error).toMatchObject({
        reasonCode: "x_artifact_too_large",
        policy: "maxArtifactSizeMb",
      });
      expect(
        await mlflow.artifacts.listArtifacts({ runId: mlflow.activeRun()?.info.runId }),
      ).toMatchObject([{ path: "fits.txt" }]);
    });
  });

  it.runIf(requiresMlflow())(
    "hold on a real server, where nothing is sent of what is refused",
    async () => {
      const proxy = await faultyServer(() => "forward", inject("mlflowServerUri") as string);
      const made = await governed({
        policies: { ...guide, maxArtifactSizeMb: 1 },
        trackingUri: proxy.uri,
      });
      const file = join(await temporaryFolder(), "large.bin");
      await writeFile(file, new Uint8Array(2 ** 20 + 1));
      let runId = "";
      const tracked = made.adapter.trackMlflowRun(
        { experimentName: uniqueName("policies"), runName: "r" },
        async (active) => {
          runId = active.info.runId;
          const before = proxy.requests.length;
          await violationOf(mlflow.logArtifact(file));
          expect(proxy.requests.length).toBe(before);
        },
      );
      await violationOf(tracked);
      const { info, data } = await mlflow.getRun(runId);
      expect(info.status).toBe("FAILED");
      expect(data.tags["genops.policy.reason_code"]).toBe("x_required_tags_missing");
      expect(proxy.requests.filter(({ path }) => path.endsWith("/runs/update"))).toHaveLength(1);
    },
  );
});

describe("a policy", () => {
  it("requireAttributes wants what pays to be configured", async () => {
    const made = await under({ requireAttributes: ["team", "customerId"] });
    const error = await violationOf(made.adapter.trackMlflowRun(run, () => {}));
    expect(error).toMatchObject({
      reasonCode: "x_required_attributes_missing",
      field: "customerId",
    });
    expect(error.message).toContain("GENOPS_CUSTOMER_ID");
    await made.adapter.trackMlflowRun({ ...run, customerId: "acme" }, () => {});
  });

  it("allowedArtifactLocations holds below a location, not beside it", async () => {
    const folder = join(await temporaryFolder(), "mlruns");
    const allowed = { allowedArtifactLocations: [folder, "s3://bucket/a"] };
    const made = await governed({ trackingUri: folder, policies: allowed });
    made.adapter.instrumentFramework();
    try {
      await mlflow.createExperiment("inside", { artifactLocation: "s3://bucket/a/b" });
      for (const artifactLocation of ["s3://bucket/ab", "s3://bucket/a/../c", "gs://bucket/a"]) {
        const error = await violationOf(mlflow.createExperiment("outside", { artifactLocation }));
        expect(error.reasonCode).toBe("x_artifact_location_not_allowed");
      }
    } finally {
      made.adapter.uninstrumentFramework();
    }
  });

  it("allowedModels refuses work on other registered models", async () => {
    const made = await under({ allowedModels: ["churn-*", "fraud"] });
    await made.adapter.trackMlflowRun(run, async (active) => {
      await mlflow.logText("weights", "model/weights.txt");
      const uri = `runs:/${active.info.runId}/model`;
      await mlflow.registerModel(uri, "churn-eu");
      const error = await violationOf(mlflow.registerModel(uri, "fraudulent"));
      expect(error).toMatchObject({ reasonCode: "POLICY_DENY_MODEL", field: "modelName" });
    });
  });

  it("stageTransitions knows the stage that a version is in", async () => {
    const stageTransitions = { None: ["Staging"], Staging: ["Production", "Archived"] };
    const made = await under({ stageTransitions });
    const client = new mlflow.MlflowClient();
    await client.createRegisteredModel("churn");
    await client.createModelVersion("churn", "s3://bucket/model");
    made.adapter.instrumentFramework();
    try {
      const error = await violationOf(
        client.transitionModelVersionStage("churn", "1", "Production"),
      );
      expect(error.reasonCode).toBe("x_stage_transition_not_allowed");
      expect(error.message).toContain('from None to Production; from there it may go to "Staging"');
      await client.transitionModelVersionStage("churn", "1", "Staging");
      await client.transitionModelVersionStage("churn", "1", "Production");
      await violationOf(client.transitionModelVersionStage("churn", "1", "Staging"));
    } finally {
      made.adapter.uninstrumentFramework();
    }
    expect(made.adapter.costAggregator.getSummary().totalCostExact).toBe("0.001");
  });

  it("namePatterns holds for experiments, runs and models, as text or as an expression", async () => {
    const made = await under({
      namePatterns: { experiment: "team-[a-z]+", run: /exp-\d+/i, model: "[a-z-]+" },
    });
    const { adapter } = made;
    const field = async (call: Promise<unknown>) => (await violationOf(call)).field;
    expect(await field(adapter.trackMlflowRun({ experimentName: "x" }, () => {}))).toBe(
      "experimentName",
    );
    expect(await field(adapter.trackMlflowRun({ ...run, runName: "exp-1b" }, () => {}))).toBe(
      "runName",
    );
    expect(await field(adapter.trackMlflowRun({ experimentName: "e" }, () => {}))).toBe("runName");
    await adapter.trackMlflowRun({ experimentName: "team-a", runName: "EXP-12" }, async () => {
      const client = new mlflow.MlflowClient();
      expect(await field(client.createRegisteredModel("Churn"))).toBe("modelName");
      await client.createRegisteredModel("churn");
    });
  });

  it("readOnly refuses whatever changes something, and lets reads and open runs' ends pass", async () => {
    const made = await under({ readOnly: true });
    const experimentId = (await mlflow.getExperimentByName("e"))?.experimentId as string;
    const client = new mlflow.MlflowClient();
    const open = await client.createRun(experimentId);
    made.adapter.instrumentFramework();
    try {
      expect((await violationOf(client.logMetric(open.info.runId, "m", 1))).reasonCode).toBe(
        "x_read_only",
      );
      expect((await violationOf(client.createRun(experimentId))).reasonCode).toBe("x_read_only");
      expect((await client.getRun(open.info.runId)).info.status).toBe("RUNNING");
      await client.setTerminated(open.info.runId);
    } finally {
      made.adapter.uninstrumentFramework();
    }
    expect((await client.getRun(open.info.runId)).info.status).toBe("FINISHED");
  });

  it("of one's own sees the request, and objects in its own words", async () => {
    const seen: PolicyRequest[] = [];
    const made = await under({
      custom: [
        {
          name: "no-secrets",
          operations: ["artifact-write", "create_run"],
          check(request) {
            seen.push(request);
            if (!request.artifactUri?.endsWith(".env")) return undefined;
            return { reason: "do not log secrets", reasonCode: "x_secret", field: "artifactUri" };
          },
        },
      ],
    });
    await made.adapter.trackMlflowRun({ ...run, tags: { a: "b" } }, async () => {
      await mlflow.logText("x", "a.txt");
      const error = await violationOf(mlflow.logText("x", ".env"));
      expect(error).toMatchObject({
        policy: "no-secrets",
        reasonCode: "x_secret",
        field: "artifactUri",
      });
      expect(error.message).toBe("do not log secrets");
    });
    expect(seen).toHaveLength(3);
    expect(seen[0]).toMatchObject({
      operation: "create_run",
      newName: "r",
      attributes: { team: "ml-team" },
    });
    expect(seen[1]).toMatchObject({
      operation: "log_artifact",
      sizeBytes: 1,
      runName: "r",
      tags: { a: "b" },
    });
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("broken");
      },
    ],
    ["waits", async () => "later"],
    ["answers a code that is none", () => ({ reason: "no", reasonCode: "Because" })],
  ])(
    "of one's own that %s does not stop the program: warned of once, and counted",
    async (_, check) => {
      const made = await under({ custom: [{ name: "broken", check: check as never }] });
      await made.adapter.trackMlflowRun(run, async () => {
        await mlflow.logMetric("m", 1);
        await mlflow.logMetric("m", 2);
      });
      expect(made.adapter.costAggregator.getSummary().totalCostExact).toBe("0.0003");
      expect(made.adapter.containedFailures).toBe(3);
      expect(made.warnings).toEqual([expect.stringContaining('policy "broken" threw')]);
    },
  );
});

describe("what a policy does", () => {
  it("is a warning where it is told so, once a run", async () => {
    const made = await under({
      requireAttributes: ["customerId"],
      namePatterns: { run: "exp-.*" },
      action: "warn",
      actions: { namePatterns: "block" },
    });
    await violationOf(made.adapter.trackMlflowRun(run, () => {}));
    await made.adapter.trackMlflowRun({ ...run, runName: "exp-1" }, async () => {
      await mlflow.logMetric("m", 1);
      await mlflow.logMetric("m", 2);
    });
    expect(
      made.decisions.map(({ result, policy, operation }) => [result, policy, operation]),
    ).toEqual([
      ["WARNING", "requireAttributes", "create_run"],
      ["BLOCKED", "namePatterns", "create_run"],
      ["WARNING", "requireAttributes", "create_run"],
      ["WARNING", "requireAttributes", "log_metric"],
      ["WARNING", "requireAttributes", "log_metric"],
    ]);
    // For the calls that make runs, and for the run that there is.
    expect(made.warnings).toHaveLength(2);
  });

  it("is told and not done in a dry run", async () => {
    const made = await under({ requireTags: ["owner"], readOnly: true, dryRun: true });
    await made.adapter.trackMlflowRun(run, () => {});
    expect((await newestRun()).info.status).toBe("FINISHED");
    expect(made.decisions.map(({ result, policy }) => [result, policy])).toEqual([
      ["WARNING", "readOnly"],
      ["WARNING", "requireTags"],
    ]);
    expect(made.decisions[1]?.reason).toMatch(
      /^dry run, nothing was refused: run "r" ends without/,
    );
  });
});

describe("a policy file", () => {
  async function file(name: string, text: string): Promise<string> {
    const path = join(await temporaryFolder(), name);
    await writeFile(path, text);
    return path;
  }

  it("holds policies, budgets and rate limits, in YAML", async () => {
    const policyFile = await file(
      "policies.yaml",
      "policies:\n  requireTags: [owner]\n  maxArtifactSizeMb: 5\nbudgetDailyLimit: 2\nbudgets:\n  - name: acme\n    limit: 1.5\n    period: month\n    action: block\n    scope: { customerId: acme }\n",
    );
    const made = await governed({ policyFile, policies: { allowedModels: ["churn"] } });
    expect(made.adapter.budgets.map(({ name, limit }) => [name, limit])).toEqual([
      ["daily", "2"],
      ["acme", "1.5"],
    ]);
    await violationOf(made.adapter.trackMlflowRun(run, () => {}));
  });

  it("is JSON too, and named by the environment", async () => {
    vi.stubEnv("GENOPS_POLICY_FILE", await file("p.json", '{"policies":{"readOnly":true}}'));
    const made = await governed();
    await violationOf(made.adapter.trackMlflowRun(run, () => {}));
  });

  it.each([
    ["policies:\n  requireTags: [owner\n", /:3:1: /],
    [
      '{"policies": {"maxArtifactSizeMb": "big"}}',
      /:1:36: policies\.maxArtifactSizeMb: "big" is no number/,
    ],
    [
      "policies:\n  requireTags:\n    - owner\n    - 5\n",
      /:4:7: policies\.requireTags\[1\]: 5 is not text/,
    ],
    [
      "policies:\n  requireTag: [owner]\n",
      /:2:3: policies: unknown option "requireTag"; did you mean "requireTags"/,
    ],
    [
      "budgets:\n  - name: b\n    limit: 1\n    period: year\n",
      /:4:13: budgets\[0\]\.period: "year" is none of/,
    ],
    ["budgets:\n  - name: b\n    limit: 1\n", /:2:5: budgets\[0\]\.period: undefined/],
    ["polices: {}\n", /:1:1: policy file: unknown option "polices"; did you mean "policies"/],
    ["- 1\n", /:1:1: give policies, budgets/],
    ["", /:1:1: there is nothing in it; give policies, budgets, .* or leave policyFile out/],
    ["# policies:\n#   readOnly: true\n", /there is nothing in it/],
    [
      "budgets:\n  - name: b\n    limit: 0.12345678901234567890\n    period: day\n",
      /:3:12: 0\.12345678901234567890 has more digits than a number keeps; write it as a text: "0\.12345678901234567890"/,
    ],
    [
      "budgets:\n  - limit: 1e30\n    period: day\n    name: b\n",
      /:2:12: .* more than a ledger can/,
    ],
    [
      // A few lines that would become a million when they are read.
      ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
        .concat(
          ["b", "c", "d", "e", "f"].map(
            (name, at) => `${name}: &${name} [${Array(9).fill(`*${"abcde"[at]}`)}]`,
          ),
        )
        .concat("policies: *f")
        .join("\n"),
      /:1:1: Excessive alias count/,
    ],
  ])("with %j is refused, with line and column", async (text, says) => {
    const policyFile = await file("p.yaml", text);
    const refusal = (await governed({ policyFile }).catch(
      (error: unknown) => error,
    )) as ConfigurationError;
    expect(refusal).toBeInstanceOf(ConfigurationError);
    expect(refusal.message).toMatch(says);
    expect(refusal.message).toContain(policyFile);
  });

  it("that is not there is refused, and so is a policy that is in two places", async () => {
    await expect(governed({ policyFile: "/no/such/file" })).rejects.toThrow(
      /policyFile: cannot read/,
    );
    const policyFile = await file("p.yaml", "policies: { readOnly: false }");
    const twice = governed({ policyFile, policies: { readOnly: true } });
    await expect(twice).rejects.toThrow(/policies\.readOnly: is in .*p\.yaml too/);
  });
});

describe("wrong policies", () => {
  it.each([
    ["policies", [], "no object of policies"],
    ["policies", null, "no object of policies"],
    ["requireTag", { requireTag: [] }, 'did you mean "requireTags"?'],
    ["policies.requireTags", { requireTags: "owner" }, "give a list"],
    ["policies.requireTags[0]", { requireTags: [""] }, "is not text"],
    ["policies.requireAttributes[0]", { requireAttributes: ["teams"] }, "none of team"],
    ["policies.maxArtifactSizeMb", { maxArtifactSizeMb: -1 }, "-1 is no number of MiB"],
    ["policies.stageTransitions", { stageTransitions: { Prod: [] } }, '"Prod" is none of None'],
    ["policies.stageTransitions.None[0]", { stageTransitions: { None: ["Prod"] } }, "none of"],
    ["policies.namePatterns.run", { namePatterns: { run: "(" } }, "Invalid regular expression"],
    ["policies.readOnly", { readOnly: "yes" }, "neither true nor false"],
    ["policies.action", { action: "deny" }, "none of warn, block"],
    ["policies.actions.readOnly", { actions: { readOnly: "deny" } }, "none of warn, block"],
    ["policies.custom[0].check", { custom: [{ name: "a", check: 1 }] }, "is no function"],
    ["policies.custom[0].name", { custom: [{ name: "readOnly", check() {} }] }, "a policy already"],
    [
      "policies.custom[0].operations[0]",
      { custom: [{ name: "a", check() {}, operations: ["log_metrik"] }] },
      'did you mean "log_metric"?',
    ],
  ])("%s is refused in %j", async (field, policies, says) => {
    const refusal = await governed({ policies: policies as PolicyOptions }).catch(
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(ConfigurationError);
    expect((refusal as ConfigurationError).field).toBe(field);
    expect((refusal as ConfigurationError).message).toContain(says);
  });

  it("of the environment are checked as those of the code", async () => {
    vi.stubEnv("GENOPS_POLICIES", '{"requireTags":[5]}');
    await expect(governed()).rejects.toThrow("GENOPS_POLICIES.requireTags[0]: 5 is not text");
    vi.stubEnv("GENOPS_POLICIES", '{"readOnly":true}');
    await violationOf((await governed()).adapter.trackMlflowRun(run, () => {}));
  });
});
