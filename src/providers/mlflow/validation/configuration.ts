// Configuration: options and variables, each that is wrong told, and who pays.
import {
  ATTRIBUTE_NAMES,
  ATTRIBUTES,
  type GovernanceAttributes,
} from "../../../governance/attribution.js";
import { type AdapterOptions, configure, OPTIONS } from "../../../governance/configuration.js";
import { ConfigurationError } from "../../../governance/errors.js";
import { connectionSettings } from "../../../mlflow/connection.js";
import { reasonOf } from "../../../mlflow/errors.js";
import { withoutCredentials } from "../../../mlflow/redaction.js";
import { explicitRegistryUri, getTrackingUri, locateStore } from "../../../mlflow/store-uri.js";
import { nearestName } from "../../../nearest-name.js";
import { withoutVariables } from "../../../runtime/capabilities.js";
import { type Check, type Found, type Setup, Skipped } from "./check.js";

/** The variable of an option. */
export function optionVariable(option: string): string {
  return `GENOPS_${option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** Values that are right, to show where one is wrong. */
const EXAMPLES: Readonly<Record<string, string>> = {
  samplingRate: "1",
  runCapacity: "65536",
  pricing: `'{"trackingApiCall":"0.0001"}'`,
  storageBackends: "mlflow-artifacts:=s3",
  budgetDailyLimit: "10",
  budgets: `'[{"name":"day","limit":"10","period":"day"}]'`,
  policies: `'{"requireTags":["owner"]}'`,
  policyFile: "genops-policy.yaml",
  asyncExport: "true",
  rateLimits: `'[{"name":"calls","operations":100,"per":"second"}]'`,
  ...Object.fromEntries(ATTRIBUTES.map((name) => [name, `"your-${name.toLowerCase()}"`])),
};

function optionFix(field: string, error: ConfigurationError): string {
  const [root = field] = field.split(/[.[]/);
  const option = OPTIONS.find((name) => name === root || optionVariable(name) === root);
  const example = option === undefined ? undefined : EXAMPLES[option];
  if (root.startsWith("GENOPS_")) {
    return example === undefined ? `unset ${root}` : `export ${root}=${example}`;
  }
  if (error.suggestion !== undefined) return `write ${error.suggestion} instead of ${error.field}`;
  return example === undefined ? `leave ${root} out` : `${root}: ${example}`;
}

/** Reads the options as the adapter does; what is wrong is told and left out, until the rest is right. */
function readOptions(setup: Setup, found: Found): void {
  const options: Record<string, unknown> = { ...setup.adapter };
  const hidden = new Set<string>();
  let isRight = true;
  for (;;) {
    try {
      const configuration = withoutVariables(hidden, () => configure(options as AdapterOptions));
      if (isRight) setup.configuration = configuration;
      return;
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      isRight = false;
      const [root = ""] = error.field.split(/[.[]/);
      found({
        code: error.code === "UNKNOWN_OPTION" ? "OPTION_UNKNOWN" : "OPTION_INVALID",
        severity: "error",
        message: `${root} cannot be used: no adapter can be made.`,
        cause: error.message,
        fix: optionFix(error.field, error),
      });
      const unknown = error.code === "UNKNOWN_OPTION" ? error.field : root;
      if (unknown in options) delete options[unknown];
      else if (!hidden.has(root)) hidden.add(root);
      else return;
    }
  }
}

export const optionsCheck: Check = {
  name: "options",
  area: "configuration",
  run(setup, found) {
    // Prices are checked by it.
    if (!setup.hasEngine) throw new Skipped("the engine cannot be started");
    readOptions(setup, found);
    const { configuration } = setup;
    if (configuration === undefined) return "options that cannot be used";
    setup.configured.samplingRate = String(configuration.samplingRate);
    return "every option can be used";
  },
};

/** Is it a variable of a part that has its own names? */
function isForeign(variable: string): boolean {
  return /^GENOPS_(GATEWAY|TEST)_/.test(variable);
}

/** Where what outlives the process is kept. */
const STATE_FOLDER = "GENOPS_STATE_DIR";

function tellUnknownVariables(found: Found): void {
  const known = [...OPTIONS.map(optionVariable), STATE_FOLDER];
  for (const variable of Object.keys(process.env)) {
    if (!variable.startsWith("GENOPS_") || known.includes(variable) || isForeign(variable))
      continue;
    const meant = nearestName(variable, known);
    found({
      code: "VARIABLE_UNKNOWN",
      severity: meant === undefined ? "info" : "warning",
      message: `Nobody reads the variable ${variable}.`,
      cause: meant === undefined ? "It is no option of genops." : `It is close to ${meant}.`,
      fix:
        meant === undefined
          ? `unset ${variable}`
          : `export ${meant}="$${variable}"; unset ${variable}`,
    });
  }
}

function tellConnection(found: Found): void {
  const hidden = new Set<string>();
  for (;;) {
    try {
      withoutVariables(hidden, () => connectionSettings({}));
      return;
    } catch (error) {
      const reason = reasonOf(error);
      const variable = /\b_?MLFLOW_[A-Z_]+/.exec(reason)?.[0] ?? "";
      found({
        code: "VARIABLE_INVALID",
        severity: "error",
        message: `${variable || "A variable of the connection"} cannot be used: no call can be made.`,
        cause: reason,
        fix: `unset ${variable}`,
      });
      if (variable === "" || hidden.has(variable)) return;
      hidden.add(variable);
    }
  }
}

function tellCredentials(found: Found): void {
  const { MLFLOW_TRACKING_USERNAME: username, MLFLOW_TRACKING_PASSWORD: password } = process.env;
  if (Boolean(username) === Boolean(password)) return;
  const missing = username ? "MLFLOW_TRACKING_PASSWORD" : "MLFLOW_TRACKING_USERNAME";
  found({
    code: "CREDENTIALS_INCOMPLETE",
    severity: "warning",
    message: "A user name and a password go together.",
    cause: `${missing} is not set.`,
    fix: `export ${missing}="…"   # or put both into ~/.mlflow/credentials`,
  });
}

