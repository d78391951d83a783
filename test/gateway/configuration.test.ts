// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the file are what is tested.
// The gateway's options: three sources, one table, every error with its place and its fix, and no secret told.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generate } from "selfsigned";
import { describe, expect, it } from "vitest";
import {
  type GatewaySources,
  readGatewayOptions,
} from "../../src/gateway/configuration/sources.js";
import { checkGatewayOptions, type GatewayConfiguration } from "../../src/gateway/configuration.js";
import { ConfigurationError } from "../../src/governance/errors.js";
import "../../src/node.js";
import { temporaryFolder } from "../adapter/workplace.js";

const UPSTREAM = "http://mlflow:5000";

function configured({ flags = {}, environment = {}, configPath }: Partial<GatewaySources>) {
  const read = readGatewayOptions({ flags, environment, configPath });
  return read.checked(() => checkGatewayOptions(read.options));
}

async function file(text: string, name = "gateway.yaml"): Promise<string> {
  const path = join(await temporaryFolder(), name);
  await writeFile(path, text);
  return path;
}

function refusal(run: () => unknown): ConfigurationError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return error as ConfigurationError;
  }
  throw new Error("nothing was refused");
}

describe("the three sources", () => {
  it("flags stand before variables, variables before the file, and the rest has defaults", async () => {
    const configPath = await file(`
upstream: http://from-file:5000
host: 127.0.0.9
port: 7000
budgets:
  - { name: search, limit: 10, period: day, scope: { team: search }, action: block }
`);
    const configuration = configured({
      flags: { port: "7002" },
      environment: { GENOPS_GATEWAY_PORT: "7001", GENOPS_GATEWAY_HOST: "127.0.0.8" },
      configPath,
    });
    expect(configuration.upstream.href).toBe("http://from-file:5000/");
    expect(configuration).toMatchObject({ host: "127.0.0.8", port: 7002, trust: ["path"] });
    expect(configuration.governance.limits.budgets).toMatchObject([{ name: "search" }]);
    expect(configuration.limits.connections).toBe(10_000);
    expect(configured({ flags: { upstream: UPSTREAM } })).toMatchObject({
      host: "127.0.0.1",
      port: 5001,
      adminToken: undefined,
      accessLog: undefined,
    });
  });

  it("every kind of option can be a variable or a flag", () => {
    const configuration = configured({
      flags: {
        upstream: UPSTREAM,
        adminRoutes: true,
        accessLog: "on",
        accessLogFormat: "combined",
      },
      environment: {
        GENOPS_GATEWAY_TOKENS: '{"tok-1":{"team":"ml-team"}}',
        GENOPS_GATEWAY_TRUST: "token, path",
        GENOPS_GATEWAY_DEFAULTS: "team=ml%20team,customer=acme,cost_center=cc-1",
        GENOPS_GATEWAY_BUDGET_DAILY_LIMIT: "12.50",
        GENOPS_GATEWAY_LIMITS: '{"connections":5}',
        GENOPS_GATEWAY_JOURNAL: "off",
        GENOPS_GATEWAY_STATIC_PREFIX: "/mlflow/",
        GENOPS_GATEWAY_TRUSTED_ADDRESSES: "10.0.0.0/8,::1",
      },
    });
    expect(configuration).toMatchObject({
      adminRoutes: true,
      accessLog: { path: undefined, format: "combined" },
      trust: ["token", "path"],
      defaults: { team: "ml team", customerId: "acme", costCenter: "cc-1" },
      limits: { connections: 5, bodyBytes: 64 * 2 ** 20 },
      staticPrefix: "/mlflow",
      tokens: [{ token: "tok-1", attributes: { team: "ml-team" }, isAdmin: false }],
    });
    expect(configuration.governance.journal).toBe(false);
    expect(configuration.governance.limits.budgets).toMatchObject([
      { name: "daily", limit: "12.50" },
    ]);
    expect(configuration.trustedAddresses.check("10.9.9.9")).toBe(true);
    expect(configuration.trustedAddresses.check("11.9.9.9")).toBe(false);
  });

  it("JSON is read as YAML is, and the variable of the file's path works", async () => {
    const path = await file(JSON.stringify({ upstream: UPSTREAM, port: 0 }), "gateway.json");
    expect(configured({ environment: { GENOPS_GATEWAY_CONFIG: path } }).port).toBe(0);
  });
});

describe("the example", () => {
  it("is valid as it stands", () => {
    const configPath = join(import.meta.dirname, "../../examples/gateway.yaml");
    const environment = {
      GATEWAY_ADMIN_TOKEN: "admin",
      SEARCH_TOKEN: "tok-search",
      VISION_TOKEN: "tok-vision",
      PLATFORM_TOKEN: "tok-platform",
    };
    const read = readGatewayOptions({ flags: {}, environment, configPath });
    // Opened when the gateway starts.
    const configuration = read.checked(() => checkGatewayOptions(read.options));
    expect(configuration.tokens.map(({ attributes }) => attributes.team)).toEqual([
      "search",
      "vision",
      "platform",
    ]);
    expect(configuration.accessLog).toEqual({
      path: "/var/log/genops/access.jsonl",
      format: "json",
    });
  });
});

