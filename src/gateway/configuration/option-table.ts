// The gateway's options by name: one table for files, `GENOPS_GATEWAY_*` variables, flags and the help text.

/** How text of a variable or a flag becomes a value. */
export type OptionKind = "text" | "number" | "boolean" | "list" | "attributes" | "json" | "switch";

export interface OptionEntry {
  readonly name: string;
  readonly kind: OptionKind;
  /** How its value is called in the help text; none for what is only on or off. */
  readonly placeholder?: string;
  readonly help: string;
  /** Is it a path, or may it be one? In a file it is then meant from the file's folder. */
  readonly isPath?: true;
}

export const GATEWAY_OPTIONS: readonly OptionEntry[] = [
  {
    name: "upstream",
    kind: "text",
    placeholder: "url",
    help: "the MLflow server behind the gateway",
  },
  { name: "host", kind: "text", placeholder: "address", help: "address to listen on (127.0.0.1)" },
  { name: "port", kind: "number", placeholder: "number", help: "port to listen on (5001)" },
  {
    name: "adminToken",
    kind: "text",
    placeholder: "token",
    help: "opens /genops/; seen by other users of the machine when it is a flag",
  },
  {
    name: "adminTokenFile",
    kind: "text",
    placeholder: "path",
    help: "file that holds the admin token",
    isPath: true,
  },
  { name: "tokens", kind: "json", placeholder: "json", help: "access token → attributes" },
  {
    name: "tokensFile",
    kind: "text",
    placeholder: "path",
    help: "YAML or JSON file of access tokens",
    isPath: true,
  },
  { name: "users", kind: "json", placeholder: "json", help: "basic-auth user → attributes" },
  {
    name: "trust",
    kind: "list",
    placeholder: "sources",
    help: "who is believed, in order: token,user,path,header,tag",
  },
  {
    name: "trustedAddresses",
    kind: "list",
    placeholder: "addresses",
    help: "whose x-genops-* headers are believed: 10.0.0.0/8,::1",
  },
  {
    name: "allowedHosts",
    kind: "list",
    placeholder: "names",
    help: "names that the gateway is called by: gateway.internal",
  },
  {
    name: "defaults",
    kind: "attributes",
    placeholder: "pairs",
    help: "attributes of what names none: team=ml-team,project=search",
  },
  {
    name: "listenWithoutAuthentication",
    kind: "boolean",
    help: "listen beyond this machine without tokens and users: anybody then chooses who pays",
  },
  {
    name: "adminRoutes",
    kind: "boolean",
    help: "let everybody reach MLflow's users and permissions; MLflow still decides",
  },
  {
    name: "forwardTokens",
    kind: "boolean",
    help: "send access tokens on to the MLflow server",
  },
  {
    name: "allowForeignRuns",
    kind: "boolean",
    help: "let callers write to runs that others pay for",
  },
  { name: "budgets", kind: "json", placeholder: "json", help: "limits on what may be used" },
  {
    name: "budgetDailyLimit",
    kind: "text",
    placeholder: "usd",
    help: "USD a UTC day that is warned of",
  },
  { name: "rateLimits", kind: "json", placeholder: "json", help: "limits on calls a time" },
  { name: "policies", kind: "json", placeholder: "json", help: "what must hold" },
  {
    name: "policyFile",
    kind: "text",
    placeholder: "path",
    help: "file with policies, budgets and rate limits",
    isPath: true,
  },
  { name: "pricing", kind: "json", placeholder: "json", help: "prices other than the defaults" },
  {
    name: "storageBackends",
    kind: "json",
    placeholder: "json",
    help: "beginning of an artifact URI → storage backend",
  },
  {
    name: "samplingRate",
    kind: "number",
    placeholder: "share",
    help: "operations whose spans are sent, 0 to 1 (1)",
  },
  {
    name: "runCapacity",
    kind: "number",
    placeholder: "number",
    help: "runs that the ledger tells apart (65536)",
  },
  {
    name: "journal",
    kind: "switch",
    placeholder: "on|off|path",
    help: "keep what was spent across restarts (on)",
    isPath: true,
  },
  {
    name: "auditLog",
    kind: "text",
    placeholder: "path",
    help: "hash-chained trail of decisions",
    isPath: true,
  },
  {
    name: "accessLog",
    kind: "switch",
    placeholder: "on|off|path",
    help: "a line a request, on stdout or in a file (off)",
    isPath: true,
  },
  {
    name: "accessLogFormat",
    kind: "text",
    placeholder: "format",
    help: "json or combined (json)",
  },
  {
    name: "tls",
    kind: "json",
    placeholder: "json",
    help: "certFile and keyFile, PEM",
    isPath: true,
  },
  {
    name: "limits",
    kind: "json",
    placeholder: "json",
    help: "sizes, times and connections that are too much",
  },
  {
    name: "staticPrefix",
    kind: "text",
    placeholder: "path",
    help: "the MLflow server's --static-prefix",
  },
];

/** `adminToken` → `GENOPS_GATEWAY_ADMIN_TOKEN`. */
export function variableOf(name: string): string {
  return `GENOPS_GATEWAY_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** `adminToken` → `--admin-token`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
