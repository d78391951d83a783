// `genops validate`: report, JSON, exit codes, colours on a terminal only, and no secret anywhere.
import { readdir } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { closedServer, temporaryFolder } from "../adapter/workplace.js";
import { mlflowLike } from "../validation/servers.js";
import { useCommandLine } from "./command-line.js";

const genops = useCommandLine();

const WHO_PAYS = { GENOPS_TEAM: "ml-team", GENOPS_PROJECT: "search", GENOPS_ENVIRONMENT: "test" };
// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is looked for.
const COLOUR = /\u001b/;

describe("a set-up that works", () => {
  it("is ready: exit code 0, every check by name, nothing left behind", async () => {
    const cwd = await temporaryFolder();
    const { code, stdout, stderr } = await genops.run(["validate"], cwd, WHO_PAYS);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = stdout.split("\n");
    expect(lines[0]).toBe("✓ PASSED - You're ready to use MLflow with GenOps!");
    for (const area of [
      "Dependencies",
      "Configuration",
      "Connectivity",
      "Governance",
      "Telemetry",
    ]) {
      expect(lines).toContain(`${area}:`);
    }
    expect(stdout).toContain("✓ artifact store   52 bytes were written, read back and deleted");
    expect(stdout).toContain("costs\n                     0.000400007311503092 USD, as it must");
    expect(stdout).toContain("conform to GenOps v0.1.0");
    expect(stdout).not.toMatch(COLOUR);
    for (const line of lines) expect([...line].length).toBeLessThanOrEqual(80);
    expect(await readdir(cwd)).toEqual([]);
  });

  it("is told as one JSON document, and warnings fail only with --strict", async () => {
    const cwd = await temporaryFolder();
    const quick = ["validate", "--json", "--no-governance", "--read-only"];
    const lax = await genops.run(quick, cwd);
    expect(lax).toMatchObject({ code: 0, stderr: "" });
    const result = JSON.parse(lax.stdout);
    expect(result).toMatchObject({ passed: true, isValid: true });
    expect(result.issues[0]).toMatchObject({ code: "TEAM_MISSING", severity: "warning" });
    expect((await genops.run([...quick, "--strict"], cwd)).code).toBe(1);
    expect((await genops.run([...quick, "--strict"], cwd, WHO_PAYS)).code).toBe(0);
  });
});

describe("a set-up that does not work", () => {
  it("names the package that its artifacts need, with the command that installs it", async () => {
    const { uri, requests } = await mlflowLike("s3://bucket/root");
    const cwd = await temporaryFolder();
    // Bundled into a folder of its own, the command line finds no optional package.
    const args = ["validate", "--no-governance", "--tracking-uri", uri];
    const otel = { OTEL_EXPORTER_OTLP_ENDPOINT: await closedServer() };
    const { code, stdout } = await genops.run([...args, "--json"], cwd, { ...WHO_PAYS, ...otel });
    expect(code).toBe(1);
    const { issues, dependencies } = JSON.parse(stdout);
    expect(issues.map(({ code: name, severity, fix }: never) => [name, severity, fix])).toEqual(
      expect.arrayContaining([
        ["PACKAGE_MISSING", "error", "npm install @aws-sdk/client-s3"],
        [
          "PACKAGE_MISSING",
          "error",
          expect.stringMatching(/^npm install .*@opentelemetry\/exporter-trace-otlp-proto$/),
        ],
      ]),
    );
    expect(dependencies["@aws-sdk/client-s3"]).toEqual({
      supported: ">=3.729.0 <4",
      needed: true,
    });
    expect(requests.map(({ path }) => path)).toContain("/api/2.0/mlflow/experiments/delete");
  });

  it("fails with exit code 1 and says how to mend it, in colour when asked", async () => {
    const uri = await closedServer();
    const cwd = await temporaryFolder();
    const args = ["validate", "--no-governance", "--tracking-uri", uri, "--color"];
    const { code, stdout } = await genops.run(args, cwd, WHO_PAYS);
    expect(code).toBe(1);
    expect(stdout).toMatch(COLOUR);
    expect(stdout).toContain("✗ FAILED - 1 error");
    expect(stdout).toContain(`mlflow server --host 127.0.0.1 --port ${new URL(uri).port}`);
  });

  it("shows no secret, whoever holds it", async () => {
    const secrets = ["uri-pass-word", "pass-word-1", "token-1", "otlp-key-1", "aws-secret-1"];
    const uri = (await closedServer()).replace("://", `://ada:${secrets[0]}@`);
    const env = {
      ...WHO_PAYS,
      MLFLOW_TRACKING_URI: uri,
      MLFLOW_TRACKING_USERNAME: "ada",
      MLFLOW_TRACKING_PASSWORD: secrets[1],
      MLFLOW_TRACKING_TOKEN: secrets[2],
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://me:${secrets[0]}@127.0.0.1:9`,
      OTEL_EXPORTER_OTLP_HEADERS: `api-key=${secrets[3]}`,
      AWS_SECRET_ACCESS_KEY: secrets[4],
      // Somebody has pasted it where it does not belong.
      GENOPS_SAMPLING_RATE: secrets[4],
    };
    const cwd = await temporaryFolder();
    for (const format of [[], ["--json"]]) {
      const { code, stdout, stderr } = await genops.run(["validate", ...format], cwd, env);
      expect(code).toBe(1);
      expect(stdout).toContain("TRACKING_SERVER_DOWN");
      expect(stdout).toContain("(hidden)");
      for (const secret of secrets) expect(stdout + stderr).not.toContain(secret);
    }
  });
});

describe("wrong use", () => {
  it.each([
    [["--jsn"], "Did you mean --json?"],
    [["--timeout", "soon"], "Give a number of seconds from 0.1 to 600."],
    [["--readonly"], "Did you mean --read-only?"],
    [["surplus"], "too many arguments"],
  ])("%j is refused with exit code 2", async (args, words) => {
    const { code, stdout, stderr } = await genops.run(
      ["validate", ...args],
      await temporaryFolder(),
    );
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(words);
  });
});
