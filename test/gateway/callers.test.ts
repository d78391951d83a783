// Who is calling: what is believed, in which order, and that nobody chooses whose budget pays.
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createEngine } from "../../src/engine/index.js";
import {
  Callers,
  type IdentifiedCaller,
  isAdministration,
  isRefusedCaller,
  type RefusedCaller,
} from "../../src/gateway/callers.js";
import { checkGatewayOptions, type GatewayOptions } from "../../src/gateway/configuration.js";
import { ATTRIBUTES } from "../../src/governance/attribution.js";
import "../../src/node.js";

const API = "/api/2.0/mlflow/runs/create";

interface Call {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly from?: string;
}

function gateway(options: Partial<GatewayOptions>) {
  const callers = new Callers(
    checkGatewayOptions({ upstream: "http://mlflow:5000", journal: false, ...options }),
  );
  const call = ({ path = API, headers = {}, from = "127.0.0.1" }: Call) =>
    callers.identify({
      path,
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, [value].flat()]),
      ),
      remoteAddress: from,
    });
  return {
    let: (of: Call): IdentifiedCaller => {
      const caller = call(of);
      if (isRefusedCaller(caller)) throw new Error(`${caller.status} ${caller.message}`);
      return caller;
    },
    refuse: (of: Call): RefusedCaller => {
      const caller = call(of);
      if (!isRefusedCaller(caller)) throw new Error("It was let in.");
      return caller;
    },
  };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});
const under = (pairs: string, path = API) => ({ path: `/g/${pairs}${path}` });

describe("access tokens", () => {
  const hashed = createHash("sha256").update("tok-hashed").digest("hex");
  const { let: letIn, refuse } = gateway({
    tokens: {
      "tok-search": { team: "search", project: "ranker" },
      "tok-admin": { team: "platform", admin: true },
      [`sha256:${hashed}`]: { team: "hashed" },
    },
    defaults: { environment: "production", team: "nobody" },
  });

  it("say who pays; defaults fill in what they leave out", () => {
    expect(letIn({ headers: bearer("tok-search") })).toEqual({
      attributes: { team: "search", project: "ranker", environment: "production" },
      path: API,
      confirmUpstream: false,
      hidesAuthorization: true,
      isAdmin: false,
      identity: expect.stringMatching(/^token [0-9a-f]{64}$/),
      openToTags: [],
    });
    expect(letIn({ headers: bearer("tok-hashed") }).attributes.team).toBe("hashed");
    expect(letIn({ headers: bearer("tok-admin") }).isAdmin).toBe(true);
    expect(letIn({ headers: { authorization: "bearer  tok-search " } }).attributes.team).toBe(
      "search",
    );
  });

  it("are taken as a password, which is all that a browser can ask for", () => {
    const caller = letIn({ headers: basic("whoever", "tok-search") });
    expect(caller).toMatchObject({ hidesAuthorization: true, confirmUpstream: false });
    expect(caller.attributes.team).toBe("search");
  });

  it.each([
    [{}, "MLFLOW_TRACKING_TOKEN"],
    [bearer("tok-searcH"), "not known"],
    [bearer(`sha256:${hashed}`), "not known"],
    [bearer(hashed), "not known"],
    [basic("tok-search", "x"), "does not know who"],
    [{ authorization: ["Bearer tok-search", "Bearer tok-admin"] }, "two Authorization"],
    [{ authorization: "Digest x" }, "does not know who"],
  ])("without one nobody is let in: %j", (headers, words) => {
    const refused = refuse({ headers });
    expect(refused).toMatchObject({ status: 401, errorCode: "UNAUTHENTICATED" });
    expect(refused.message).toContain(words);
    expect(refused.headers["www-authenticate"]).toMatch(/^Basic .*Bearer /);
  });

  it("no path, header or tag adds to what they say", () => {
    const refused = refuse({ ...under("team=other"), headers: bearer("tok-search") });
    expect(refused).toMatchObject({ status: 403, errorCode: "PERMISSION_DENIED" });
    expect(refused.message).toContain("names a team");
    expect(refuse({ ...under("customer=rich"), headers: bearer("tok-search") }).status).toBe(403);
    // What agrees is no contradiction, and the prefix goes all the same.
    expect(letIn({ ...under("team=search"), headers: bearer("tok-search") }).path).toBe(API);
    const headers = { ...bearer("tok-search"), "x-genops-team": "other" };
    expect(letIn({ headers }).attributes.team).toBe("search");
  });

  it("are sent on only when that is configured", () => {
    const open = gateway({ tokens: { t: { team: "a" } }, forwardTokens: true });
    expect(open.let({ headers: bearer("t") }).hidesAuthorization).toBe(false);
  });
});