describe("secrets", () => {
  it("come from variables that the file refers to, and from files beside it", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "admin"), "admin-token-1\n");
    await writeFile(join(folder, "tokens.yaml"), "tok-file: { team: from-file, admin: true }\n");
    await writeFile(
      join(folder, "gateway.yaml"),
      [
        "upstream: http://${MLFLOW_HOST}:5000",
        "port: ${PORT}",
        "adminTokenFile: admin",
        "tokensFile: tokens.yaml",
        "tokens:",
        '  "${SEARCH_TOKEN}": { team: search }',
        '  "sha256:9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08": { team: hashed }',
        "defaults: { feature: '$${literal}' }",
      ].join("\n"),
    );
    const configuration = configured({
      environment: { MLFLOW_HOST: "ml", PORT: "7010", SEARCH_TOKEN: "tok-search" },
      configPath: join(folder, "gateway.yaml"),
    });
    expect(configuration.upstream.host).toBe("ml:5000");
    expect(configuration).toMatchObject({ port: 7010, adminToken: "admin-token-1" });
    expect(configuration.defaults.feature).toBe("${literal}");
    expect(configuration.tokens).toMatchObject([
      { token: "tok-search", attributes: { team: "search" } },
      { sha256: expect.stringMatching(/^9f86d0/) },
      { token: "tok-file", attributes: { team: "from-file" }, isAdmin: true },
    ]);
  });

  it.each([
    ["an attribute of a token", 'tokens: { "s3cret-value": { team: 7 } }', "tokens[0].team"],
    ["an unknown name below a token", 'tokens: { "s3cret-value": { teem: a } }', "team"],
    ["a token that no header can hold", 'tokens: { "s3cret-value x": { team: a } }', "printable"],
    ["a token without attributes", 'tokens: { "s3cret-value": yes }', "tokens[0]"],
    ["a list of tokens", "tokens: [s3cret-value]", "tokens"],
    ["an admin token with spaces", 'adminToken: "s3cret-value x"', "openssl rand"],
    ["credentials in the upstream", "upstream: http://ada:s3cret-value@mlflow:5000", "leave user"],
  ])("are in no message: %s", async (_, text, words) => {
    const lines = text.startsWith("upstream") ? text : `upstream: ${UPSTREAM}\n${text}`;
    const configPath = await file(lines);
    const error = refusal(() => configured({ configPath }));
    const { message, value, field } = error;
    expect(message).toContain(words);
    expect(message).toMatch(new RegExp(`^${configPath}:[12]:\\d+: `));
    expect(JSON.stringify({ message, value, field })).not.toContain("s3cret-value");
  });

  it("a variable's JSON is not shown either", () => {
    const environment = { GENOPS_GATEWAY_TOKENS: '{"s3cret-value' };
    const { message } = refusal(() => configured({ environment, flags: { upstream: UPSTREAM } }));
    expect(message).toBe("GENOPS_GATEWAY_TOKENS: is not JSON");
  });
});

