// The promises: read from their file, checked for sense, and judged.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { closest, distance } from "fastest-levenshtein";

/** What the caller did wrong; the bench then ends with 2. */
export class WrongUse extends Error {}

export const BUDGETS = fileURLToPath(new URL("budgets.json", import.meta.url));

const LISTS = {
  ratios: ["name", "measure", "against", "atLeast", "atMost", "because"],
  sizes: ["name", "measure", "atMost", "because"],
};

/** Says that a name is unknown, and the nearest one that is valid. */
export function unknown(what, name, valid) {
  const near = valid.length === 0 ? name : closest(String(name), valid);
  const close = valid.length > 0 && distance(String(name), near) <= Math.max(2, near.length / 3);
  return new WrongUse(
    `unknown ${what} "${name}"; ${close ? `did you mean "${near}"?` : `valid are ${valid.join(", ")}`}`,
  );
}

function parse(file) {
  let text;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new WrongUse(`budgets "${file}" cannot be read: ${error.message}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WrongUse(`budgets "${file}" is not JSON: ${error.message}`);
  }
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkBudget(budget, list, known) {
  if (!isObject(budget) || typeof budget.name !== "string" || budget.name === "") {
    throw new WrongUse(`budgets: an entry of "${list}" has no name: ${JSON.stringify(budget)}`);
  }
  const where = `budget "${budget.name}"`;
  for (const key of Object.keys(budget)) {
    if (!LISTS[list].includes(key)) throw unknown(`key of ${where}:`, key, LISTS[list]);
  }
  for (const key of list === "ratios" ? ["measure", "against"] : ["measure"]) {
    if (!known.includes(budget[key])) throw unknown(`"${key}" of ${where}:`, budget[key], known);
  }
  if (budget.measure === budget.against) {
    throw new WrongUse(`${where} compares "${budget.measure}" with itself`);
  }
  const bounds = [budget.atLeast, budget.atMost].filter((bound) => bound !== undefined);
  if (bounds.length !== 1 || !Number.isFinite(bounds[0]) || bounds[0] <= 0) {
    throw new WrongUse(
      `${where} needs one bound above 0: "atMost"${list === "ratios" ? ' or "atLeast"' : ""}`,
    );
  }
  if (typeof budget.because !== "string" || budget.because === "") {
    throw new WrongUse(`${where} needs a sentence in "because"`);
  }
}

/**
 * The budgets of a file, or those of them that are named in `only`.
 * @throws {WrongUse} for what nobody would evaluate, by name.
 */
export function readBudgets(file, only, contenders, sizes) {
  const budgets = parse(file);
  if (!isObject(budgets)) throw new WrongUse(`budgets "${file}" is not an object`);
  for (const key of Object.keys(budgets)) {
    if (!(key in LISTS)) throw unknown(`key of budgets "${file}":`, key, Object.keys(LISTS));
  }
  const names = [];
  for (const list of Object.keys(LISTS)) {
    if (!Array.isArray(budgets[list])) {
      throw new WrongUse(`budgets "${file}" needs a list "${list}"`);
    }
    for (const budget of budgets[list]) {
      checkBudget(budget, list, list === "ratios" ? contenders : sizes);
      if (names.includes(budget.name)) {
        throw new WrongUse(`budget "${budget.name}" is there twice`);
      }
      names.push(budget.name);
    }
  }
  for (const name of only) {
    if (!names.includes(name)) throw unknown("budget", name, names);
  }
  const wanted = ({ name }) => only.length === 0 || only.includes(name);
  return { ratios: budgets.ratios.filter(wanted), sizes: budgets.sizes.filter(wanted) };
}

/** Is a budget broken by a value that lies, with confidence, from `low` to `high`? */
export function isBroken({ atLeast, atMost }, low, high) {
  return atLeast === undefined ? low > atMost : high < atLeast;
}
