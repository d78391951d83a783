// What every store promises of lists of artifacts: the server's own answers.
import { describe, expect, it } from "vitest";
import * as mlflow from "../../../src/mlflow/node.js";
import * as spec from "../../../src/mlflow/spec.js";
import { ask, codeOf, contract, INVALID, newRun, plain } from "./asking.js";

contract(() => {
  describe("artifacts", () => {
    async function filled() {
      const run_id = await newRun();
      const client = new mlflow.MlflowClient();
      const write = (path: string, text: string) => client.logText(run_id, text, path);
      await write("b.txt", "hello");
      await write("a b.bin", "");
      await write("dir/ü.txt", "größe");
      await write("dir/sub/deep.txt", "x");
      const { run } = await ask(spec.getRun, { run_id });
      const root_uri = run?.info?.artifact_uri;
      const list = async (path?: string) => plain(await ask(spec.listArtifacts, { run_id, path }));
      return { root_uri, list, run_id };
    }

    it("are listed folder by folder", async () => {
      const { root_uri, list } = await filled();
      expect(await list()).toEqual({
        root_uri,
        files: [
          // No size means 0.
          { path: "a b.bin", is_dir: false },
          { path: "b.txt", is_dir: false, file_size: 5 },
          { path: "dir", is_dir: true },
        ],
      });
      const inside = {
        root_uri,
        files: [
          { path: "dir/sub", is_dir: true },
          { path: "dir/ü.txt", is_dir: false, file_size: 7 },
        ],
      };
      expect(await list("dir")).toEqual(inside);
      expect(await list("dir/")).toEqual(inside);
      expect(await list("dir/sub")).toEqual({
        root_uri,
        files: [{ path: "dir/sub/deep.txt", is_dir: false, file_size: 1 }],
      });
    });

    it("are listed in the order of their names", async () => {
      const { run_id } = await filled();
      const { files = [] } = await ask(spec.listArtifacts, { run_id });
      expect(files.map(({ path }) => path)).toEqual(["a b.bin", "b.txt", "dir"]);
    });

    it("may begin with dots, as in Python, while their folders may not", async () => {
      const runId = await newRun();
      const client = new mlflow.MlflowClient();
      const names = ["...", "..x", ".hidden", "a/..x"];
      for (const name of names) await client.logText(runId, name, name);
      const found = (await client.listArtifacts(runId)).map(({ path }) => path);
      expect(found).toEqual(["...", "..x", ".hidden", "a"]);
      for (const artifactPath of names) {
        expect(await mlflow.artifacts.loadText({ runId, artifactPath })).toBe(artifactPath);
      }
      expect(await codeOf(client.logText(runId, "x", "..x/a"))).toEqual(INVALID);
    });

    it("that are not there, or no folder, hold nothing", async () => {
      const { root_uri, list } = await filled();
      expect(await list("none")).toEqual({ root_uri });
      expect(await list("b.txt")).toEqual({ root_uri });
    });

    it("outside the run are not listed", async () => {
      const { run_id } = await filled();
      for (const path of ["..", "../x", "dir/../../x", "/etc", "%2e%2e/x", "a#b"]) {
        const code = await codeOf(ask(spec.listArtifacts, { run_id, path }));
        expect([path, code]).toEqual([path, INVALID]);
      }
    });
  });
});
