// The gateway's options: checked before it listens, every one that is wrong named with its fix.
import type { BlockList } from "node:net";
import { createSecureContext } from "node:tls";
import type { GovernanceAttributes } from "../governance/attribution.js";
import { type AdapterOptions, type Configuration, configure } from "../governance/configuration.js";
import { isRecord, rejectUnknown } from "../governance/option-names.js";
import { isLoopback } from "./callers/host.js";
import {
  checkAddresses,
  checkDefaults,
  checkTokens,
  checkTrust,
  checkUsers,
  type Grant,
  readTokensFile,
  type TokenGrant,
  type TrustSource,
} from "./configuration/callers.js";
import { checkGatewayLimits, type GatewayLimits } from "./configuration/limits.js";
import { GATEWAY_OPTIONS } from "./configuration/option-table.js";
import { HIDDEN, invalid, shown } from "./configuration/problem.js";
import { readNamedFile, readSecretFile } from "./configuration/secret-files.js";

/** What a token or a user stands for, as it is written. */
export interface GrantOption extends GovernanceAttributes {
  /** May it reach MLflow's administration of users and permissions? */
  readonly admin?: boolean | undefined;
}

/** PEM files of a server that speaks HTTPS. */
export interface TlsOption {
  readonly certFile: string;
  readonly keyFile: string;
  /** Of the key, when it has one. */
  readonly passphrase?: string | undefined;
}

/** Options that govern, which are the adapter's own. */
const GOVERNING = [
  "budgets",
  "budgetDailyLimit",
  "rateLimits",
  "policies",
  "policyFile",
  "pricing",
  "costCalculator",
  "storageBackends",
  "samplingRate",
  "runCapacity",
  "journal",
  "auditLog",
  "onDecision",
  "onBudgetAlert",
  "tracerProvider",
  "meterProvider",
  "logger",
] as const satisfies readonly (keyof AdapterOptions)[];

/** Options of the gateway. Those that govern are the adapter's own. */
export interface GatewayOptions extends Pick<AdapterOptions, (typeof GOVERNING)[number]> {
  /** `http(s)://…` of the MLflow server behind it. */
  readonly upstream: string;
  /** Address to listen on; 127.0.0.1 unless given. */
  readonly host?: string | undefined;
  /** Port to listen on, 0 for any that is free; 5001 unless given. */
  readonly port?: number | undefined;
  /** Opens the operator's pages below `/genops/`, which are closed without one. */
  readonly adminToken?: string | undefined;
  /** File that holds it. */
  readonly adminTokenFile?: string | undefined;
  /** Access token, or `sha256:` and the hex digest of one → what it stands for. */
  readonly tokens?: Readonly<Record<string, GrantOption>> | undefined;
  /** YAML or JSON file of the same form; its tokens hold beside those of `tokens`. */
  readonly tokensFile?: string | undefined;
  /** User of basic auth → what it stands for, once the MLflow server has accepted its password. */
  readonly users?: Readonly<Record<string, GrantOption>> | undefined;
  /** Sources of attributes that are believed, what counts most first. */
  readonly trust?: readonly TrustSource[] | undefined;
  /** Addresses and networks whose `x-genops-*` headers are believed, for the source `header`. */
  readonly trustedAddresses?: readonly string[] | undefined;
  /** Names that the gateway is called by, beside addresses, `localhost` and `host`; any where callers have credentials. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Attributes of calls for which nothing more is known. */
  readonly defaults?: GovernanceAttributes | undefined;
  /** Listen beyond this machine although anybody who can connect then chooses who pays. */
  readonly listenWithoutAuthentication?: boolean | undefined;
  /** Let every caller reach MLflow's administration of users and permissions; MLflow still decides. */
  readonly adminRoutes?: boolean | undefined;
  /** Let callers write to runs that others pay for; their payers go on paying. */
  readonly allowForeignRuns?: boolean | undefined;
  /** Send access tokens on to the MLflow server. */
  readonly forwardTokens?: boolean | undefined;
  readonly tls?: TlsOption | undefined;
  readonly limits?: Partial<GatewayLimits> | undefined;
  /** What the MLflow server was given as `--static-prefix`. */
  readonly staticPrefix?: string | undefined;
  /** A line a request: `true` for stdout, or the path of a file. */
  readonly accessLog?: boolean | string | undefined;
  /** JSON lines unless given; `combined` is what web servers write. */
  readonly accessLogFormat?: AccessLogFormat | undefined;
}

export type AccessLogFormat = "json" | "combined";

/** Where access is logged. */
export interface AccessLogSetup {
  /** Undefined for stdout. */
  readonly path: string | undefined;
  readonly format: AccessLogFormat;
}

/** Certificate and key, PEM, which fit together. */
export interface TlsSetup {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly passphrase?: string;
}

