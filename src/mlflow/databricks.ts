// Where a Databricks workspace is, and how one is let in: from the environment, or its own file.
// Source: mlflow/utils/databricks_utils.py and legacy_databricks_cli/configure/provider.py (3.17).
import { currentRuntime, environmentVariable } from "../runtime/capabilities.js";
import type { UriCredentials } from "./credentials.js";
import { MlflowError } from "./errors.js";

const DEFAULT_FILE = "~/.databrickscfg";
const DEFAULT_PROFILE = "DEFAULT";

type Field = "host" | "token" | "username" | "password" | "client_id" | "client_secret";
type Profile = Readonly<Partial<Record<Field, string>>>;

const VARIABLES: Readonly<Record<Field, string>> = {
  host: "DATABRICKS_HOST",
  token: "DATABRICKS_TOKEN",
  username: "DATABRICKS_USERNAME",
  password: "DATABRICKS_PASSWORD",
  client_id: "DATABRICKS_CLIENT_ID",
  client_secret: "DATABRICKS_CLIENT_SECRET",
};

export interface DatabricksWorkspace extends UriCredentials {
  /** Such as `https://my-workspace.cloud.databricks.com`. */
  readonly host: string;
}

/**
 * The workspace that `databricks` or `databricks://<profile>` means; undefined for any other URI.
 * A profile that is named, in the URI or by `DATABRICKS_CONFIG_PROFILE`, wins over the environment's
 * `DATABRICKS_HOST` and `DATABRICKS_TOKEN`, which win over the file's `DEFAULT`. A token wins over user
 * name and password, those over a service principal.
 * Throws MlflowError `INVALID_PARAMETER_VALUE` when host or credentials are missing.
 */
export function databricksWorkspace(uri: string): DatabricksWorkspace | undefined {
  if (!/^databricks(:|$)/.test(uri)) return undefined;
  const [, ofUri] = /^databricks:\/\/([^/:]+)\/?$/.exec(uri) ?? [];
  if (uri !== "databricks" && ofUri === undefined) {
    throw unusable(uri, "write databricks, or databricks://<profile> with a profile of the file.");
  }
  const named = ofUri ?? environmentVariable("DATABRICKS_CONFIG_PROFILE");
  const environment = profileOf((field) => environmentVariable(VARIABLES[field]));
  const path = environmentVariable("DATABRICKS_CONFIG_FILE") ?? DEFAULT_FILE;
  const isEnough = named === undefined && environment.host !== undefined;
  const sections = isEnough ? undefined : currentRuntime().files?.readSections?.(path);
  const section = sections?.[named ?? DEFAULT_PROFILE];
  if (named !== undefined && section === undefined) {
    throw unusable(uri, `there is no profile '${named}' in ${path}.`);
  }
  const ofFile = profileOf((field) => section?.[field] || undefined);
  // What lets one in at one workspace is never sent to another.
  const found = named === undefined ? { ...environment, ...ofFile } : ofFile;
  const { host, token, username, password } = found;
  if (host === undefined) {
    throw unusable(uri, `set DATABRICKS_HOST and DATABRICKS_TOKEN, or name them in ${path}.`);
  }
  const address = (/^https?:\/\//.test(host) ? host : `https://${host}`).replace(/\/+$/, "");
  if (token !== undefined) return { host: address, token };
  if (username !== undefined && password !== undefined) {
    return { host: address, username, password };
  }
  const { client_id: clientId, client_secret: clientSecret } = found;
  if (clientId !== undefined && clientSecret !== undefined) {
    return { host: address, principal: { host: address, clientId, clientSecret } };
  }
  throw unusable(
    uri,
    `there are no credentials for ${host}: set DATABRICKS_TOKEN, or DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, or 'token', or 'client_id' and 'client_secret' in ${path}.`,
  );
}

function profileOf(read: (field: Field) => string | undefined): Profile {
  const fields = (Object.keys(VARIABLES) as Field[]).map((field) => [field, read(field)] as const);
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined));
}

function unusable(uri: string, advice: string): MlflowError {
  return new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `This client cannot use the tracking or registry URI '${uri}': ${advice}`,
  );
}
