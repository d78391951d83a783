// Who a request says it comes from.
// Source: mlflow/utils/credentials.py (3.17); user name and password win over a token, as there.
import { currentRuntime, environmentVariable } from "../runtime/capabilities.js";
import type { ConnectionOptions, ConnectionSettings } from "./connection.js";
import { MlflowError } from "./errors.js";

const CREDENTIALS_FILE = "~/.mlflow/credentials";

/** A service principal of a Databricks workspace. */
export interface ServicePrincipal {
  /** Of the workspace, such as `https://my-workspace.cloud.databricks.com`. */
  readonly host: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

export type TokenSource = (
  principal: ServicePrincipal,
  settings: ConnectionSettings,
) => Promise<string>;

let tokenOf: TokenSource | undefined;

/** Lets service principals in, where a secret can be kept: no page has one. */
export function registerServicePrincipals(source: TokenSource): void {
  tokenOf = source;
}

/** `user name:password` as a header has it. */
export function basicAuthorization(username: string, password: string): string {
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

/** Credentials that came with a store's URI. */
export interface UriCredentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** Who asks the workspace for a token. */
  readonly principal?: ServicePrincipal | undefined;
}

/**
 * The `Authorization` header: from the options, else the URI, else the environment, else the
 * credentials file; undefined when nobody says who it is.
 */
export async function authorization(
  options: ConnectionOptions,
  uri: UriCredentials,
  settings: ConnectionSettings,
): Promise<string | undefined> {
  const isTold = options.username !== undefined || options.password !== undefined;
  const token = options.token ?? (isTold ? undefined : uri.token);
  if (token !== undefined) return `Bearer ${token}`;
  if (uri.principal !== undefined && !isTold) {
    if (tokenOf !== undefined) return `Bearer ${await tokenOf(uri.principal, settings)}`;
    throw new MlflowError("NOT_IMPLEMENTED", "Here a Databricks workspace needs a token.");
  }
  const { username, password } = completed(
    options.username ?? uri.username,
    options.password ?? uri.password,
  );
  if (username !== undefined && password !== undefined) {
    return basicAuthorization(username, password);
  }
  const ofEnvironment = environmentVariable("MLFLOW_TRACKING_TOKEN");
  return ofEnvironment === undefined ? undefined : `Bearer ${ofEnvironment}`;
}

/** What is not given comes from the environment, else from MLflow's credentials file, which is read once for both. */
function completed(
  username = environmentVariable("MLFLOW_TRACKING_USERNAME"),
  password = environmentVariable("MLFLOW_TRACKING_PASSWORD"),
) {
  if (username !== undefined && password !== undefined) return { username, password };
  const section = currentRuntime().files?.readSections?.(CREDENTIALS_FILE)?.mlflow;
  return {
    username: username ?? (section?.mlflow_tracking_username || undefined),
    password: password ?? (section?.mlflow_tracking_password || undefined),
  };
}
