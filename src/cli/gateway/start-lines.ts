// What a person is told when the gateway listens: where it is, and what clients must set.
import type { GatewayConfiguration } from "../../gateway/configuration.js";
import { VERSION } from "../../version.js";

/** Tokens shorter than this can be guessed. */
const SHORT_TOKEN = 16;

/** What every client sets; with attributes in it where the path is what is believed. */
function exportsOf({ trust, staticPrefix }: GatewayConfiguration, uri: string): string[] {
  const lines = [`export MLFLOW_TRACKING_URI=${uri}${staticPrefix}`];
  if (trust.includes("path")) {
    lines.push(`or, to say who pays: ${uri}/g/team=NAME,project=NAME${staticPrefix}`);
  }
  if (trust.includes("token")) lines.push("export MLFLOW_TRACKING_TOKEN=… (its access token)");
  if (trust.includes("user")) {
    lines.push("export MLFLOW_TRACKING_USERNAME=… MLFLOW_TRACKING_PASSWORD=…");
  }
  return lines;
}

/** Lines for a terminal. No secret is in any of them. */
export function startLines(configuration: GatewayConfiguration, uri: string): string[] {
  const { upstream, adminToken } = configuration;
  const page =
    adminToken === undefined
      ? "closed; set GENOPS_GATEWAY_ADMIN_TOKEN to open it"
      : "asks for the admin token";
  return [
    `genops gateway ${VERSION} listens on ${uri}, before ${upstream.origin}${upstream.pathname.replace(/\/$/, "")}`,
    ...exportsOf(configuration, uri).map((line) => `  ${line}`),
    `  ${uri}/genops/ ${page}`,
  ];
}

/** The same for a program. */
export function startDocument(configuration: GatewayConfiguration, uri: string): object {
  const { upstream, adminToken, trust, governance } = configuration;
  return {
    event: "listening",
    version: VERSION,
    pid: process.pid,
    uri,
    trackingUri: uri,
    operatorUri: `${uri}/genops/`,
    operatorOpen: adminToken !== undefined,
    upstream: upstream.href,
    trust,
    budgets: governance.limits.budgets.map(({ name }) => name),
  };
}

/** What is allowed and yet unwise. */
export function cautionsOf(configuration: GatewayConfiguration): string[] {
  const { tokens, adminToken, users, host, tls } = configuration;
  const isLocal = /^(127\.|::1$|localhost$)/.test(host);
  const cautions: string[] = [];
  if (tokens.some((grant) => "token" in grant && grant.token.length < SHORT_TOKEN)) {
    cautions.push(
      `a token is shorter than ${SHORT_TOKEN} characters, and can be guessed; openssl rand -hex 32 makes a good one`,
    );
  }
  if (adminToken !== undefined && adminToken.length < SHORT_TOKEN) {
    cautions.push(`the admin token is shorter than ${SHORT_TOKEN} characters, and can be guessed`);
  }
  if (!isLocal && tls === undefined && (tokens.length > 0 || users.size > 0)) {
    cautions.push(
      "tokens and passwords go over the network unencrypted; configure tls, or have a proxy in front speak HTTPS",
    );
  }
  if (!isLocal && tokens.length === 0 && users.size === 0) {
    cautions.push("anybody who can connect chooses whose budget pays, as it was said to be meant");
  }
  return cautions;
}
