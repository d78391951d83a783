// The bench: measures the built package against other ways, and fails when a promise is broken.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import picocolors from "picocolors";
import { BUDGETS, isBroken, readBudgets, unknown, WrongUse } from "./budgets.mjs";
import { report } from "./report.mjs";

const HELP = `Usage: npm run bench -- [options]        (npm run bench:check is --check)

Compares engine.record of the built package (npm run build) with other ways to
keep the same account: in one process, in many short rounds, as ratios. Then
compares ratios and sizes with what bench/budgets.json promises.

  --check            shorter, and a ratio is broken only if it is three times
  --only <name>      this budget only; may be given again
  --budgets <file>   other promises than bench/budgets.json
  --rounds <n>       timed rounds: 400 unless given, 150 with --check
  --json             the result for machines
  --help             this text

Ends with 0 when every promise holds, 1 when one is broken or the accounts
differ, 2 when it was used wrongly.`;

const OPTIONS = {
  check: { type: "boolean" },
  only: { type: "string", multiple: true },
  budgets: { type: "string" },
  rounds: { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean" },
};
const MOST_ROUNDS = 100_000;
const ATTEMPTS = 3;
const SEED = 20_261_123;

function readOptions(args) {
  const { tokens, values } = parseArgs({ args, options: OPTIONS, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind === "positional") {
      throw new WrongUse(`"${token.value}" is no option; see --help`);
    }
    if (token.kind !== "option") continue;
    const option = OPTIONS[token.name];
    if (option === undefined || !token.rawName.startsWith("--")) {
      const valid = Object.keys(OPTIONS).map((name) => `--${name}`);
      throw unknown("option", token.rawName, valid);
    }
    if (option.type === "string" && !token.value) {
      throw new WrongUse(`--${token.name} needs a value; see --help`);
    }
    if (option.type === "boolean" && token.value !== undefined) {
      throw new WrongUse(`--${token.name} takes no value, but was given "${token.value}"`);
    }
  }
  const rounds = Number(values.rounds ?? (values.check ? 150 : 400));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > MOST_ROUNDS) {
    throw new WrongUse(
      `--rounds: "${values.rounds}" is not a whole number from 1 to ${MOST_ROUNDS}`,
    );
  }
  return { ...values, only: values.only ?? [], budgets: values.budgets ?? BUDGETS, rounds };
}

/** A clean clone has nothing to measure yet. */
function buildWhenMissing() {
  const files = ["engine/index.js", "engine.wasm", "portable/index.js"];
  if (files.every((file) => existsSync(new URL(`../dist/${file}`, import.meta.url)))) return;
  console.error("Nothing is built yet: npm run build …");
  try {
    execFileSync("npm", ["run", "--silent", "build"], {
      cwd: fileURLToPath(new URL("..", import.meta.url)),
      stdio: ["ignore", 2, 2],
      shell: process.platform === "win32",
    });
  } catch {
    throw new WrongUse("there is no package to measure, and npm run build failed");
  }
}

function showProgress(attempt) {
  if (!process.stderr.isTTY) return () => {};
  return (round, rounds) => {
    const doing = round > 0 ? `round ${round} of ${rounds}` : "warming up";
    const text = attempt > 1 ? `${doing}, attempt ${attempt}` : doing;
    process.stderr.write(round === rounds ? "\r\u001b[K" : `\r\u001b[K${text}`);
  };
}

async function bench(options) {
  buildWhenMissing();
  const { disagreements, makeContenders } = await import("./contenders.mjs");
  const { measure, median, ratioOf } = await import("./measure.mjs");
  const { SIZES } = await import("./sizes.mjs");
  const { GOVERNANCE, measureGovernance } = await import("./governance.mjs");
  const { measureStarts, STARTS } = await import("./starts.mjs");
  const { measureUngoverned, UNGOVERNED } = await import("./ungoverned.mjs");
  const { BATCH, RUNS } = await import("./workload.mjs");

  const made = await makeContenders(SEED);
  const budgets = readBudgets(
    options.budgets,
    options.only,
    [...made.contenders, ...STARTS, ...GOVERNANCE, ...UNGOVERNED].map(({ name }) => name),
    Object.keys(SIZES),
  );

  const sizes = [];
  for (const budget of budgets.sizes) {
    const value = await SIZES[budget.measure]();
    sizes.push({ ...budget, value, broken: isBroken(budget, value, value) });
  }

  // Those two are the account that all others are held against.
  const needed = new Set(["record", "six-bigint-maps"]);
  for (const { measure, against } of budgets.ratios) needed.add(measure).add(against);
  const contenders =
    budgets.ratios.length === 0 ? [] : made.contenders.filter(({ name }) => needed.has(name));
  const starts = STARTS.filter(({ name }) => needed.has(name));
  const governance = GOVERNANCE.filter(({ name }) => needed.has(name));
  const ungoverned = UNGOVERNED.filter(({ name }) => needed.has(name));

  let ratios = [];
  let times = new Map();
  let attempts = 0;
  let stillBroken = budgets.ratios.map(({ name }) => name);
  while (contenders.length > 0 && attempts < (options.check ? ATTEMPTS : 1)) {
    attempts++;
    times = await measure(
      contenders,
      made.batches,
      options.rounds,
      SEED + attempts,
      showProgress(attempts),
    );
    if (starts.length > 0) for (const [name, each] of measureStarts()) times.set(name, each);
    if (governance.length > 0) {
      for (const [name, each] of await measureGovernance(options.rounds)) times.set(name, each);
    }
    if (ungoverned.length > 0) {
      for (const [name, each] of await measureUngoverned(options.rounds)) times.set(name, each);
    }
    const before = stillBroken;
    ratios = budgets.ratios.map((budget) => {
      const { value, low, high } = ratioOf(times, budget.measure, budget.against);
      const broken = before.includes(budget.name) && isBroken(budget, low, high);
      return { ...budget, value, low, high, broken };
    });
    stillBroken = ratios.filter(({ broken }) => broken).map(({ name }) => name);
    if (stillBroken.length === 0) break;
  }

  return {
    machine: { node: process.version, cpus: availableParallelism() },
    rounds: options.rounds,
    operations: BATCH,
    runs: RUNS,
    attempts,
    contenders: [...contenders, ...starts, ...governance, ...ungoverned].map(({ name, title }) => ({
      name,
      title,
      nanoseconds: median(times.get(name)),
    })),
    ratios,
    sizes,
    disagreements: contenders.length === 0 ? [] : await disagreements(made, needed),
  };
}

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const result = await bench(options);
  const colour = process.stdout.isTTY === true && picocolors.isColorSupported;
  console.log(options.json ? JSON.stringify(result, null, 2) : report(result, colour).join("\n"));
  const broken = [...result.ratios, ...result.sizes].some((budget) => budget.broken);
  return broken || result.disagreements.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof WrongUse)) throw error;
  console.error(`bench: ${error.message}`);
  process.exitCode = 2;
}
