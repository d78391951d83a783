// `genops demo`: options, the search with its progress line, and the account of it.
import { constants } from "node:fs";
import { access, mkdir } from "node:fs/promises";
import { isAbsolute, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { formatCount } from "../../costs/usd-text.js";
import { withoutCredentials } from "../../mlflow/redaction.js";
import { locateStore } from "../../mlflow/store-uri.js";
import { nearestName } from "../../nearest-name.js";
import { GenOpsMlflowAdapter } from "../../node.js";
import { startOtlpExport } from "../../telemetry/otlp-node.js";
import { bar, shorten, textWidth } from "../../terminal/layout.js";
import { type Paint, ProgressLine, paintFor, widthOf } from "../../terminal/terminal.js";
import { CommandError, Interrupted, UsageError } from "../failure.js";
import { accountOf } from "./account.js";
import { CUSTOMERS } from "./customers.js";
import { demoDocument } from "./document.js";
import { type DemoSettings, demoReport } from "./report.js";
import { type SearchProgress, type SearchResult, searchForAll } from "./search.js";

const BACKENDS = ["local", "s3", "azure", "gcs"] as const;
type Backend = (typeof BACKENDS)[number];

const DEFAULT_FOLDER = "./genops-demo/mlruns";
const DEFAULT_RATES: readonly number[] = [0.1, 0.3, 1, 3];
const DEFAULT_EPOCHS = 40;
const MAX_EPOCHS = 1000;
const MAX_RATES = 16;
const MAX_RATE = 100;
const MAX_SEED = 2 ** 32 - 1;

interface DemoOptions {
  readonly trackingUri: string;
  readonly json?: true;
  readonly priceArtifactsAs: Backend;
  readonly epochs: number;
  readonly learningRates: readonly number[];
  readonly seed: number;
  readonly color?: boolean;
}

// ── options ──────────────────────────────────────────────────────────────────────────────────────

function decimalNumber(text: string): number {
  return /^\d*\.?\d+(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
}

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
  };
}

function learningRates(text: string): readonly number[] {
  const rates = text.split(",").map((part) => decimalNumber(part.trim()));
  const range = `numbers above 0 up to ${MAX_RATE}`;
  if (rates.some((rate) => !(rate > 0 && rate <= MAX_RATE))) {
    throw new InvalidArgumentError(`Give ${range}, separated by commas, such as 0.1,0.3,1.`);
  }
  if (rates.length > MAX_RATES) {
    throw new InvalidArgumentError(`Give at most ${MAX_RATES} of them, not ${rates.length}.`);
  }
  const twice = rates.find((rate, at) => rates.indexOf(rate) !== at);
  if (twice !== undefined) throw new InvalidArgumentError(`Give ${twice} once.`);
  return rates;
}

function backend(text: string): Backend {
  const found = BACKENDS.find((name) => name === text);
  if (found !== undefined) return found;
  const near = nearestName(text, BACKENDS);
  throw new InvalidArgumentError(
    `Give one of ${BACKENDS.join(", ")}.${near === undefined ? "" : ` (Did you mean ${near}?)`}`,
  );
}

function trackingUri(text: string): string {
  if (text.trim() !== "") return text;
  throw new InvalidArgumentError("Give a folder, or the address of an MLflow server.");
}

// ── where the runs go ────────────────────────────────────────────────────────────────────────────

/**
 * The folder that a tracking URI means; undefined for a server.
 * @throws {UsageError} for what is neither.
 */
function folderOf(uri: string): string | undefined {
  try {
    const location = locateStore(uri);
    return location.kind === "files" ? fileURLToPath(location.uri) : undefined;
  } catch (error) {
    throw new UsageError(`--tracking-uri: ${(error as Error).message}`);
  }
}

const FILE_PROBLEMS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "its file system is read-only",
  EEXIST: "a file has its name",
  ENOTDIR: "a part of its path is a file",
  ENOSPC: "the disk is full",
};

/** @throws {CommandError} unless the folder is there, or can be made, and can be written. */
async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    throw new CommandError(
      `--tracking-uri: cannot write to the folder '${folder}': ${FILE_PROBLEMS[code] ?? message}; choose one that you may write to.`,
    );
  }
}

/** A path as a person would type it here. */
function shortPath(folder: string): string {
  const near = relative(process.cwd(), folder);
  return near === "" || near.startsWith("..") || isAbsolute(near) ? folder : `./${near}`;
}

function shellWord(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`;
}

/** How to look at the runs in MLflow's own pages. */
function viewOf(uri: string, folder: string | undefined, results: readonly SearchResult[]) {
  if (folder === undefined) {
    const experiments = new Set(results.map(({ experimentId }) => experimentId));
    return Array.from(experiments, (id) => `${uri}/#/experiments/${id}`);
  }
  // MLflow opens a store of files only when it is told that this is meant.
  return [
    "MLFLOW_ALLOW_FILE_STORE=true mlflow ui \\",
    `  --backend-store-uri ${shellWord(shortPath(folder))}`,
  ];
}

