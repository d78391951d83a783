// Requests become operations: every route of the table, every spelling of it, and whatever else comes.
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createEngine, type Engine } from "../../src/engine/index.js";
import { bare } from "./bare.js";

const engine = createEngine({ runs: 1 });

function nameOf(method: string, path: string, on: Engine = engine): string | undefined {
  return on.operations[on.classify(method, path)]?.name;
}

const METHODS: Readonly<Record<string, string>> = {
  G: "GET",
  P: "POST",
  U: "PUT",
  A: "PATCH",
  D: "DELETE",
};

const BASES: Readonly<Record<string, readonly string[]>> = {
  "2": ["/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/"],
  "3": ["/api/3.0/mlflow/", "/ajax-api/3.0/mlflow/"],
  A: ["/api/2.0/mlflow-artifacts/", "/ajax-api/2.0/mlflow-artifacts/"],
  "/": ["/"],
};

interface Route {
  readonly method: string;
  readonly path: string;
  readonly name: string;
  readonly class: string;
}

/** Every line of the table read by other means: a method and a full path with its placeholders. */
function readTable(): Route[] {
  const source = readFileSync(new URL("../../assembly/operations.ts", import.meta.url), "utf8");
  const table = /TABLE: usize = ascii\(`([^`]*)`/.exec(source)?.[1] ?? "";
  const routes: Route[] = [];
  let group = "";
  let base: readonly string[] = [];
  let prefix = "";
  for (const line of table.trim().split("\n")) {
    const [first = "", second = "", name = ""] = line.split(" ");
    if (first.startsWith("#")) group = first.slice(1);
    else if (first.startsWith(">")) {
      base = BASES[first.slice(1)] ?? [];
      prefix = second === "-" ? "" : second.replace(/\/?$/, "/");
    } else {
      for (const letter of first) {
        for (const start of base) {
          const path = `${start}${prefix}${second === "-" ? "" : second}`;
          const method = METHODS[letter] ?? "";
          routes.push({
            method,
            path: path.length > 1 ? path.replace(/\/$/, "") : path,
            name,
            class: group,
          });
        }
      }
    }
  }
  return routes;
}

const ROUTES = readTable();

describe("the table", () => {
  it("is read whole", () => {
    expect(ROUTES.length).toBeGreaterThan(350);
    expect(new Set(ROUTES.map(({ method, path }) => `${method} ${path}`)).size).toBe(ROUTES.length);
  });

  it("classifies every route of it, with any segment in the place of a parameter", () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9_.~%-]{1,40}$/);
    fc.assert(
      fc.property(segment, segment, (id, file) => {
        for (const { method, path, name } of ROUTES) {
          const asked = path.replaceAll("{}", `~${id}`).replace("{*}", `~${id}/${file}`);
          expect(nameOf(method, asked), `${method} ${asked}`).toBe(name);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("gives every operation the class of its first line", () => {
    const first = new Map([...ROUTES].reverse().map((route) => [route.name, route.class]));
    for (const operation of engine.operations.slice(2)) {
      expect(operation.class, operation.name).toBe(first.get(operation.name));
    }
  });

  it("has no other operations than those of its routes, and two for the rest", () => {
    const named = new Set(ROUTES.map(({ name }) => name));
    const others = engine.operations.filter(({ name }) => !named.has(name));
    expect(others.map(({ name }) => name)).toEqual(["unknown_write", "unknown_read"]);
  });
});

describe("the operations that cost", () => {
  it.each([
    ["POST", "2.0/mlflow/runs/create", "create_run", "run-lifecycle", "0.0001", true],
    ["POST", "2.0/mlflow/runs/update", "update_run", "run-lifecycle", "0", false],
    ["POST", "2.0/mlflow/runs/delete", "delete_run", "run-lifecycle", "0.0001", true],
    ["POST", "2.0/mlflow/runs/log-metric", "log_metric", "tracking-write", "0.0001", true],
    ["POST", "2.0/mlflow/runs/log-parameter", "log_param", "tracking-write", "0.0001", true],
    ["POST", "2.0/mlflow/runs/log-batch", "log_batch", "tracking-write", "0.0001", true],
    ["POST", "2.0/mlflow/runs/set-tag", "set_tag", "tracking-write", "0.0001", true],
    ["POST", "2.0/mlflow/runs/delete-tag", "delete_tag", "tracking-write", "0.0001", true],
    ["POST", "2.0/mlflow/runs/log-inputs", "log_inputs", "tracking-write", "0.0001", true],
    ["POST", "2.0/mlflow/runs/outputs", "log_outputs", "model-log", "0", true],
    ["POST", "2.0/mlflow/runs/log-model", "record_logged_model", "model-log", "0", true],
    ["GET", "2.0/mlflow/runs/get", "get_run", "tracking-read", "0", false],
    ["POST", "2.0/mlflow/runs/search", "search_runs", "tracking-read", "0", false],
    [
      "POST",
      "2.0/mlflow/experiments/create",
      "create_experiment",
      "experiment-write",
      "0.0001",
      true,
    ],
    [
      "GET",
      "2.0/mlflow/experiments/get-by-name",
      "get_experiment_by_name",
      "tracking-read",
      "0",
      false,
    ],
    [
      "PUT",
      "2.0/mlflow-artifacts/artifacts/1/r/artifacts/a.txt",
      "log_artifact",
      "artifact-write",
      "0",
      true,
    ],
    [
      "GET",
      "2.0/mlflow-artifacts/artifacts/1/r/artifacts/a.txt",
      "download_artifact",
      "artifact-read",
      "0",
      false,
    ],
    ["GET", "2.0/mlflow-artifacts/artifacts", "list_artifacts", "artifact-read", "0", false],
    [
      "POST",
      "2.0/mlflow/registered-models/create",
      "create_registered_model",
      "registry-write",
      "0",
      true,
    ],
    [
      "POST",
      "2.0/mlflow/model-versions/create",
      "create_model_version",
      "registry-write",
      "0.0005",
      true,
    ],
    [
      "POST",
      "2.0/mlflow/model-versions/transition-stage",
      "transition_model_version_stage",
      "registry-write",
      "0.0005",
      true,
    ],
    [
      "POST",
      "2.0/mlflow/registered-models/alias",
      "set_registered_model_alias",
      "registry-write",
      "0.0005",
      true,
    ],
    [
      "DELETE",
      "2.0/mlflow/registered-models/alias",
      "delete_registered_model_alias",
      "registry-write",
      "0.0005",
      true,
    ],
    [
      "POST",
      "2.0/mlflow/registered-models/get-latest-versions",
      "get_latest_versions",
      "registry-read",
      "0",
      false,
    ],
    ["POST", "3.0/mlflow/traces", "start_trace", "trace-write", null, true],
    ["POST", "3.0/mlflow/traces/search", "search_traces", "trace-read", "0", false],
  ] as const)("%s %s is %s", (method, path, name, group, price, counted) => {
    for (const family of ["/api/", "/ajax-api/"]) {
      const id = engine.classify(method, `${family}${path}`);
      expect(engine.operations[id]).toEqual({
        id,
        name,
        class: group,
        price,
        counted,
        startsRun: name === "create_run",
      });
    }
  });
});

describe("other spellings", () => {
  const path = "/api/2.0/mlflow/runs/create";

  it.each([
    ["POST", `${path}?a=b&c=/x`, "create_run"],
    ["POST", `${path}#part`, "create_run"],
    ["GET", path, "unknown_read"],
    ["HEAD", path, "unknown_read"],
    ["OPTIONS", path, "unknown_read"],
    ["DELETE", path, "unknown_write"],
    ["PROPFIND", path, "unknown_write"],
    ["POST", "/api/2.0/mlflow/runs/create2", "unknown_write"],
    ["POST", "/api/2.0/mlflow/runs/creat", "unknown_write"],
    ["POST", "/api/2.0/mlflow/runs/create/more", "unknown_write"],
    ["POST", "/api/2.0/mlflow/runs", "unknown_write"],
    ["POST", "/api/2.0/mlflow/", "unknown_write"],
    ["POST", "/api/2.0/mlflow//runs/create", "unknown_write"],
    ["POST", "/api/2.0/mlflow/runs//create", "unknown_write"],
    ["PATCH", "/api/2.0/mlflow/logged-models//tags", "unknown_write"],
    ["PATCH", "/api/2.0/mlflow/logged-models/m/tags", "set_logged_model_tags"],
    ["POST", "/api/3.0/mlflow/runs/create", "unknown_write"],
    ["GET", "/api/2.0/mlflow/new-in-the-next-release", "unknown_read"],
    ["PUT", `/api/2.0/mlflow/${"x".repeat(200_000)}`, "unknown_write"],
    ["POST", "/api/2.0/mlflow/runs/créate", "unknown_write"],
  ])("%s %s is %s", (method, asked, name) => {
    expect(nameOf(method, asked)).toBe(name);
  });

  it.each([
    ["POST", "//api/2.0/mlflow/runs/create"],
    ["POST", "/x/api/2.0/mlflow/runs/create"],
    ["POST", "/API/2.0/mlflow/runs/create"],
    ["POST", "/api/2.0mlflow/runs/create"],
    ["POST", "/api/1.0/mlflow/runs/create"],
    ["POST", "/api/2.0/mlflowx/runs/create"],
    ["POST", "api/2.0/mlflow/runs/create"],
    ["POST", "/v2/traces"],
    ["POST", ""],
    ["", ""],
    ["", "/api/2.0/mlflow"],
    ["GET", "?/health"],
  ])("%s %s is no MLflow route", (method, asked) => {
    expect(engine.classify(method, asked)).toBe(-1);
  });
});