describe("what is wrong is told where it stands", () => {
  it.each([
    ["upstraem: http://mlflow:5000", ":1:1: ", 'did you mean "upstream"?'],
    ["upstream: mlflow", ":1:11: upstream: ", "no http(s) URL"],
    ["upstream: http://localhost:5001", ":1:11: upstream: ", "listens itself"],
    ["upstream: http://m\nport: 70000", ":2:7: port: 70000", "0 to 65535"],
    ["upstream: http://m\nport: ${NO_SUCH_PORT}", ":2:7: port: ", "export NO_SUCH_PORT="],
    ["upstream: http://m\nport: ${broken", ":2:7: port: ", "write ${NAME}"],
    ["upstream: http://m\nbudgets:\n  - name: a\n    limit: x\n    period: day", ":4:12: ", '"x"'],
    ["upstream: http://m\nbudgets:\n  - name: a\n    limt: 1\n    period: day", ":4:", '"limit"'],
    [
      "upstream: http://m\nrateLimits: [{ name: a, operations: 0, per: second }]",
      ":2:",
      "1000000000",
    ],
    ["upstream: http://m\npolicies: { requireTag: [a] }", ":2:25: ", '"requireTags"'],
    ["upstream: http://m\ntrust: [tokens]", ":2:9: trust[0]: ", 'give "token"'],
    ["upstream: http://m\ntrust: [path, path]", ":2:15: ", "there twice"],
    ["upstream: http://m\ntrust: [user]", ":2:9: ", "configure users"],
    ["upstream: http://m\ntrust: [header]", ":2:9: ", "trustedAddresses"],
    ["upstream: http://m\nusers: { 'a:b': {} }", ":2:", "ends a name at its colon"],
    ["upstream: http://m\nusers: { ada: { team: '' } }", ":2:23: users.ada.team: ", "printable"],
    ["upstream: http://m\ntrustedAddresses: [10.0.0.0/33]", ":2:20: ", "10.0.0.0/8"],
    ["upstream: http://m\nlimits: { bodyBytes: 1 }", ":2:22: limits.bodyBytes: 1 ", "1024"],
    ["upstream: http://m\nlimits: { bodyByte: 1 }", ":2:", '"bodyBytes"'],
    ["upstream: http://m\ntls: { certFile: no.pem, keyFile: no.pem }", ":2:18: ", "no such file"],
    ["upstream: http://m\nstaticPrefix: /a/../b", ":2:15: ", "/mlflow"],
    ["upstream: http://m\naccessLogFormat: apache", ":2:18: ", "json, combined"],
    ["upstream: http://m\ndefaults: { team: a, tem: b }", ":2:", '"team"'],
    ["upstream: http://m\nadminTokenFile: nowhere", ":2:17: ", "no such file"],
    ["upstream: http://m\nhost: 0.0.0.0", ":2:7: host: ", "listenWithoutAuthentication: true"],
    ["upstream: [", ":1:", "config"],
  ])("%j", async (text, place, words) => {
    const configPath = await file(text);
    const { message } = refusal(() => configured({ configPath }));
    expect(message).toContain(`${configPath}${place}`);
    expect(message).toContain(words);
  });

  it.each([
    [{ GENOPS_GATEWAY_PRT: "1" }, {}, "GENOPS_GATEWAY_PRT; did you mean GENOPS_GATEWAY_PORT?"],
    [{ GENOPS_GATEWAY_PORT: "soon" }, {}, 'GENOPS_GATEWAY_PORT: "soon" is no number'],
    [{ GENOPS_GATEWAY_PORT: "-1" }, {}, "GENOPS_GATEWAY_PORT: -1 is no port"],
    [{}, { port: "-1" }, "--port: -1 is no port"],
    [{}, { budgets: '[{"name":"a"}]' }, "--budgets[0].period: "],
    [{}, { defaults: "tema=a" }, '--defaults: unknown attribute "tema"; did you mean "team"?'],
    [{}, { defaults: "team=a,team=b" }, "--defaults: team is there twice"],
    [{ GENOPS_GATEWAY_FORWARD_TOKENS: "maybe" }, {}, "neither true nor false"],
  ])("variables %j and flags %j", (environment, flags, words) => {
    const { message } = refusal(() =>
      configured({ environment, flags: { upstream: UPSTREAM, ...flags } }),
    );
    expect(message).toContain(words);
  });

  it("what is missing is told with every way to say it", () => {
    expect(refusal(() => configured({})).message).toMatch(
      /^upstream: is missing; .* \(--upstream, GENOPS_GATEWAY_UPSTREAM\)$/,
    );
  });
});

describe("who may be let in", () => {
  const listens = (options: object): GatewayConfiguration =>
    checkGatewayOptions({ upstream: UPSTREAM, host: "0.0.0.0", ...options });

  it("beyond this machine only with tokens, users, or so many words", () => {
    expect(refusal(() => listens({})).field).toBe("host");
    // What is believed of a stranger makes none of them known.
    expect(refusal(() => listens({ trust: ["path", "tag"] })).field).toBe("host");
    expect(listens({ tokens: { t: { team: "a" } } }).trust).toEqual(["token"]);
    expect(listens({ users: { ada: { team: "a" } } }).trust).toEqual(["user"]);
    expect(listens({ listenWithoutAuthentication: true }).trust).toEqual(["path"]);
    for (const host of ["127.0.0.1", "127.9.9.9", "::1", "localhost"]) {
      expect(listens({ host }).host).toBe(host);
    }
    // A name may stand for any address.
    expect(refusal(() => listens({ host: "127.evil.example" })).field).toBe("host");
  });

  it("credentials that are configured and not trusted are a slip", () => {
    const { message } = refusal(() => listens({ tokens: { t: {} }, trust: ["path"] }));
    expect(message).toContain("add token");
  });
});

describe("TLS", () => {
  it("certificate and key must fit together", async () => {
    const folder = await temporaryFolder();
    for (const name of ["a", "b"]) {
      const pem = generate([{ name: "commonName", value: name }], { keySize: 2048 });
      await writeFile(join(folder, `${name}.pem`), pem.cert);
      await writeFile(join(folder, `${name}.key`), pem.private);
    }
    const tls = (cert: string, key: string) => ({
      upstream: UPSTREAM,
      tls: { certFile: join(folder, cert), keyFile: join(folder, key) },
    });
    expect(checkGatewayOptions(tls("a.pem", "a.key")).tls?.cert.toString()).toContain("BEGIN");
    expect(refusal(() => checkGatewayOptions(tls("a.pem", "b.key"))).message).toContain(
      "tls: certificate and key cannot be used",
    );
  });
});