// ── while it runs ────────────────────────────────────────────────────────────────────────────────

function progressText(
  { customer, learningRate, epoch, done }: SearchProgress,
  calls: number,
  paint: Paint,
  width: number,
): string {
  const cells = 20;
  const share = BigInt(Math.round(done * 1000));
  const filled = bar(share, 1000n, cells);
  const track = paint.cyan(filled) + paint.dim("░".repeat(cells - textWidth(filled)));
  const text = `${customer.customerId}, learning rate ${learningRate}, epoch ${epoch} · ${formatCount(calls)} writes`;
  return `  ${track} ${shorten(text, width - cells - 4)}`;
}

/** Fires at the first Ctrl-C; the second one ends the process at once, as it would without us. */
function interruption(): { readonly signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const onInterrupt = () => controller.abort(new Interrupted());
  process.once("SIGINT", onInterrupt);
  return { signal: controller.signal, stop: () => process.off("SIGINT", onInterrupt) };
}

function writeOut(text: string): Promise<void> {
  return new Promise((done) => process.stdout.write(text, () => done()));
}

async function runDemo(options: DemoOptions): Promise<void> {
  const folder = folderOf(options.trackingUri);
  if (folder !== undefined) await prepareFolder(folder);
  const uri = folder ?? options.trackingUri.replace(/\/+$/, "");
  const progress = new ProgressLine(process.stderr);
  const telemetry = startOtlpExport((message) => {
    progress.clear();
    process.stderr.write(`genops: ${message}\n`);
  });
  const priced = options.priceArtifactsAs;
  const adapter = new GenOpsMlflowAdapter(
    {
      trackingUri: uri,
      registryUri: uri,
      // What the report says of prices holds whatever the environment says of them.
      pricing: {},
      storageBackends: { "file:": priced, "/": priced, "mlflow-artifacts:": priced },
      runCapacity: 4096,
      // It shows what this search costs, not what earlier ones did.
      journal: false,
      // Each run names its own; this is for what MLflow does outside them.
      team: "genops",
      project: "demo",
    },
    telemetry,
  );
  const settings: DemoSettings = {
    shownUri: folder === undefined ? withoutCredentials(uri) : shortPath(folder),
    isServer: folder === undefined,
    seed: options.seed,
    epochs: options.epochs,
    learningRates: options.learningRates,
    backend: priced,
  };
  const progressPaint = paintFor(process.stderr, options.color);
  const interrupt = interruption();
  let results: SearchResult[];
  try {
    results = await searchForAll(adapter, CUSTOMERS, {
      ...settings,
      signal: interrupt.signal,
      onProgress: (state) =>
        progress.show(
          progressText(state, adapter.operationCount, progressPaint, widthOf(process.stderr) - 1),
        ),
    });
  } finally {
    interrupt.stop();
    progress.clear();
    await adapter.flush();
  }
  const summary = adapter.costAggregator.getSummary();
  const account = accountOf(summary);
  const view = viewOf(settings.shownUri, folder, results);
  if (options.json) {
    const document = demoDocument({ settings, summary, account, results, view });
    await writeOut(`${JSON.stringify(document, null, 2)}\n`);
    return;
  }
  const lines = demoReport({
    settings,
    summary,
    account,
    results,
    view,
    paint: paintFor(process.stdout, options.color),
    width: widthOf(process.stdout),
    priceOfCall: (operation) => adapter.calculateCost({ operationType: operation }),
  });
  await writeOut(`${lines.join("\n")}\n`);
}

/** The command, for the program to add. */
export function demoCommand(): Command {
  return new Command("demo")
    .summary("train a model search on MLflow and show what it costs, and who pays")
    .description(
      "Trains a real, small model for three customers, logs everything to MLflow, and shows who paid for what.\nNeeds no server: the runs go to a folder unless you name a server.",
    )
    .option(
      "--tracking-uri <uri>",
      "folder or MLflow server (http://…) that takes the runs",
      trackingUri,
      DEFAULT_FOLDER,
    )
    .option(
      "--price-artifacts-as <backend>",
      "price stored bytes as on local, s3, azure or gcs",
      backend,
      "s3",
    )
    .addOption(
      new Option(
        "--learning-rates <list>",
        `learning rates to try, up to ${MAX_RATES}, comma-separated`,
      )
        .argParser(learningRates)
        .default(DEFAULT_RATES, DEFAULT_RATES.join(",")),
    )
    .option(
      "--epochs <number>",
      `passes over the data at most, 1 to ${MAX_EPOCHS}`,
      wholeNumber(1, MAX_EPOCHS),
      DEFAULT_EPOCHS,
    )
    .option(
      "--seed <number>",
      "same seed, same models; the same costs in a fresh folder",
      wholeNumber(0, MAX_SEED),
      1936,
    )
    .option("--json", "print one JSON document and nothing else; money as decimal text")
    .option("--color", "colours even where no terminal is")
    .option("--no-color", "no colours")
    .action((options: DemoOptions) => runDemo(options));
}
