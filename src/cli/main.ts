// The command line: one file per command, wrong use told by name, exit codes for scripts.
import { Command, CommanderError } from "commander";
import { VERSION } from "../version.js";
import { artifactsCommand } from "./artifacts/command.js";
import { auditCommand } from "./audit/command.js";
import { budgetCommand } from "./budget/command.js";
import { conformanceCommand } from "./conformance/command.js";
import { demoCommand } from "./demo/command.js";
import {
  CheckFailed,
  EXIT_FAILURE,
  EXIT_INTERRUPTED,
  EXIT_OK,
  EXIT_WRONG_USE,
  failureText,
  Interrupted,
  UsageError,
} from "./failure.js";
import { gatewayCommand } from "./gateway/command.js";
import { validateCommand } from "./validate/command.js";

/** Commander's two lines (error, suggestion) as one that begins like all of ours. */
function usageError(text: string): string {
  return `genops: ${text
    .replace(/^error: /, "")
    .trim()
    .replace(/\s*\n\s*/g, " ")}\n`;
}

/** A command and all that are below it. */
function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

function program(): Command {
  const genops = new Command("genops")
    .description("A price, an owner and a limit on every MLflow operation.")
    .version(VERSION, "-V, --version", "print the version")
    .helpCommand("help [command]", "print the help of a command")
    .showSuggestionAfterError()
    .addCommand(demoCommand())
    .addCommand(artifactsCommand())
    .addCommand(conformanceCommand())
    .addCommand(auditCommand())
    .addCommand(budgetCommand())
    .addCommand(validateCommand())
    .addCommand(gatewayCommand());
  for (const command of withSubcommands(genops)) {
    command
      .helpOption("-h, --help", "print this help")
      .showSuggestionAfterError()
      .exitOverride()
      .configureOutput({ outputError: (text, write) => write(usageError(text)) });
  }
  return genops;
}

async function main(): Promise<number> {
  const genops = program();
  try {
    if (process.argv.length <= 2) genops.outputHelp();
    else await genops.parseAsync();
    return EXIT_OK;
  } catch (error) {
    // Commander has already said what is wrong; help and version are no errors.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_WRONG_USE;
    if (error instanceof CheckFailed) return EXIT_FAILURE;
    process.stderr.write(`genops: ${failureText(error)}\n`);
    if (error instanceof UsageError) return EXIT_WRONG_USE;
    return error instanceof Interrupted ? EXIT_INTERRUPTED : EXIT_FAILURE;
  }
}

// A reader that has seen enough (`| head`) is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    throw error;
  });
}

process.exitCode = await main();
