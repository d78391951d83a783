// How a client reaches its server: who it is, how patient it is, whom it trusts.
// Source of the variables: mlflow/environment_variables.py and mlflow/utils/credentials.py (3.17).
import { environmentVariable } from "../runtime/capabilities.js";
import { invalidParameter, MlflowError } from "./errors.js";
import { checkOptions } from "./validation.js";

/** Names and values of HTTP headers. */
export type RequestHeaders = Readonly<Record<string, string>>;

/**
 * What a client may be told about its connection. What is left out comes from the variable named
 * beside it, read anew for each call, as Python's client does.
 */
export interface ConnectionOptions {
  /** Basic authentication. `MLFLOW_TRACKING_USERNAME`, else the file `~/.mlflow/credentials`. */
  readonly username?: string | undefined;
  /** `MLFLOW_TRACKING_PASSWORD`, else the file `~/.mlflow/credentials`. */
  readonly password?: string | undefined;
  /** Bearer authentication. `MLFLOW_TRACKING_TOKEN`. */
  readonly token?: string | undefined;
  /** Sent as `X-MLFLOW-WORKSPACE`. `MLFLOW_WORKSPACE`. */
  readonly workspace?: string | undefined;
  /** Sent with every request; a function is asked anew for each. No variable. */
  readonly headers?:
    | RequestHeaders
    | (() => RequestHeaders | PromiseLike<RequestHeaders>)
    | undefined;
  /**
   * Seconds without progress after which a request is given up, above 0 (Node's own `fetch` gives up
   * after 300). `MLFLOW_HTTP_REQUEST_TIMEOUT`, else 120.
   */
  readonly timeoutSeconds?: number | undefined;
  /** Attempts after the first, 0 to 10. `MLFLOW_HTTP_REQUEST_MAX_RETRIES`, else 7. */
  readonly maxRetries?: number | undefined;
  /** Seconds that delays between attempts grow from, 0 to 120. `MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR`, else 2. */
  readonly backoffFactorSeconds?: number | undefined;
  /** Most seconds added to a delay at random, from 0. `MLFLOW_HTTP_REQUEST_BACKOFF_JITTER`, else 1. */
  readonly backoffJitterSeconds?: number | undefined;
  /**
   * Calls to one server at once, 1 to 10,000; more wait for their turn, as a server's database has few
   * connections. Files do not count. `MLFLOW_HTTP_POOL_MAXSIZE`, else 10.
   */
  readonly maxConcurrentRequests?: number | undefined;
  /** Waits as long as a server asks, up to 300 s. `MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER`, else true. */
  readonly respectRetryAfter?: boolean | undefined;
  /** Accepts any certificate; for tests. `MLFLOW_TRACKING_INSECURE_TLS`, else false. */
  readonly insecureTls?: boolean | undefined;
  /** PEM file of the authorities trusted. `MLFLOW_TRACKING_SERVER_CERT_PATH`. */
  readonly serverCertPath?: string | undefined;
  /** PEM file with the client's own certificate and key. `MLFLOW_TRACKING_CLIENT_CERT_PATH`. */
  readonly clientCertPath?: string | undefined;
}

/** A connection as one call uses it. */
export interface ConnectionSettings {
  readonly timeoutMs: number;
  readonly maxRetries: number;
  readonly backoffFactorMs: number;
  readonly backoffJitterMs: number;
  readonly maxConcurrentRequests: number;
  readonly respectRetryAfter: boolean;
  readonly insecureTls: boolean;
  readonly serverCertPath: string | undefined;
  readonly clientCertPath: string | undefined;
}

const TEXTS = [
  "username",
  "password",
  "token",
  "workspace",
  "serverCertPath",
  "clientCertPath",
] as const;

/** Numbers: variable, default, least and most. */
const NUMBERS = {
  timeoutSeconds: ["MLFLOW_HTTP_REQUEST_TIMEOUT", 120, 0.001, 86_400],
  maxRetries: ["MLFLOW_HTTP_REQUEST_MAX_RETRIES", 7, 0, 10],
  backoffFactorSeconds: ["MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", 2, 0, 120],
  backoffJitterSeconds: ["MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", 1, 0, 120],
  maxConcurrentRequests: ["MLFLOW_HTTP_POOL_MAXSIZE", 10, 1, 10_000],
} as const;

/** Switches: variable and default. */
const SWITCHES = {
  respectRetryAfter: ["MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", true],
  insecureTls: ["MLFLOW_TRACKING_INSECURE_TLS", false],
} as const;

/** Variables that move a limit of the numbers above, as in Python. */
const LIMIT_VARIABLES: Readonly<Record<string, string>> = {
  maxRetries: "_MLFLOW_HTTP_REQUEST_MAX_RETRIES_LIMIT",
  backoffFactorSeconds: "_MLFLOW_HTTP_REQUEST_MAX_BACKOFF_FACTOR_LIMIT",
};

type NumberName = keyof typeof NUMBERS;
const WHOLE_NUMBERS: readonly NumberName[] = ["maxRetries", "maxConcurrentRequests"];
type SwitchName = keyof typeof SWITCHES;

export const CONNECTION_OPTIONS: readonly string[] = [
  ...TEXTS,
  "headers",
  ...Object.keys(NUMBERS),
  ...Object.keys(SWITCHES),
];

