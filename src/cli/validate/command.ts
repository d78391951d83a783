// `genops validate`: says whether this set-up works, and how to mend what does not. Exit codes for CI.
import { Command, InvalidArgumentError } from "commander";
import { ConfigurationError } from "../../governance/errors.js";
import { validateSetup } from "../../node.js";
import { TITLES, validationLines } from "../../providers/mlflow/validation/report.js";
import { countOf } from "../../providers/mlflow/validation/result.js";
import { ProgressLine, paintFor, widthOf } from "../../terminal/terminal.js";
import { CheckFailed, UsageError } from "../failure.js";

interface ValidateOptions {
  readonly trackingUri?: string;
  readonly registryUri?: string;
  readonly readOnly?: true;
  readonly connectivity: boolean;
  readonly governance: boolean;
  readonly telemetry: boolean;
  readonly timeout: number;
  readonly strict?: true;
  readonly json?: true;
  readonly color?: boolean;
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0.1 && value <= 600) return value;
  throw new InvalidArgumentError("Give a number of seconds from 0.1 to 600.");
}

function writeOut(text: string): Promise<void> {
  return new Promise((done) => process.stdout.write(text, () => done()));
}

async function runValidate(options: ValidateOptions): Promise<void> {
  const progress = new ProgressLine(process.stderr);
  const layout = { paint: paintFor(process.stdout, options.color), width: widthOf(process.stdout) };
  const { trackingUri, registryUri, connectivity, governance, telemetry } = options;
  const validation = validateSetup({
    trackingUri,
    registryUri,
    readOnly: options.readOnly === true,
    checkConnectivity: connectivity,
    checkGovernance: governance,
    checkTelemetry: telemetry,
    timeoutMs: options.timeout * 1000,
    onProgress: (check) => progress.show(`checking: ${TITLES[check]} …`),
  }).finally(() => progress.clear());
  const result = await validation.catch((error) => {
    throw error instanceof ConfigurationError ? new UsageError(error.message) : error;
  });
  await writeOut(
    options.json
      ? `${JSON.stringify(result, null, 2)}\n`
      : `${validationLines(result, layout).join("\n")}\n`,
  );
  const isWarned = options.strict === true && countOf(result.issues, "warning") > 0;
  if (!result.passed || isWarned) throw new CheckFailed();
}

/** The command, for the program to add. */
export function validateCommand(): Command {
  return new Command("validate")
    .summary("check the set-up, and say how to mend it")
    .description(
      "Checks dependencies, configuration, connectivity, governance and telemetry of this set-up, as the environment tells it; each issue comes with its cause and the line that mends it.\nIt really tries: a probe (an experiment, a run, an artifact, a registered model) is written and deleted again, and a span is exported. --read-only writes nothing to MLflow.\nExit code: 0 ready, 1 an error was found, 2 wrong use.",
    )
    .option("--tracking-uri <uri>", "folder or MLflow server (MLFLOW_TRACKING_URI)")
    .option("--registry-uri <uri>", "the model registry (MLFLOW_REGISTRY_URI)")
    .option("--read-only", "write no probe to MLflow")
    .option("--no-connectivity", "ask no server")
    .option("--no-governance", "govern no workflow")
    .option("--no-telemetry", "export no span")
    .option("--timeout <seconds>", "time that each check has", seconds, 15)
    .option("--strict", "warnings count as errors")
    .option("--json", "print one JSON document and nothing else")
    .option("--color", "colours even where no terminal is")
    .option("--no-color", "no colours")
    .action((options: ValidateOptions) => runValidate(options));
}
