// `genops gateway`: a governing proxy in front of any MLflow server, until it is told to stop.
import { Command, Option } from "commander";
import { flagOf, GATEWAY_OPTIONS } from "../../gateway/configuration/option-table.js";
import { type ReadOptions, readGatewayOptions } from "../../gateway/configuration/sources.js";
import {
  checkGatewayOptions,
  type GatewayConfiguration,
  type GatewayOptions,
} from "../../gateway/configuration.js";
import { createGateway, type Gateway } from "../../gateway/gateway.js";
import { ConfigurationError } from "../../governance/errors.js";
import { startTelemetry, type TelemetryExport } from "../../telemetry/export.js";
import { CommandError, UsageError } from "../failure.js";
import { untilStopped } from "./signals.js";
import { cautionsOf, startDocument, startLines } from "./start-lines.js";

interface CommandFlags {
  readonly config?: string;
  readonly check?: true;
  readonly json?: true;
}

type Flags = CommandFlags & Readonly<Record<string, string | boolean | undefined>>;

const EXAMPLES = `
Examples:
  $ genops gateway --upstream http://mlflow:5000 --port 5001
  $ export MLFLOW_TRACKING_URI=http://127.0.0.1:5001/g/team=ml-team,project=search

  $ genops gateway --config gateway.yaml --check
  $ export GENOPS_GATEWAY_ADMIN_TOKEN=$(openssl rand -hex 32)
  $ genops gateway --config gateway.yaml

The file has the names of the flags in camelCase, and every flag is a variable:
--admin-token is adminToken in the file, and GENOPS_GATEWAY_ADMIN_TOKEN. Flags
stand before variables, variables before the file; \${NAME} in it is a variable.
SIGHUP reads it anew and drops no request. SIGTERM lets what is under way end.
Exit code: 0 stopped, 1 it cannot listen, 2 wrong use.`;

function warn(message: string): void {
  process.stderr.write(`genops: ${message}\n`);
}

function warned(message: string): void {
  warn(message.replace(/^genops: /, ""));
}

/** What flags, variables and the file say, checked. */
interface Configured {
  readonly read: ReadOptions;
  readonly options: GatewayOptions;
  readonly configuration: GatewayConfiguration;
}

/** @throws {UsageError} with the flag, the variable, or the line of the file at fault. */
function usage<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof ConfigurationError ? new UsageError(error.message) : error;
  }
}

/** @throws {UsageError} for what cannot be. */
function configured(
  { config, check: _, json: __, ...flags }: Flags,
  telemetry: TelemetryExport | undefined,
): Configured {
  return usage(() => {
    const read = readGatewayOptions({ flags, environment: process.env, configPath: config });
    const logger = { debug: () => {}, warn: warned };
    const { tracerProvider, meterProvider } = telemetry ?? {};
    const options = { ...read.options, logger, tracerProvider, meterProvider };
    return { read, options, configuration: read.checked(() => checkGatewayOptions(options)) };
  });
}

/** Failures of what is checked only when it is done are told where they were caused, too. */
function placed({ read, configuration }: Configured, error: unknown): Error {
  if (error instanceof ConfigurationError) {
    try {
      return usage(() =>
        read.checked((): never => {
          throw error;
        }),
      );
    } catch (told) {
      return told as Error;
    }
  }
  const { code, message } = error as NodeJS.ErrnoException;
  const { host, port } = configuration;
  if (code === "EADDRINUSE") {
    return new CommandError(`port ${port} of ${host} is taken; give another, or 0 for any`);
  }
  if (code === "EACCES" || code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    return new CommandError(`cannot listen on ${host}, port ${port}: ${message}`);
  }
  return error as Error;
}

function writeOut(text: string): Promise<void> {
  return new Promise((done) => process.stdout.write(text, () => done()));
}

/** A configuration that is wrong changes nothing. */
async function reload(gateway: Gateway, configure: () => Configured): Promise<void> {
  try {
    const wanted = configure();
    await gateway.reload(wanted.options).catch((error) => {
      throw placed(wanted, error);
    });
    warn("the configuration was read anew");
  } catch (error) {
    warn(`the gateway goes on as it was: ${(error as Error).message}`);
  }
}

async function runGateway(flags: Flags): Promise<void> {
  const telemetry = flags.check ? undefined : startTelemetry(warn, { batched: true, logs: false });
  const configure = () => configured(flags, telemetry);
  const first = configure();
  const { options, configuration } = first;
  const isJson = flags.json === true;
  if (flags.check) {
    await writeOut(
      isJson ? `${JSON.stringify({ valid: true })}\n` : "The configuration is valid.\n",
    );
    return;
  }
  const gateway = await createGateway(options).catch((error) => {
    throw placed(first, error);
  });
  // From here on signals are taken: who reads the first line may send one.
  const stopped = untilStopped({
    stop: async () => {
      await gateway.close();
      await telemetry?.flush();
    },
    reload: () => void reload(gateway, configure),
  });
  for (const caution of cautionsOf(configuration)) warn(caution);
  await writeOut(
    isJson
      ? `${JSON.stringify(startDocument(configuration, gateway.url))}\n`
      : `${startLines(configuration, gateway.url).join("\n")}\n`,
  );
  await stopped;
}

/** The command, for the program to add. */
export function gatewayCommand(): Command {
  const command = new Command("gateway")
    .summary("govern any MLflow client, in any language")
    .description(
      "Listens in front of an MLflow server, and puts a price, an owner and a limit on every call that goes through. Clients change nothing but MLFLOW_TRACKING_URI. Costs, budgets and refusals are shown below /genops/.",
    )
    .option("--config <path>", "YAML or JSON file with the options below");
  for (const { name, placeholder, help } of GATEWAY_OPTIONS) {
    const value = placeholder === undefined ? "" : ` <${placeholder}>`;
    command.addOption(new Option(`${flagOf(name)}${value}`, help));
  }
  return command
    .option("--check", "check the configuration, and do not listen")
    .option("--json", "print the start as one JSON line")
    .addHelpText("after", EXAMPLES)
    .action((flags: Flags) => runGateway(flags));
}