/** A URI that the client can use, or undefined and an issue. */
function usableUri(uri: string, variable: string, code: string, found: Found): string | undefined {
  try {
    locateStore(uri);
    return uri;
  } catch (error) {
    found({
      code,
      severity: "error",
      message: `${variable} is nothing that the client can use.`,
      cause: reasonOf(error),
      fix: `export ${variable}=http://localhost:5000`,
    });
    return undefined;
  }
}

export const environmentCheck: Check = {
  name: "environment",
  area: "configuration",
  run(setup, found) {
    tellUnknownVariables(found);
    tellConnection(found);
    tellCredentials(found);
    const tracking = setup.adapter.trackingUri ?? getTrackingUri();
    const registry = setup.adapter.registryUri ?? explicitRegistryUri();
    if (typeof tracking !== "string" || typeof (registry ?? "") !== "string") {
      throw new Skipped("a URI that is no text was told with the options");
    }
    setup.configured.trackingUri = withoutCredentials(tracking);
    setup.trackingUri = usableUri(tracking, "MLFLOW_TRACKING_URI", "TRACKING_URI_INVALID", found);
    if (registry !== undefined) {
      setup.configured.registryUri = withoutCredentials(registry);
      setup.registryUri = usableUri(registry, "MLFLOW_REGISTRY_URI", "REGISTRY_URI_INVALID", found);
      // What is told is not to be asked for again where it cannot be.
      if (setup.registryUri === undefined) setup.trackingUri = undefined;
    }
    const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT } = process.env;
    const endpoint = OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || OTEL_EXPORTER_OTLP_ENDPOINT;
    if (endpoint) setup.configured.otlpEndpoint = withoutCredentials(endpoint);
    return `tracking in ${withoutCredentials(tracking)}`;
  },
};

/** Attributes that the GenOps specification asks for, and what it means to do without. */
const WANTED: Readonly<Record<"team" | "project" | "environment", string>> = {
  team: "costs are under (unattributed), and nobody's budget pays",
  project: "costs are under (unattributed) in every breakdown by project",
  environment: "telemetry does not conform to the GenOps specification without one",
};

export const attributesCheck: Check = {
  name: "attributes",
  area: "configuration",
  run(setup, found) {
    const attributes: GovernanceAttributes = setup.configuration?.attributes ?? {};
    for (const name of ATTRIBUTES) {
      const value = attributes[name];
      if (value !== undefined) setup.configured[`genops.${ATTRIBUTE_NAMES[name]}`] = value;
    }
    if (setup.configuration === undefined) throw new Skipped("the options cannot be used");
    for (const [name, consequence] of Object.entries(WANTED)) {
      if (attributes[name as keyof typeof WANTED] !== undefined) continue;
      found({
        code: `${name.toUpperCase()}_MISSING`,
        severity: name === "environment" ? "info" : "warning",
        message: `No ${name} is configured: ${consequence}.`,
        cause: `Neither the option ${name} nor ${optionVariable(name)} is set.`,
        fix: `export ${optionVariable(name)}="${name === "environment" ? "development" : `your-${name}`}"`,
      });
    }
    const given = ATTRIBUTES.filter((name) => attributes[name] !== undefined);
    return given.length === 0
      ? "nobody pays"
      : given.map((name) => `${name} ${attributes[name]}`).join(", ");
  },
};