/** Throws MlflowError `INVALID_PARAMETER_VALUE`, naming the option. */
export function checkConnection(where: string, options: ConnectionOptions): void {
  checkOptions(where, options, CONNECTION_OPTIONS);
  for (const name of TEXTS) {
    const value = options[name];
    if (value !== undefined && (typeof value !== "string" || value === "")) {
      const shown = name === "password" || name === "token" ? "(hidden)" : value;
      throw invalidParameter(name, shown, "pass a non-empty text, or leave it out.");
    }
  }
  for (const name of Object.keys(NUMBERS) as NumberName[]) {
    const value = options[name];
    if (value !== undefined) checkNumber(name, value, limitsOf(name));
  }
  for (const name of Object.keys(SWITCHES) as SwitchName[]) {
    const value = options[name];
    if (value !== undefined && typeof value !== "boolean") {
      throw invalidParameter(name, value, "pass true or false.");
    }
  }
  const { headers, token, username, insecureTls, serverCertPath } = options;
  if (headers !== undefined && typeof headers !== "function") checkHeaders(headers);
  if (token !== undefined && username !== undefined) {
    throw invalidParameter("token", "(hidden)", "pass either a token, or username and password.");
  }
  if (insecureTls === true && serverCertPath !== undefined) {
    const fix = "insecureTls accepts any certificate; pass one of the two.";
    throw invalidParameter("serverCertPath", serverCertPath, fix);
  }
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE`, naming the header. */
export function checkHeaders(headers: RequestHeaders): void {
  if (typeof headers !== "object" || headers === null || Array.isArray(headers)) {
    throw invalidParameter("headers", headers, "pass an object of names and values.");
  }
  for (const [name, value] of Object.entries(headers)) {
    try {
      if (typeof value !== "string") throw new TypeError("no text");
      new Headers({ [name]: value });
    } catch {
      // The value may be a secret.
      throw invalidParameter(
        "headers",
        name,
        "a header needs a name of letters, digits and dashes, and a text without line breaks.",
      );
    }
  }
}

/** What the options say, else the environment. Throws MlflowError `INVALID_PARAMETER_VALUE`. */
export function connectionSettings(options: ConnectionOptions): ConnectionSettings {
  const number = (name: NumberName) => options[name] ?? numberVariable(name);
  const isOn = (name: SwitchName) => {
    const [variable, byDefault] = SWITCHES[name];
    return options[name] ?? booleanVariable(variable, byDefault);
  };
  const insecureTls = isOn("insecureTls");
  const serverCertPath =
    options.serverCertPath ?? environmentVariable("MLFLOW_TRACKING_SERVER_CERT_PATH");
  if (insecureTls && serverCertPath !== undefined && options.insecureTls === undefined) {
    const fix = "MLFLOW_TRACKING_INSECURE_TLS accepts any certificate; unset one of the two.";
    throw invalidParameter("MLFLOW_TRACKING_SERVER_CERT_PATH", serverCertPath, fix);
  }
  return {
    timeoutMs: 1000 * number("timeoutSeconds"),
    maxRetries: number("maxRetries"),
    backoffFactorMs: 1000 * number("backoffFactorSeconds"),
    backoffJitterMs: 1000 * number("backoffJitterSeconds"),
    maxConcurrentRequests: number("maxConcurrentRequests"),
    respectRetryAfter: isOn("respectRetryAfter"),
    insecureTls,
    serverCertPath: insecureTls ? undefined : serverCertPath,
    clientCertPath:
      options.clientCertPath ?? environmentVariable("MLFLOW_TRACKING_CLIENT_CERT_PATH"),
  };
}

interface Limits {
  readonly least: number;
  readonly most: number;
}

function limitsOf(name: NumberName): Limits {
  const [, , least, most] = NUMBERS[name];
  const moved = environmentVariable(LIMIT_VARIABLES[name] ?? "");
  return { least, most: moved === undefined ? most : Number(moved) };
}

function isInside(value: number, { least, most }: Limits): boolean {
  return value >= least && value <= most;
}

function checkNumber(name: NumberName, value: unknown, limits: Limits): void {
  const mustBeWhole = WHOLE_NUMBERS.includes(name);
  const isRight = typeof value === "number" && (!mustBeWhole || Number.isInteger(value));
  if (isRight && isInside(value, limits)) return;
  const kind = mustBeWhole ? "a whole number" : "a number";
  throw invalidParameter(name, value, `pass ${kind} from ${limits.least} to ${limits.most}.`);
}

function numberVariable(name: NumberName): number {
  const [variable, byDefault] = NUMBERS[name];
  const text = environmentVariable(variable);
  if (text === undefined) return byDefault;
  const value = Number(text);
  const limits = limitsOf(name);
  if (!isInside(value, limits)) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Invalid value '${text}' for the environment variable ${variable}: pass a number from ${limits.least} to ${limits.most}.`,
    );
  }
  return value;
}

/** A variable that is on or off. Throws MlflowError `INVALID_PARAMETER_VALUE`. */
export function booleanVariable(variable: string, byDefault: boolean): boolean {
  const text = environmentVariable(variable);
  switch (text?.toLowerCase()) {
    case undefined:
      return byDefault;
    case "true":
    case "1":
      return true;
    case "false":
    case "0":
      return false;
  }
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `Invalid value '${text}' for the environment variable ${variable}: use true, false, 1 or 0.`,
  );
}
