// Wrong use and failures: one line that names the field, the value and the fix, and the right exit code.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { VERSION } from "../../src/version.js";
import { closedServer, temporaryFolder } from "../adapter/workplace.js";
import { useCommandLine } from "./command-line.js";

const genops = useCommandLine();

async function refused(code: number, ...args: string[]): Promise<string> {
  const finished = await genops.run(args, await temporaryFolder());
  expect(finished).toMatchObject({ code, stdout: "" });
  expect(finished.stderr).toMatch(/^genops: [^\n]+\n$/);
  return finished.stderr;
}

describe("help", () => {
  it("is printed when asked for, and without a command", async () => {
    const cwd = await temporaryFolder();
    for (const args of [["--help"], ["help"], []]) {
      const { code, stdout, stderr } = await genops.run(args, cwd);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(/^Usage: genops /);
      expect(stdout).toContain("demo");
    }
    const { stdout } = await genops.run(["demo", "--help"], cwd);
    for (const option of ["--tracking-uri", "--json", "--price-artifacts-as", "--epochs"]) {
      expect(stdout).toContain(option);
    }
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it("tells the version", async () => {
    const finished = await genops.run(["--version"], await temporaryFolder());
    expect(finished).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: "" });
  });
});

describe("wrong use", () => {
  it("names the nearest command and option", async () => {
    expect(await refused(2, "dmeo")).toContain("Did you mean demo?");
    expect(await refused(2, "demo", "--epoch", "3")).toContain("Did you mean --epochs?");
    expect(await refused(2, "demo", "--trackinguri", "x")).toContain("Did you mean --tracking-uri");
    expect(await refused(2, "demo", "--price-artifacts-as", "S3x")).toContain("(Did you mean s3?)");
    expect(await refused(2, "demo", "surplus")).toContain("too many arguments");
  });

  it.each([
    ["--epochs", "0", "a whole number from 1 to 1000"],
    ["--epochs", "1001", "a whole number from 1 to 1000"],
    ["--epochs", "2.5", "a whole number from 1 to 1000"],
    ["--epochs", "many", "a whole number from 1 to 1000"],
    ["--seed", "-1", "a whole number from 0 to 4294967295"],
    ["--seed", "4294967296", "a whole number from 0 to 4294967295"],
    ["--learning-rates", "0.1,fast", "numbers above 0 up to 100"],
    ["--learning-rates", "0", "numbers above 0 up to 100"],
    ["--learning-rates", "100.1", "numbers above 0 up to 100"],
    ["--learning-rates", "NaN", "numbers above 0 up to 100"],
    ["--learning-rates", "0.1,,1", "numbers above 0 up to 100"],
    ["--learning-rates", "0.1,0.10", "Give 0.1 once."],
    ["--learning-rates", Array.from({ length: 17 }, (_, i) => i + 1).join(","), "at most 16"],
    ["--tracking-uri", "", "a folder, or the address of an MLflow server"],
    ["--tracking-uri", "sqlite:///mlflow.db", "start a server in front of the database"],
  ])("refuses %s %j", async (option, value, fix) => {
    const line = await refused(2, "demo", option, value);
    expect(line).toContain(option);
    expect(line).toContain(fix);
    if (value !== "") expect(line).toContain(value);
  });

  it("shows no password", async () => {
    const uri = "postgresql://me:secret@db/mlflow";
    expect(await refused(2, "demo", "--tracking-uri", uri)).not.toContain("secret");
  });
});

describe("failures", () => {
  it("says that a server cannot be reached, and where", async () => {
    const uri = await closedServer();
    expect(await refused(1, "demo", "--tracking-uri", uri)).toContain(
      `No MLflow server answers at ${uri}`,
    );
    expect(await refused(1, "demo", "--json", "--tracking-uri", uri)).toContain(uri);
  });

  it("says that a folder cannot be written, and why", async () => {
    const file = join(await temporaryFolder(), "notes.txt");
    await writeFile(file, "");
    for (const folder of [file, join(file, "mlruns")]) {
      const line = await refused(1, "demo", "--tracking-uri", folder);
      expect(line).toContain(`cannot write to the folder '${folder}'`);
      expect(line).toContain("choose one that you may write to");
    }
  });
});