describe("users of basic auth", () => {
  const { let: letIn, refuse } = gateway({
    users: { ada: { team: "research" }, root: { team: "platform", admin: true } },
  });

  it("are believed once the MLflow server has accepted them, and their password goes there", () => {
    expect(letIn({ headers: basic("ada", "pass:word") })).toMatchObject({
      attributes: { team: "research" },
      confirmUpstream: true,
      hidesAuthorization: false,
      isAdmin: false,
    });
    expect(letIn({ headers: basic("root", "x") }).isAdmin).toBe(true);
  });

  it("who is not configured is nobody", () => {
    for (const user of ["eve", "Ada", "ada ", "", "constructor", "__proto__"]) {
      expect(refuse({ headers: basic(user, "x") }).status).toBe(401);
    }
    expect(refuse({ headers: { authorization: "Basic !!!" } }).status).toBe(401);
    // What others decode otherwise, or not at all, is nobody's name: `ada:` and more in each of them.
    const ada = Buffer.from("ada:>>>???x").toString("base64");
    expect(letIn({ headers: { authorization: `Basic ${ada}` } }).attributes.team).toBe("research");
    for (const odd of [
      ada.replace("+", "-").replace("/", "_"),
      ada.replace(/=+$/, ""),
      `${ada.slice(0, 4)}!${ada.slice(4)}`,
      `${ada}=`,
      `${ada}ZXZlOng=`,
    ]) {
      expect([odd, refuse({ headers: { authorization: `Basic ${odd}` } }).status]).toEqual([
        odd,
        401,
      ]);
    }
  });
});

describe("the path of a tracking URI", () => {
  const { let: letIn, refuse } = gateway({});

  it("names who pays where nobody has credentials", () => {
    expect(letIn(under("team=ml-team,project=search"))).toMatchObject({
      attributes: { team: "ml-team", project: "search" },
      path: API,
    });
    const all = under(
      "team=a,project=b,customer=c,environment=d,cost_center=e,feature=f",
      "/api/2.0/mlflow/x%2Fy",
    );
    expect(letIn(all)).toMatchObject({
      attributes: {
        team: "a",
        project: "b",
        customerId: "c",
        environment: "d",
        costCenter: "e",
        feature: "f",
      },
      path: "/api/2.0/mlflow/x%2Fy",
    });
    expect(letIn({}).attributes).toEqual({});
    expect(letIn(under("team=a", ""))).toMatchObject({ path: "/" });
  });

  it("is percent-decoded, also where a client has encoded the signs between", () => {
    expect(letIn(under("team=caf%C3%A9%2C%20berlin")).attributes.team).toBe("café, berlin");
    expect(letIn(under("team%3Dml-team%2Cproject%3Dsearch")).attributes).toEqual({
      team: "ml-team",
      project: "search",
    });
  });

  it("comes after the static prefix as well", () => {
    const prefixed = gateway({ staticPrefix: "/mlflow" });
    expect(prefixed.let({ path: `/mlflow/g/team=a${API}` })).toMatchObject({
      path: `/mlflow${API}`,
      attributes: { team: "a" },
    });
  });

  it.each([
    ["tema=a", 'did you mean "team"?'],
    ["cost-center=a", 'did you mean "cost_center"?'],
    ["colour=a", "valid are team, project"],
    ["team=a,team=b", "team is there twice"],
    ["customer=a,customer_id=b", "there twice"],
    ["team=", "printable"],
    ["team", "is not name=value"],
    ["", "is not name=value"],
    ["team=%FF", "%25"],
    ["team=%E0%A4%A", "%25"],
    ["team=a%0Ab", "printable"],
    ["team=(unattributed)", "choose another"],
    [`team=${"x".repeat(251)}`, "1 to 250"],
    ["team=a,", "is not name=value"],
  ])("%j is refused as a bad request", (pairs, words) => {
    const refused = refuse(under(pairs));
    expect(refused).toMatchObject({ status: 400, errorCode: "INVALID_PARAMETER_VALUE" });
    expect(refused.message).toContain(words);
  });

  it("any names come back as they were written", () => {
    const name = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 40 })
      .filter((text) => text.trim() === text && text !== "" && !/[\p{Cc}\p{Cs}]/u.test(text));
    fc.assert(
      fc.property(name, name, (team, customerId) => {
        const [a, b] = [team, customerId].map(encodeURIComponent);
        expect(letIn(under(`team=${a},customer=${b}`)).attributes).toEqual({ team, customerId });
      }),
    );
  });
});

describe("headers of a proxy", () => {
  const { let: letIn, refuse } = gateway({
    trust: ["header", "path"],
    trustedAddresses: ["10.1.0.0/16", "fd00::/8"],
  });
  const team = { "x-genops-team": "search" };

  it("are believed from its address alone", () => {
    for (const from of ["10.1.2.3", "::ffff:10.1.2.3", "fd00::7"]) {
      expect(letIn({ headers: team, from }).attributes).toEqual({ team: "search" });
    }
    for (const from of ["10.2.0.1", "::1", "fe80::1", "not an address"]) {
      expect(letIn({ headers: team, from }).attributes).toEqual({});
    }
  });

  it("stand before the path when the order says so", () => {
    const call = { ...under("team=other,project=p"), headers: team, from: "10.1.2.3" };
    expect(letIn(call).attributes).toEqual({ team: "search", project: "p" });
  });

  it("are bytes of UTF-8, and customers may be called either way", () => {
    const value = Buffer.from("café", "utf8").toString("latin1");
    const headers = { "x-genops-customer-id": value, "x-genops-cost-center": "cc" };
    expect(letIn({ headers, from: "10.1.2.3" }).attributes).toEqual({
      customerId: "café",
      costCenter: "cc",
    });
  });

  it("that are there twice, or have no meaning, are refused", () => {
    const twice = { "x-genops-team": ["mine", "search"] };
    expect(refuse({ headers: twice, from: "10.1.2.3" }).message).toContain("there twice");
    const unknown = { "x-genops-tema": "a" };
    expect(refuse({ headers: unknown, from: "10.1.2.3" }).message).toContain('"team"');
  });
});

