// What every store promises of the search of runs: the server's own answers.
import { describe, expect, it } from "vitest";
import * as spec from "../../../src/mlflow/spec.js";
import {
  ask,
  codeOf,
  codesOf,
  contract,
  INVALID,
  NO_EXPERIMENT,
  newExperiment,
  newRun,
  plain,
} from "./asking.js";

contract(() => {
  describe("search of runs", () => {
    /**
     * Runs a to f, and x which is deleted, oldest first: f, a, b, then c and d at the same moment.
     * c's accuracy is not a number, f's is infinite, d has none.
     */
    async function sixRuns() {
      const experiment_id = await newExperiment("search");
      const label = new Map<string, string>();
      const idOf = new Map<string, string>();
      const add = async (
        name: string,
        start_time: number,
        user_id: string,
        batch: {
          metrics?: Record<string, number | string>;
          params?: Record<string, string>;
          tags?: Record<string, string>;
        },
        end?: readonly [status: string, end_time: number],
      ) => {
        const run_id = await newRun({ experiment_id, run_name: name, start_time, user_id });
        label.set(run_id, name);
        idOf.set(name, run_id);
        const pairs = (record: Record<string, string> = {}) =>
          Object.entries(record).map(([key, value]) => ({ key, value }));
        const metrics = Object.entries(batch.metrics ?? {}).map(([key, value]) => ({
          key,
          value,
          timestamp: 1,
          step: 0,
        }));
        const { params, tags } = batch;
        await ask(spec.logBatch, { run_id, metrics, params: pairs(params), tags: pairs(tags) });
        if (end === undefined) return;
        await ask(spec.updateRun, { run_id, status: end[0], end_time: end[1] });
      };
      await add(
        "a",
        1000,
        "ada",
        {
          metrics: { acc: 0.5, "odd key/x.y": 1 },
          params: { lr: "0.1", opt: "Adam", "p q": "1" },
          tags: { team: "Search", "a.b/c d": "x", num: "10" },
        },
        ["FINISHED", 1500],
      );
      await add(
        "b",
        2000,
        "bob",
        {
          metrics: { acc: 0.75 },
          params: { lr: "0.01", opt: "sgd" },
          tags: { team: "search" },
        },
        ["FAILED", 2500],
      );
      const third = { metrics: { acc: "NaN" }, params: { lr: "0.1" }, tags: { team: "it's" } };
      await add("c", 3000, "ada", third);
      await add("d", 3000, "ada", { params: { opt: "ADAM" } });
      await add("f", 500, "ada", { metrics: { acc: "Infinity" } });
      await add("x", 4000, "ada", { metrics: { acc: 0.9 } });
      await ask(spec.deleteRun, { run_id: idOf.get("x") as string });
      /** c and d began at the same moment: the smaller id comes first, whatever the order. */
      const tie =
        (idOf.get("c") as string) < (idOf.get("d") as string)
          ? (labels: string) => labels
          : (labels: string) => labels.replace("cd", "dc");
      const search = async (request: {
        filter?: string;
        order_by?: string[];
        run_view_type?: string;
      }) => {
        const { runs = [] } = await ask(spec.searchRuns, {
          experiment_ids: [experiment_id],
          max_results: 100,
          ...request,
        });
        return runs.map(({ info }) => label.get(info?.run_id as string) ?? "?").join("");
      };
      return { experiment_id, idOf, search, tie };
    }

    async function expectFound(
      search: (request: { filter?: string; order_by?: string[] }) => Promise<string>,
      expected: Readonly<Record<string, string>>,
      tie: (labels: string) => string,
    ): Promise<void> {
      const found: Record<string, string> = {};
      const wanted: Record<string, string> = {};
      for (const [filter, labels] of Object.entries(expected)) {
        found[filter] = await search({ filter });
        wanted[filter] = tie(labels);
      }
      expect(found).toEqual(wanted);
    }

    it("compares metrics", async () => {
      const { search, tie } = await sixRuns();
      await expectFound(
        search,
        {
          "metrics.acc > 0.5": "bf",
          "metrics.acc >= 0.5": "baf",
          "metrics.acc < 0.75": "a",
          "metrics.acc <= 0.75": "ba",
          "metrics.acc = 0.5": "a",
          "metrics.acc != 0.5": "cbf",
          "metric.acc > 0.5": "bf",
          "metrics.acc > 5e-1": "bf",
          "metrics.acc > .5": "bf",
          "metrics.acc > -.5": "baf",
          "metrics.acc > 5.0E-1": "bf",
          "metrics.acc >= 1.": "f",
          "metrics.acc > -1": "baf",
          "metrics.acc > 1e308": "f",
          "metrics.nope > 0": "",
          "  metrics.acc   >   0.5  ": "bf",
          "metrics.`odd key/x.y` = 1": "a",
          'metrics."odd key/x.y" = 1': "a",
        },
        tie,
      );
    });

    it("compares params", async () => {
      const { search, tie } = await sixRuns();
      await expectFound(
        search,
        {
          "params.opt = 'Adam'": "a",
          'params.opt = "sgd"': "b",
          "params.Opt = 'Adam'": "",
          "params.opt = ''": "",
          "params.opt != 'Adam'": "db",
          "params.opt LIKE 'A%'": "da",
          "params.opt LIKE 'a%'": "",
          "params.opt ILIKE 'a%'": "da",
          "params.opt ILIKE '%D%'": "dba",
          "params.opt LIKE '_gd'": "b",
          "params.opt LIKE 'Ad.m'": "",
          "params.opt IS NULL": "cf",
          "params.opt is null": "cf",
          "params.opt IS NOT NULL": "dba",
          "params.nope IS NULL": "cdbaf",
          "params.`p q` = '1'": "a",
          "param.opt = 'sgd'": "b",
          "parameter.opt = 'sgd'": "b",
          "parameters.opt='sgd'": "b",
        },
        tie,
      );
    });

    it("compares tags", async () => {
      const { search, tie } = await sixRuns();
      await expectFound(
        search,
        {
          "tags.team = 'search'": "b",
          "tag.team = 'search'": "b",
          "tags.team != 'search'": "ca",
          "tags.team LIKE 'S%'": "a",
          "tags.team ILIKE 'SEARCH'": "ba",
          'tags.team = "it\'s"': "c",
          "tags.team IS NULL": "df",
          "tags.team IS NOT NULL": "cba",
          "tags.num = '10'": "a",
          "tags.`a.b/c d` = 'x'": "a",
          "tags.\"a.b/c d\" = 'x'": "a",
          "tags.mlflow.runName = 'a'": "a",
          "tags.`mlflow.runName` = 'a'": "a",
        },
        tie,
      );
    });

    it("compares attributes", async () => {
      const { search, tie, idOf } = await sixRuns();
      const [a, b] = [idOf.get("a"), idOf.get("b")];
      await expectFound(
        search,
        {
          "attributes.status = 'FINISHED'": "a",
          "attribute.status = 'RUNNING'": "cdf",
          "attr.status='RUNNING'": "cdf",
          "run.status = 'RUNNING'": "cdf",
          "status != 'FINISHED'": "cdbf",
          "status = 'finished'": "",
          "status LIKE 'F%'": "ba",
          "run_name = 'a'": "a",
          "run_name != 'a'": "cdbf",
          "run_name ILIKE 'A'": "a",
          "attributes.`run name` = 'a'": "a",
          "attributes.`Run name` = 'a'": "a",
          "user_id = 'bob'": "b",
          "start_time > 1000": "cdb",
          "attributes.start_time >= 1000": "cdba",
          "start_time = 3000": "cd",
          "start_time != 3000": "baf",
          "start_time <= 1000 and start_time > 500": "a",
          "created > 1000": "cdb",
          "end_time > 0": "ba",
          "end_time < 2000": "a",
          "artifact_uri LIKE '%artifacts'": "cdbaf",
          [`run_id = '${a}'`]: "a",
          [`attributes.run_id IN ('${a}', '${b}')`]: "ba",
          [`run_id NOT IN ('${a}')`]: "cdbf",
        },
        tie,
      );
    });

    it("joins comparisons with and", async () => {
      const { search, tie } = await sixRuns();
      await expectFound(
        search,
        {
          "": "cdbaf",
          "metrics.acc > 0.5 AND params.lr = '0.01'": "b",
          "metrics.acc > 0.1 and params.lr='0.1' and tags.team='Search' and status = 'FINISHED'":
            "a",
          "params.opt LIKE 'A%' and params.opt LIKE '%m'": "a",
          "metrics.acc > 0.1 and metrics.acc < 0.6": "a",
          "metrics.acc > 0.5 and metrics.nope > 1": "",
        },
        tie,
      );
    });

    it("refuses what it does not understand", async () => {
      const { search } = await sixRuns();
      const filters = [
        "garbage",
        "metrics.acc",
        "metrics.acc >",
        "= 3",
        "metrics.acc == 0.5",
        "metrics.acc ~ 3",
        "metrics.acc > 'a'",
        "metrics.acc > +1",
        "metrics.acc > 1e+3",
        "metrics.acc > 1.e3",
        "metrics.acc > .5e1",
        "metrics.acc LIKE 1",
        "metrics.acc IN (0.5)",
        "metrics.acc IS NULL",
        "METRICS.acc > 0.5",
        "metrics.acc > 0.5 OR params.lr = '0.1'",
        "(metrics.acc > 0.5)",
        "params.lr > '0.01'",
        "params.lr = 0.1",
        "params.opt = Adam",
        "params.opt IN ('Adam', 'sgd')",
        "tags.num > '1'",
        "tags.team IN ('search')",
        "tags.team = 'search' ; drop",
        "start_time > '1000'",
        "end_time IS NULL",
        "status IN ('FAILED')",
        "attributes.nope = 'x'",
        "attributes.lifecycle_stage = 'active'",
        "attributes.experiment_id = '1'",
        "nope = 'x'",
        "nope.x = 'x'",
      ];
      for (const filter of filters) {
        expect([filter, await codeOf(search({ filter }))]).toEqual([filter, INVALID]);
      }
      for (const order of [
        "",
        "nope",
        "attributes.nope",
        "experiment_id",
        "metrics.acc UP",
        "metrics.acc ASC DESC",
        "metrics.acc, params.lr",
        "attributes.`run name`",
      ]) {
        const code = await codeOf(search({ order_by: [order] }));
        expect([order, code]).toEqual([order, INVALID]);
      }
    });

    it("compares the datasets that runs used", async () => {
      const experiment_id = await newExperiment("datasets");
      const label = new Map<string, string>();
      const uses: Readonly<Record<string, readonly (readonly string[])[]>> = {
        a: [["wine", "d1", "training"]],
        b: [
          ["wine", "d2", "evaluation"],
          ["beer", "d3", "training"],
        ],
        c: [["Tea", "d4"]],
        d: [],
      };
      for (const [name, datasets] of Object.entries(uses)) {
        const run_id = await newRun({ experiment_id, run_name: name });
        label.set(run_id, name);
        await ask(spec.logInputs, {
          run_id,
          models: [],
          datasets: datasets.map(([dataset = "", digest = "", context]) => ({
            dataset: { name: dataset, digest, source_type: "local", source: "{}" },
            tags: context === undefined ? [] : [{ key: "mlflow.data.context", value: context }],
          })),
        });
      }
      const search = async (filter: string) => {
        const { runs = [] } = await ask(spec.searchRuns, {
          experiment_ids: [experiment_id],
          filter,
        });
        return runs.map(({ info }) => label.get(info?.run_id ?? "")).sort();
      };
      const found: Readonly<Record<string, string>> = {
        "dataset.name = 'wine'": "ab",
        "datasets.name = 'beer'": "b",
        "dataset.digest = 'd2'": "b",
        "dataset.context = 'training'": "ab",
        "dataset.name = 'wine' AND dataset.context = 'training'": "ab",
        "dataset.name != 'wine'": "bc",
        "dataset.context != 'training'": "b",
        "dataset.name LIKE 'w%'": "ab",
        "dataset.name ILIKE 'tea'": "c",
        "dataset.digest IN ('d1', 'd4')": "ac",
        "dataset.`name` = 'none'": "",
      };
      for (const [filter, runs] of Object.entries(found)) {
        expect([filter, (await search(filter)).join("")]).toEqual([filter, runs]);
      }
      for (const filter of [
        "dataset.source = 'x'",
        "dataset.name > 'a'",
        "dataset.name = 3",
        "dataset.name IS NULL",
      ]) {
        expect([filter, await codeOf(search(filter))]).toEqual([filter, INVALID]);
      }
      const request = { experiment_ids: [experiment_id], order_by: ["dataset.name"] };
      expect(await codeOf(ask(spec.searchRuns, request))).toBe(INVALID);
    });

    it("orders runs, those without a value last", async () => {
      const { search, tie } = await sixRuns();
      const orders: (readonly [string[], string])[] = [
        [[], "cdbaf"],
        [["metrics.acc"], "abfcd"],
        [["metrics.acc ASC"], "abfcd"],
        [["metrics.acc DESC"], "fbacd"],
        [["metric.acc desc"], "fbacd"],
        [["metrics.nope"], "cdbaf"],
        [["metrics.`odd key/x.y` DESC"], "acdbf"],
        [["params.lr"], "bcadf"],
        [["params.lr DESC"], "cabdf"],
        [["params.`p q`"], "acdbf"],
        [["tags.team"], "acbdf"],
        [["tags.team DESC"], "bcadf"],
        [["start_time"], "fabcd"],
        [["attributes.start_time ASC"], "fabcd"],
        [["start_time DESC"], "cdbaf"],
        [["created DESC"], "cdbaf"],
        [["end_time"], "abcdf"],
        [["end_time DESC"], "bacdf"],
        [["status"], "bacdf"],
        [["status DESC"], "cdfab"],
        [["run_name DESC"], "fdcba"],
        [["user_id", "start_time DESC"], "cdafb"],
        [["user_id DESC", "start_time"], "bfacd"],
      ];
      const found: string[] = [];
      const wanted: string[] = [];
      for (const [order_by, labels] of orders) {
        found.push(`${order_by}: ${await search({ order_by })}`);
        // Only these orders tell c and d apart: by accuracy (not a number, none) and by name.
        const apart = /^metrics?\.acc|^run_name/.test(order_by[0] ?? "");
        wanted.push(`${order_by}: ${apart ? labels : tie(labels)}`);
      }
      expect(found).toEqual(wanted);
    });

    it("shows the active ones, the deleted ones, or all", async () => {
      const { search, tie } = await sixRuns();
      const views: Record<string, string> = {
        ACTIVE_ONLY: "cdbaf",
        DELETED_ONLY: "x",
        ALL: "xcdbaf",
      };
      for (const [run_view_type, labels] of Object.entries(views)) {
        expect([run_view_type, await search({ run_view_type })]).toEqual([
          run_view_type,
          tie(labels),
        ]);
      }
    });

    it("comes page after page, and every run whole", async () => {
      const { experiment_id } = await sixRuns();
      const request = { experiment_ids: [experiment_id], filter: "start_time > 0" };
      const sizes: number[] = [];
      const ids: string[] = [];
      let page_token: string | undefined;
      do {
        const page = await ask(spec.searchRuns, { ...request, max_results: 2, page_token });
        sizes.push(page.runs?.length ?? 0);
        for (const run of page.runs ?? []) {
          const run_id = run.info?.run_id as string;
          ids.push(run_id);
          expect(plain({ run })).toEqual(plain(await ask(spec.getRun, { run_id })));
        }
        page_token = page.next_page_token;
      } while (page_token !== undefined);
      expect(sizes).toEqual([2, 2, 1]);
      const whole = await ask(spec.searchRuns, { ...request, max_results: 5 });
      expect(whole.runs?.map(({ info }) => info?.run_id)).toEqual(ids);
      expect(whole).not.toHaveProperty("next_page_token");
    });

    it("looks into the experiments it is told, each once", async () => {
      const [one, two] = [await newExperiment(), await newExperiment()];
      const inOne = await newRun({ experiment_id: one, start_time: 1 });
      const inTwo = await newRun({ experiment_id: two, start_time: 2 });
      const idsIn = async (...experiment_ids: string[]) => {
        const { runs = [] } = await ask(spec.searchRuns, { experiment_ids });
        return runs.map(({ info }) => info?.run_id);
      };
      expect(await idsIn(one, two)).toEqual([inTwo, inOne]);
      expect(await idsIn(one, one)).toEqual([inOne]);
      expect(await ask(spec.searchRuns, { experiment_ids: [] })).toEqual({});
      expect(await ask(spec.searchRuns, { experiment_ids: [NO_EXPERIMENT] })).toEqual({});
    });

    it("finds the runs of a deleted experiment only among the deleted", async () => {
      const experiment_id = await newExperiment();
      await newRun({ experiment_id });
      await ask(spec.deleteExperiment, { experiment_id });
      const found = async (run_view_type: string) =>
        (await ask(spec.searchRuns, { experiment_ids: [experiment_id], run_view_type })).runs
          ?.length ?? 0;
      expect([await found("ACTIVE_ONLY"), await found("DELETED_ONLY")]).toEqual([0, 1]);
    });

    it("has pages of 1 to 50000, and tokens of its own", async () => {
      const experiment_ids = [await newExperiment()];
      const search = (more: { max_results?: number; page_token?: string }) => () =>
        ask(spec.searchRuns, { experiment_ids, ...more });
      expect(
        await codesOf({
          "0": search({ max_results: 0 }),
          "-1": search({ max_results: -1 }),
          "50001": search({ max_results: 50_001 }),
          "no base64": search({ page_token: "zzz" }),
          "no JSON": search({ page_token: "!!!" }),
          "no offset": search({ page_token: btoa("{}") }),
        }),
      ).toEqual({
        "0": INVALID,
        "-1": INVALID,
        "50001": INVALID,
        "no base64": INVALID,
        "no JSON": INVALID,
        "no offset": INVALID,
      });
      expect(await search({ max_results: 50_000, page_token: "" })()).toEqual({});
    });
  });
});
