// Which kind of store a tracking or registry URI names.
import { currentRuntime, environmentVariable } from "../runtime/capabilities.js";
import { type ConnectionOptions, checkConnection } from "./connection.js";
import type { UriCredentials } from "./credentials.js";
import { databricksWorkspace } from "./databricks.js";
import { MlflowError } from "./errors.js";
import { withoutCredentials } from "./redaction.js";

export type StoreLocation =
  | (UriCredentials & {
      readonly kind: "rest";
      /** Without credentials and without a trailing slash. */
      readonly uri: string;
    })
  | { readonly kind: "files"; readonly uri: string };

/** The scheme of a URI in lower case, or undefined for a plain path (also `C:\...`). */
export function schemeOf(uri: string): string | undefined {
  return /^([a-zA-Z][a-zA-Z0-9+.-]+):/.exec(uri)?.[1]?.toLowerCase();
}

/** An address of a server whose scheme was forgotten: `localhost:5000`, `10.0.0.7:5000/mlflow`. */
const HOST_AND_PORT = /^(?:localhost|[\w-]+(?:\.[\w-]+)+):\d{1,5}(?=\/|$)/;

/**
 * Understands a tracking or registry URI: `http:`, `https:`, `databricks`, `file:` or a plain path.
 * Throws MlflowError `INVALID_PARAMETER_VALUE` for anything else, naming the alternative.
 */
export function locateStore(uri: string): StoreLocation {
  const address = typeof uri === "string" ? HOST_AND_PORT.exec(uri)?.[0] : undefined;
  // Nobody means a folder, or a scheme, of such a name.
  if (address !== undefined) throw unsupported(uri, `did you mean http://${uri}?`);
  if (typeof uri !== "string") {
    throw unsupported(String(uri), "pass a text, such as http://localhost:5000.");
  }
  const scheme = schemeOf(uri);
  if (scheme === "http" || scheme === "https") return restLocation(uri);
  const workspace = databricksWorkspace(uri);
  if (workspace !== undefined) {
    const { host, ...credentials } = workspace;
    const location = restLocation(host);
    return { ...location, ...credentials };
  }
  if (/^(databricks-uc|uc|unity-catalog)(:|$)/.test(uri)) {
    throw unsupported(
      uri,
      "models in Unity Catalog have another interface; use databricks, or the URI of an MLflow server, such as http://localhost:5000.",
    );
  }
  if (scheme === undefined || scheme === "file") {
    const files = currentRuntime().files;
    if (files === undefined) {
      throw unsupported(
        uri,
        "there are no local files in this runtime; use the URI of an MLflow server, such as http://localhost:5000.",
      );
    }
    if (uri.trim() === "") throw unsupported(uri, "pass a folder or the URI of an MLflow server.");
    if (scheme === undefined) return { kind: "files", uri: trimSlash(files.toFileUri(uri)) };
    const relative = /^file:(?!\/)(.+)$/.exec(uri)?.[1];
    const absolute = relative === undefined ? normalizedFileUri(uri) : files.toFileUri(relative);
    return { kind: "files", uri: trimSlash(absolute) };
  }
  if (/^(sqlite|mysql|postgresql|postgres|mssql|oracle)(\+.*)?$/.test(scheme)) {
    throw unsupported(
      uri,
      `start a server in front of the database (mlflow server --backend-store-uri <that URI>) and use its address, such as http://localhost:5000.`,
    );
  }
  throw unsupported(
    uri,
    "use the URI of an MLflow server (http:// or https://), a file: URI, or a folder.",
  );
}

function restLocation(uri: string): StoreLocation {
  let parsed: URL;
  try {
    parsed = new URL(uri);
  } catch {
    throw unsupported(uri, "it is not a valid URL; use one such as http://localhost:5000.");
  }
  let username: string;
  let password: string;
  try {
    username = decodeURIComponent(parsed.username);
    password = decodeURIComponent(parsed.password);
  } catch {
    throw unsupported(uri, "write a '%' in its user name or password as '%25'.");
  }
  return {
    kind: "rest",
    uri: trimSlash(`${parsed.protocol}//${parsed.host}${parsed.pathname}`),
    username: username === "" ? undefined : username,
    password: password === "" ? undefined : password,
  };
}