describe("the name that the gateway is called by", () => {
  it("is its own where nobody has credentials: no page anywhere can take its place", () => {
    const { let: letIn, refuse } = gateway({ allowedHosts: ["gateway.internal"] });
    for (const host of [
      "127.0.0.1:5001",
      "localhost:5001",
      "LOCALHOST",
      "[::1]:5001",
      "10.0.0.7",
      "mlflow.localhost:5001",
      "Gateway.internal:80",
    ]) {
      expect(letIn({ headers: { host } }).path).toBe(API);
    }
    for (const host of [
      "evil.example:5001",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "",
    ]) {
      expect(refuse({ headers: { host } })).toMatchObject({ status: 403 });
    }
    expect(refuse({ headers: { host: ["localhost", "evil.example"] } }).status).toBe(403);
  });

  it("may be any where callers have credentials, or are let in from anywhere, unless names are given", () => {
    const headers = { host: "gateway.example", ...bearer("t") };
    expect(gateway({ tokens: { t: {} } }).let({ headers }).path).toBe(API);
    const open = { host: "0.0.0.0", listenWithoutAuthentication: true };
    expect(gateway(open).let({ headers }).path).toBe(API);
    expect(gateway({ ...open, allowedHosts: ["other"] }).refuse({ headers }).status).toBe(403);
  });
});

describe("the order of trust", () => {
  it("the first that says something counts, attribute by attribute; tags may say the rest", () => {
    const { let: letIn } = gateway({
      tokens: { t: { team: "search" } },
      trust: ["token", "path", "tag"],
      defaults: { project: "misc" },
    });
    const caller = letIn({ ...under("team=other,project=p"), headers: bearer("t") });
    expect(caller.attributes).toEqual({ team: "search", project: "p" });
    expect(caller.openToTags).toEqual(["customerId", "environment", "costCenter", "feature"]);
    // A default is nobody's word: a tag may say better.
    expect(letIn({ headers: bearer("t") })).toMatchObject({
      attributes: { team: "search", project: "misc" },
      openToTags: expect.arrayContaining(["project"]),
    });
  });

  it("what is never trusted is never believed, whatever a caller sends", () => {
    const attribute = fc.constantFrom("team", "project", "customer", "environment", "cost_center");
    const callers = gateway({
      tokens: { mine: { team: "search" }, other: { team: "rich" } },
      trustedAddresses: ["10.0.0.1"],
    });
    fc.assert(
      fc.property(attribute, fc.constantFrom("10.0.0.1", "127.0.0.1"), (name, from) => {
        const headers = {
          ...bearer("mine"),
          [`x-genops-${name.replace("_", "-")}`]: "rich",
          "x-forwarded-for": "10.0.0.1",
        };
        const { attributes, openToTags } = callers.let({ headers, from });
        expect({ attributes, openToTags }).toEqual({
          attributes: { team: "search" },
          openToTags: [],
        });
      }),
    );
    expect(ATTRIBUTES).toHaveLength(6);
  });
});

describe("MLflow's administration", () => {
  it("is all of its class but the list of workspaces, and open to all when that is said", () => {
    const engine = createEngine({ runs: 1, tuples: 16, names: 64 });
    const named = (method: string, path: string) =>
      engine.operations[engine.classify(method, path)] ?? { name: "", class: "" };
    for (const path of [
      "/api/2.0/mlflow/users/create",
      "/ajax-api/2.0/mlflow/users/update-admin",
      "/api/2.0/mlflow/experiments/permissions/create",
      "/api/2.0/mlflow/registered-models/permissions/create",
      "/api/2.0/mlflow/webhooks",
      "/api/3.0/mlflow/users/permissions/grant",
      "/ajax-api/3.0/mlflow/roles/create",
    ]) {
      expect(isAdministration(named("POST", path))).toBe(true);
    }
    expect(isAdministration(named("GET", "/api/3.0/mlflow/users/roles/list"))).toBe(true);
    expect(isAdministration(named("DELETE", "/api/3.0/mlflow/roles/permissions/remove"))).toBe(
      true,
    );
    expect(isAdministration(named("GET", "/api/3.0/mlflow/workspaces"))).toBe(false);
    expect(isAdministration(named("POST", API))).toBe(false);
    expect(gateway({ adminRoutes: true }).let({}).isAdmin).toBe(true);
    expect(gateway({}).let({}).isAdmin).toBe(false);
  });
});
