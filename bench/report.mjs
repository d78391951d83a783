// What people read: columns of at most 80 characters, colours on a terminal only.
import picocolors from "picocolors";

const WIDTH = 80;
/** Widths of the columns of promises: what is judged, its value, the interval, the bound. */
const COLUMNS = [32, 9, 17, 13];

const grouped = (value) => value.toLocaleString("en-US");
const whole = (value) => grouped(Math.round(value));
const ratio = (value) => (value < 100 ? value.toFixed(value < 10 ? 2 : 1) : whole(value));

function row(label, value, interval, bound) {
  return [
    label.padEnd(COLUMNS[0]),
    value.padStart(COLUMNS[1]),
    interval.padStart(COLUMNS[2]),
    bound.padStart(COLUMNS[3]),
  ].join("");
}

function bound({ atLeast, atMost }, unit) {
  return atLeast === undefined ? `≤ ${grouped(atMost)}${unit}` : `≥ ${grouped(atLeast)}${unit}`;
}

function wrapped(text) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trimStart();
    if (longer.length <= WIDTH - 2) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.map((line) => `  ${line}`);
}

/** The result as lines of text. */
export function report(result, colour) {
  const paint = picocolors.createColors(colour);
  const verdict = ({ broken }) => (broken ? paint.red("  BROKEN") : paint.green("  ok"));
  const lines = [`Node ${result.machine.node}, ${result.machine.cpus} CPUs`];

  if (result.contenders.length > 0) {
    const { rounds, operations, runs, attempts } = result;
    lines[0] += `, ${grouped(rounds)} rounds of ${grouped(operations)} operations`;
    lines[0] += ` on ${grouped(runs)} runs`;
    if (attempts > 1) lines.push(`attempt ${attempts}, because a promise looked broken before`);
    lines.push("", paint.bold(`${"CPU time, for information".padEnd(65)}ns each`));
    for (const { name, title, nanoseconds } of result.contenders) {
      const each = nanoseconds < 1000 ? nanoseconds.toFixed(1) : whole(nanoseconds);
      lines.push(`${name.padEnd(19)}${title.padEnd(39)}${each.padStart(14)}`);
    }
  }
  if (result.ratios.length > 0) {
    lines.push("", paint.bold(row("Ratios", "measured", "99 % interval", "promised")));
    for (const budget of result.ratios) {
      const { measure, against, value, low, high } = budget;
      const columns = [
        `${measure} ÷ ${against}`,
        `${ratio(value)}×`,
        `${ratio(low)} – ${ratio(high)}`,
        bound(budget, "×"),
      ];
      lines.push(row(...columns) + verdict(budget));
    }
  }
  if (result.sizes.length > 0) {
    lines.push("", paint.bold(row("Sizes", "bytes", "", "promised")));
    for (const budget of result.sizes) {
      lines.push(row(budget.measure, whole(budget.value), "", bound(budget, "")) + verdict(budget));
    }
  }

  const budgets = [...result.ratios, ...result.sizes];
  const broken = budgets.filter((budget) => budget.broken);
  lines.push("");
  for (const { name, because } of broken) {
    lines.push(paint.red(`"${name}" is broken. It was promised because:`), ...wrapped(because));
  }
  if (result.disagreements.length > 0) {
    lines.push(paint.red("The contenders disagree about the account:"));
    lines.push(...result.disagreements.slice(0, 10).flatMap(wrapped));
  } else if (result.contenders.length > 0) {
    lines.push("Every account agrees: the engine's equals BigInt's to the last digit.");
  }
  lines.push(
    broken.length === 0
      ? paint.green(`All ${budgets.length} promises hold.`)
      : paint.red(`${broken.length} of ${budgets.length} promises are broken.`),
  );
  return lines;
}
