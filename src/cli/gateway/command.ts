// `genops gateway`: a governing proxy in front of any MLflow server, until it is told to stop.
import { Command, Option } from "commander";
import { AccessLog } from "../../gateway/access-log.js";
import { flagOf, GATEWAY_OPTIONS } from "../../gateway/configuration/option-table.js";
import { readGatewayOptions } from "../../gateway/configuration/sources.js";
import { checkGatewayOptions, type GatewayConfiguration } from "../../gateway/configuration.js";
import type { Gateway, OpenGateway } from "../../gateway/seams.js";
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
  $ GENOPS_GATEWAY_ADMIN_TOKEN=$(openssl rand -hex 32) genops gateway --config gateway.yaml

The file has the same names as the flags, in camelCase; every flag is a variable too:
--admin-token is adminToken in the file, and GENOPS_GATEWAY_ADMIN_TOKEN. Flags stand
before variables, variables before the file. \${NAME} in the file is a variable.
SIGHUP reads it anew: tokens, users, trust, defaults and the admin token change at once.
SIGTERM lets what is under way end. Exit code: 0 stopped, 1 it cannot listen, 2 wrong use.`;

function warn(message: string): void {
  process.stderr.write(`genops: ${message}\n`);
}

function warned(message: string): void {
  warn(message.replace(/^genops: /, ""));
}

/** Puts together and checks what flags, variables and the file say. @throws {UsageError} with the place at fault. */
function configured(
  { config, check: _, json: __, ...flags }: Flags,
  telemetry?: TelemetryExport,
): GatewayConfiguration {
  try {
    const read = readGatewayOptions({ flags, environment: process.env, configPath: config });
    const logger = { debug: () => {}, warn: warned };
    const { tracerProvider, meterProvider } = telemetry ?? {};
    const ours = { logger, tracerProvider, meterProvider };
    return read.checked(() => checkGatewayOptions({ ...read.options, ...ours }));
  } catch (error) {
    throw error instanceof ConfigurationError ? new UsageError(error.message) : error;
  }
}

function writeOut(text: string): Promise<void> {
  return new Promise((done) => process.stdout.write(text, () => done()));
}

async function listening(
  open: OpenGateway,
  configuration: GatewayConfiguration,
  accessLog: AccessLog | undefined,
): Promise<Gateway> {
  try {
    return await open({ configuration, accessLog });
  } catch (error) {
    if (error instanceof ConfigurationError) throw new UsageError(error.message);
    const { code, message } = error as NodeJS.ErrnoException;
    const { host, port } = configuration;
    if (code === "EADDRINUSE") {
      throw new CommandError(`port ${port} of ${host} is taken; give another, or 0 for any`);
    }
    if (code === "EACCES" || code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
      throw new CommandError(`cannot listen on ${host}, port ${port}: ${message}`);
    }
    throw error;
  }
}

/** A configuration that is wrong changes nothing; what can only change with a restart is told by name. */
function reload(gateway: Gateway, read: () => GatewayConfiguration): void {
  let needRestart: readonly string[];
  try {
    needRestart = gateway.reload(read());
  } catch (error) {
    warn(`nothing was reloaded, and the gateway goes on as it was: ${(error as Error).message}`);
    return;
  }
  const rest =
    needRestart.length === 0 ? "" : `; ${needRestart.join(", ")} will change with a restart`;
  warn(`configuration reloaded${rest}`);
}

async function runGateway(open: OpenGateway, flags: Flags): Promise<void> {
  const telemetry = flags.check ? undefined : startTelemetry(warn, { batched: true });
  const read = () => configured(flags, telemetry);
  const configuration = read();
  const isJson = flags.json === true;
  if (flags.check) {
    await writeOut(
      isJson ? `${JSON.stringify({ valid: true })}\n` : "The configuration is valid.\n",
    );
    return;
  }
  const { accessLog: setup } = configuration;
  const accessLog = setup && new AccessLog(setup, warn);
  const gateway = await listening(open, configuration, accessLog);
  // From here on a signal is taken: who reads the first line may send one.
  const stopped = untilStopped({
    async stop() {
      await gateway.close();
      await Promise.all([accessLog?.close(), telemetry?.flush()]);
    },
    reload() {
      accessLog?.reopen();
      reload(gateway, read);
    },
  });
  for (const caution of cautionsOf(configuration)) warn(caution);
  await writeOut(
    isJson
      ? `${JSON.stringify(startDocument(configuration, gateway.uri))}\n`
      : `${startLines(configuration, gateway.uri).join("\n")}\n`,
  );
  await stopped;
}

/** The command, for the program to add. `open` starts the server. */
export function gatewayCommand(open: OpenGateway): Command {
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
    .action((flags: Flags) => runGateway(open, flags));
}