describe("a static prefix", () => {
  it.each(["/team/mlflow", "team/mlflow", "/team/mlflow/"])(
    "%s is taken off, and required",
    (staticPrefix) => {
      const prefixed = createEngine({ runs: 1, staticPrefix });
      expect(nameOf("POST", "/team/mlflow/api/2.0/mlflow/runs/create", prefixed)).toBe(
        "create_run",
      );
      expect(nameOf("GET", "/team/mlflow/health", prefixed)).toBe("probe");
      for (const asked of [
        "/api/2.0/mlflow/runs/create",
        "/TEAM/mlflow/api/2.0/mlflow/runs/create",
        "/team/mlflowx/api/2.0/mlflow/runs/create",
        "/x/team/mlflow/api/2.0/mlflow/runs/create",
        "/team/mlflow",
        "/team",
        "",
      ]) {
        expect(prefixed.classify("POST", asked), asked).toBe(-1);
      }
    },
  );
});

describe("raw bytes", () => {
  const { exports, window } = bare();
  const ask = (text: string) => {
    const written = new TextEncoder().encode(text);
    new Uint8Array(exports.memory.buffer).set(written, window);
    return exports.classify(window, written.length);
  };

  it("are classified where they lie, the query left out", () => {
    const line = "POST /api/2.0/mlflow/runs/create";
    const expected = engine.classify("POST", "/api/2.0/mlflow/runs/create");
    for (const rest of ["", "?a=/b", "#a", "?a#b", "#a?b"]) expect(ask(line + rest)).toBe(expected);
    expect(ask("POST")).toBe(-1);
    expect(ask("")).toBe(-1);
  });

  it("are an operation or no route, whatever they are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (noise, under) => {
        const start = under ? new TextEncoder().encode("PUT /api/2.0/mlflow-artifacts/") : [];
        new Uint8Array(exports.memory.buffer).set([...start, ...noise], window);
        const id = exports.classify(window, start.length + noise.length);
        expect(id === -1 || engine.operations[id] !== undefined).toBe(true);
        if (under) expect(id).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 3000 },
    );
  });
});

describe("anything at all", () => {
  const known = (id: number) => id === -1 || engine.operations[id] !== undefined;

  it("is an operation of the table or no route", () => {
    const method = fc.oneof(fc.constantFrom(...Object.values(METHODS), "HEAD"), fc.string());
    const start = fc.constantFrom("", "/", "/api/2.0/mlflow/", "/ajax-api/3.0/mlflow/", "/api/");
    const rest = fc.oneof(
      fc.string({ unit: "binary", size: "+1" }),
      fc.webPath(),
      fc
        .array(fc.constantFrom("runs", "create", "traces", "..", "", "a", "{}", "{*}"))
        .map((parts) => parts.join("/")),
    );
    fc.assert(
      fc.property(method, start, rest, (verb, head, tail) => {
        expect(known(engine.classify(verb, head + tail))).toBe(true);
        const underMlflow = head.endsWith("mlflow/") && !/\s/.test(verb) && verb !== "";
        if (underMlflow) expect(engine.classify(verb, head + tail)).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 5000 },
    );
  });

  it("changes nothing", () => {
    const before = engine.summary();
    for (let i = 0; i < 1000; i++) engine.classify("POST", `/api/2.0/mlflow/${i}`);
    expect(engine.summary()).toEqual(before);
  });
});