/** Checked options, defaults filled in, files read. */
export interface GatewayConfiguration {
  readonly upstream: URL;
  readonly host: string;
  readonly port: number;
  readonly adminToken: string | undefined;
  readonly tokens: readonly TokenGrant[];
  readonly users: ReadonlyMap<string, Grant>;
  readonly trust: readonly TrustSource[];
  readonly trustedAddresses: BlockList;
  readonly allowedHosts: readonly string[];
  readonly defaults: GovernanceAttributes;
  readonly adminRoutes: boolean;
  readonly forwardTokens: boolean;
  readonly allowForeignRuns: boolean;
  readonly tls: TlsSetup | undefined;
  readonly limits: GatewayLimits;
  /** Without a slash at its end; empty when there is none. */
  readonly staticPrefix: string;
  readonly accessLog: AccessLogSetup | undefined;
  /** What governs. */
  readonly governance: Configuration;
}

const OPTION_NAMES = [...new Set([...GATEWAY_OPTIONS.map(({ name }) => name), ...GOVERNING])];
const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = 5001;
const FORMATS: readonly AccessLogFormat[] = ["json", "combined"];

function checkUpstream(upstream: unknown): URL {
  const example = "give the MLflow server's URL, for example http://mlflow:5000";
  if (upstream === undefined) throw invalid("upstream", upstream, `is missing; ${example}`);
  const url =
    typeof upstream === "string" && URL.canParse(upstream) ? new URL(upstream) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw invalid("upstream", upstream, `${shown(upstream)} is no http(s) URL; ${example}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw invalid("upstream", HIDDEN, "leave user and password out; every caller sends its own");
  }
  if (url.search !== "" || url.hash !== "") {
    throw invalid("upstream", upstream, `${shown(upstream)} has a query or a fragment; ${example}`);
  }
  return url;
}

/** A gateway before itself answers nobody. */
function checkNotItself({ hostname, port, protocol }: URL, host: string, own: number): void {
  const there = hostname.replace(/^\[|\]$/g, "");
  const isHere = there === host || (isLoopback(there) && isLoopback(host));
  const known = port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
  if (!isHere || known !== own) return;
  throw invalid(
    "upstream",
    `${there}:${known}`,
    "is where this gateway listens itself; give the MLflow server's address, or another port",
  );
}

function checkHost(host: unknown): string {
  if (host === undefined) return DEFAULT_HOST;
  if (typeof host === "string" && /^[A-Za-z0-9._:-]+$/.test(host)) return host;
  throw invalid("host", host, `${shown(host)} is no address; give for example 0.0.0.0`);
}

function checkHostNames(field: string, names: unknown): readonly string[] {
  if (names === undefined) return [];
  if (!Array.isArray(names)) {
    throw invalid(
      field,
      names,
      `${shown(names)} is no list; give for example ["gateway.internal"]`,
    );
  }
  for (const [index, name] of names.entries()) {
    if (typeof name === "string" && /^[A-Za-z0-9_.-]+$/.test(name)) continue;
    const text = `${shown(name)} is no name of a machine; leave scheme and port out`;
    throw invalid(`${field}[${index}]`, name, text);
  }
  return names;
}

function checkPort(port: unknown): number {
  if (port === undefined) return DEFAULT_PORT;
  if (Number.isInteger(port) && (port as number) >= 0 && (port as number) <= 65_535) {
    return port as number;
  }
  throw invalid("port", port, `${shown(port)} is no port; give a whole number from 0 to 65535`);
}

function checkBoolean(field: string, value: unknown): boolean {
  if (value === undefined) return false;
  if (typeof value === "boolean") return value;
  throw invalid(field, value, `${shown(value)} is neither true nor false`);
}

function checkAdminToken({ adminToken, adminTokenFile }: GatewayOptions): string | undefined {
  if (adminTokenFile !== undefined) {
    if (adminToken !== undefined) {
      throw invalid(
        "adminTokenFile",
        adminTokenFile,
        "there is an adminToken, too; give one of the two",
      );
    }
    return usableToken("adminTokenFile", readSecretFile("adminTokenFile", adminTokenFile));
  }
  return adminToken === undefined ? undefined : usableToken("adminToken", adminToken);
}

function usableToken(field: string, token: unknown): string {
  if (typeof token === "string" && /^[\x21-\x7e]+$/.test(token)) return token;
  throw invalid(
    field,
    HIDDEN,
    "give printable ASCII without spaces, in quotes: openssl rand -hex 32 makes a good one",
  );
}

function checkTls(tls: unknown): TlsSetup | undefined {
  if (tls === undefined) return undefined;
  if (!isRecord(tls)) {
    throw invalid("tls", tls, `${shown(tls)} is no object; give { certFile, keyFile }`);
  }
  rejectUnknown(tls as object, ["certFile", "keyFile", "passphrase"], "tls");
  const { certFile, keyFile, passphrase } = tls as Readonly<Record<string, unknown>>;
  if (passphrase !== undefined && typeof passphrase !== "string") {
    throw invalid("tls.passphrase", HIDDEN, "is no text; write it in quotes");
  }
  const setup = {
    cert: readNamedFile("tls.certFile", certFile),
    key: readNamedFile("tls.keyFile", keyFile),
    ...(passphrase !== undefined && { passphrase }),
  };
  try {
    createSecureContext(setup);
  } catch (error) {
    const reason = (error as Error).message;
    throw invalid("tls", certFile, `certificate and key cannot be used: ${reason}`);
  }
  return setup;
}

function checkStaticPrefix(prefix: unknown): string {
  if (prefix === undefined || prefix === "" || prefix === "/") return "";
  const plain = typeof prefix === "string" ? prefix.replace(/\/$/, "") : "";
  const isPath = /^(\/[A-Za-z0-9._~-]+)+$/.test(plain) && !/\/\.{1,2}(\/|$)/.test(plain);
  if (isPath) return plain;
  throw invalid(
    "staticPrefix",
    prefix,
    `${shown(prefix)} is no path; give what the MLflow server has, for example /mlflow`,
  );
}

function checkAccessLog({
  accessLog,
  accessLogFormat,
}: GatewayOptions): AccessLogSetup | undefined {
  if (accessLogFormat !== undefined && !FORMATS.includes(accessLogFormat)) {
    throw invalid(
      "accessLogFormat",
      accessLogFormat,
      `${shown(accessLogFormat)} is none of ${FORMATS.join(", ")}`,
    );
  }
  const format = accessLogFormat ?? "json";
  if (accessLog === undefined || accessLog === false) return undefined;
  if (accessLog === true || accessLog === "-") return { path: undefined, format };
  if (typeof accessLog === "string" && accessLog.trim() !== "") return { path: accessLog, format };
  throw invalid("accessLog", accessLog, `${shown(accessLog)} is neither true, false nor a path`);
}

/** @throws {ConfigurationError} where anybody on the network could choose who pays, unless that is said to be meant. */
function checkExposure(host: string, isAuthenticated: boolean, isMeant: boolean): void {
  if (isLoopback(host) || isAuthenticated || isMeant) return;
  throw invalid(
    "host",
    host,
    `${shown(host)} is reached from other machines, and without tokens and users anybody there could choose whose budget pays; configure one of them, or say listenWithoutAuthentication: true`,
  );
}

/**
 * Checks the options, and reads the files that they name.
 * @throws {ConfigurationError} for an unknown option or an impossible value, naming it and the nearest valid.
 */
export function checkGatewayOptions(options: GatewayOptions): GatewayConfiguration {
  if (!isRecord(options)) throw invalid("options", options, "give an object");
  rejectUnknown(options, OPTION_NAMES, "gateway options");
  const upstream = checkUpstream(options.upstream);
  const host = checkHost(options.host);
  const port = checkPort(options.port);
  checkNotItself(upstream, host, port);
  const tokens = [
    ...checkTokens("tokens", options.tokens),
    ...readTokensFile("tokensFile", options.tokensFile),
  ];
  const users = checkUsers("users", options.users);
  const trustedAddresses = checkAddresses("trustedAddresses", options.trustedAddresses);
  const [hasTokens, hasUsers] = [tokens.length > 0, users.size > 0];
  const hasAddresses = (options.trustedAddresses ?? []).length > 0;
  const trust = checkTrust("trust", options.trust, { hasTokens, hasUsers, hasAddresses });
  const isMeant = checkBoolean("listenWithoutAuthentication", options.listenWithoutAuthentication);
  checkExposure(host, hasTokens || hasUsers, isMeant);
  const governing = Object.fromEntries(
    GOVERNING.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]),
  );
  // The ledger is that of the server behind, whoever stands before it.
  const governance = configure({
    ...governing,
    ...checkDefaults("defaults", options.defaults),
    trackingUri: upstream.href,
  });
  return {
    upstream,
    host,
    port,
    adminToken: checkAdminToken(options),
    tokens,
    users,
    trust,
    trustedAddresses,
    allowedHosts: checkHostNames("allowedHosts", options.allowedHosts),
    defaults: governance.attributes,
    adminRoutes: checkBoolean("adminRoutes", options.adminRoutes),
    forwardTokens: checkBoolean("forwardTokens", options.forwardTokens),
    allowForeignRuns: checkBoolean("allowForeignRuns", options.allowForeignRuns),
    tls: checkTls(options.tls),
    limits: checkGatewayLimits("limits", options.limits),
    staticPrefix: checkStaticPrefix(options.staticPrefix),
    accessLog: checkAccessLog(options),
    governance,
  };
}