function normalizedFileUri(uri: string): string {
  let parsed: URL;
  try {
    parsed = new URL(uri);
  } catch {
    throw unsupported(uri, "it is not a valid URL; write file:///path/to/folder.");
  }
  if (parsed.host !== "" && parsed.host !== "localhost") {
    throw unsupported(uri, "a file: URI cannot name a host; write file:///path/to/folder.");
  }
  return `file://${parsed.pathname}`;
}

function trimSlash(uri: string): string {
  return uri.replace(/(?<!\/)\/+$/, "");
}

function unsupported(uri: string, advice: string): MlflowError {
  return new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `This client cannot use the tracking or registry URI '${withoutCredentials(uri)}': ${advice}`,
  );
}

interface ChosenStore {
  readonly uri: string;
  readonly connection: ConnectionOptions;
}

let chosenTracking: ChosenStore | undefined;
let chosenRegistry: ChosenStore | undefined;

function checkedChoice(
  where: string,
  given: string | URL,
  connection: ConnectionOptions,
): ChosenStore {
  checkConnection(where, connection);
  const uri = given instanceof URL ? given.href : given;
  locateStore(uri);
  return { uri, connection };
}

const NO_OPTIONS: ConnectionOptions = {};

/** What was said about the connection to a URI when it was set; the same object until it is set anew. */
export function connectionTo(uri: string): ConnectionOptions {
  if (uri === chosenTracking?.uri) return chosenTracking.connection;
  return uri === chosenRegistry?.uri ? chosenRegistry.connection : NO_OPTIONS;
}

/**
 * Sets the tracking URI of this process, and how it is reached; checked at once.
 * Throws MlflowError `INVALID_PARAMETER_VALUE`.
 */
export function setTrackingUri(
  uri: string | URL,
  connection: ConnectionOptions = NO_OPTIONS,
): void {
  chosenTracking = checkedChoice("setTrackingUri", uri, connection);
}

/**
 * The tracking URI in force: the one set, else `MLFLOW_TRACKING_URI`, else the folder `./mlruns`
 * where there are local files. Throws MlflowError `INVALID_PARAMETER_VALUE` when there is none.
 */
export function getTrackingUri(): string {
  const uri = chosenTracking?.uri ?? environmentVariable("MLFLOW_TRACKING_URI");
  if (uri !== undefined) return uri;
  const files = currentRuntime().files;
  if (files !== undefined) return files.toFileUri("mlruns");
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    "No tracking URI is set. Call setTrackingUri() with the address of an MLflow server, such as http://localhost:5000.",
  );
}

/** Has somebody said where to track: this program, or `MLFLOW_TRACKING_URI`? */
export function isTrackingUriSet(): boolean {
  return (chosenTracking?.uri ?? environmentVariable("MLFLOW_TRACKING_URI")) !== undefined;
}

/**
 * Sets the model registry's URI of this process, and how it is reached; checked at once.
 * Throws MlflowError `INVALID_PARAMETER_VALUE`.
 */
export function setRegistryUri(
  uri: string | URL,
  connection: ConnectionOptions = NO_OPTIONS,
): void {
  chosenRegistry = checkedChoice("setRegistryUri", uri, connection);
}

/** The registry URI in force: the one set, else `MLFLOW_REGISTRY_URI`, else the tracking URI. */
export function getRegistryUri(): string {
  return explicitRegistryUri() ?? getTrackingUri();
}

/** The registry URI somebody asked for; undefined means the tracking URI serves. */
export function explicitRegistryUri(): string | undefined {
  return chosenRegistry?.uri ?? environmentVariable("MLFLOW_REGISTRY_URI");
}
