// Paths as MLflow's server routes them, and those that mean different things to different servers.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { artifactPathOf, canonicalPath } from "../../../src/instrumentation/wire/path.js";

const CREATE = "/api/2.0/mlflow/runs/create";

describe("a path", () => {
  it.each([
    [CREATE, CREATE],
    ["/api/2.0/mlflow%2Fruns/create", CREATE],
    ["/%61pi/2.0/mlflow/runs/creat%65", CREATE],
    ["//api///2.0/mlflow/runs//create", CREATE],
    ["/api/2.0/mlflow/runs/create%2F", `${CREATE}/`],
    ["/api/2.0/mlflow/runs/%2563reate", "/api/2.0/mlflow/runs/%63reate"],
    ["/a%20b/%C3%A4", "/a b/ä"],
    ["/100%", "/100%"],
    ["/", "/"],
  ])("%s is %s", (raw, path) => {
    expect(canonicalPath(raw)).toEqual({ path });
  });

  it.each([
    ["/api/2.0/mlflow/x/../runs/create"],
    ["/api/2.0/mlflow/x/%2e%2E/runs/create"],
    ["/api/./2.0/mlflow/runs/create"],
    ["/api/2.0/mlflow/runs/create/.."],
    ["/api\\2.0/mlflow"],
    ["/api/2.0%5Cmlflow"],
    ["/api/%00"],
    ["/api/%0d%0a"],
    ["/api/%ff"],
    ["/api/%c0%af"],
    ["api/2.0"],
    [""],
  ])("%s is refused", (raw) => {
    expect(canonicalPath(raw)).toEqual({ refused: expect.any(String) });
  });

  it("is seen without the static prefix, of which a longer name is none", () => {
    const staticPrefix = "/mlflow/";
    expect(canonicalPath(`/mlflow${CREATE}`, { staticPrefix })).toEqual({ path: CREATE });
    expect(canonicalPath(`//mlflow/${CREATE}`, { staticPrefix })).toEqual({ path: CREATE });
    expect(canonicalPath("/mlflows/api", { staticPrefix })).toEqual({ path: "/mlflows/api" });
  });

  it("is the same however much of it is encoded", () => {
    const segment = fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => {
      const plain = !/[\\/\p{Cc}\p{Cs}%]/u.test(text);
      return plain && text !== "." && text !== "..";
    });
    fc.assert(
      fc.property(
        fc.array(segment, { minLength: 1 }),
        fc.infiniteStream(fc.boolean()),
        (parts, coins) => {
          const path = `/${parts.join("/")}`;
          const raw = Array.from(path, (char) =>
            char !== "/" && coins.next().value ? percent(char) : encodeURI(char),
          ).join("");
          expect(canonicalPath(raw)).toEqual({ path });
        },
      ),
    );
  });
});

function percent(char: string): string {
  return Array.from(
    new TextEncoder().encode(char),
    (byte) => `%${byte.toString(16).padStart(2, "0")}`,
  ).join("");
}

describe("the path of an artifact", () => {
  it.each([
    ["0/run/artifacts/a.txt", "0/run/artifacts/a.txt"],
    ["0/run%2Fartifacts/a.txt", "0/run/artifacts/a.txt"],
    ["0/run%252Fx", "0/run/x"],
    ["50%", "50%"],
  ])("%s is %s", (given, path) => {
    expect(artifactPathOf(given)).toBe(path);
  });

  it.each([
    ["a/../b"],
    ["a/%2e%2e/b"],
    ["a/%252e%252e/b"],
    ["a#b"],
    ["a%5Cb"],
    ["%ff"],
    [nested()],
  ])("%s is refused", (given) => {
    expect(artifactPathOf(given)).toBeUndefined();
  });
});

/** Decodes to something else more often than MLflow tries. */
function nested(): string {
  return Array.from({ length: 12 }).reduce<string>((text) => text.replace("%", "%25"), "%41");
}
