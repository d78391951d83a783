// Plays of one workflow, compared: every answer, every refusal, and all that is there at the end.
import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";
import { random } from "../../engine/random.js";
import type { Json } from "../run-python.js";
import { areMeantToDiffer, settled } from "./exceptions.js";
import { type StoreKind, workflowOf } from "./generator.js";
import { normalizer, type Play, play, readAll } from "./play.js";
import type { Outcome, Player, Workflow } from "./workflow.js";

/** A store that two clients play on. */
export interface Stage {
  readonly typescript: Player;
  readonly python: Player;
  readonly store: StoreKind;
}

export interface Difference {
  readonly seed: number;
  readonly where: string;
  readonly values?: Json;
  /** What the one says, and what the other. */
  readonly expected: unknown;
  readonly actual: unknown;
}

/** By what a part of a document is told apart; so that a difference shows in the part it is in. */
function idOf(part: Json): string {
  const { info, experimentId, modelId } = part as Readonly<Record<string, Json | undefined>>;
  const { runId } = (info ?? {}) as { readonly runId?: string };
  return String(runId ?? modelId ?? experimentId ?? "");
}

/** Lists whose order says nothing. */
function sorted(told: Json, key = ""): Json {
  if (Array.isArray(told)) {
    const items = told.map((item: Json) => sorted(item));
    if (!/^(runs|experiments|loggedModels|datasetInputs|modelInputs|metrics)$/.test(key)) {
      return items;
    }
    return items
      .map((item) => [`${idOf(item)} ${JSON.stringify(item)}`, item] as const)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([, item]) => item);
  }
  if (typeof told !== "object" || told === null) return told;
  const names = Object.keys(told).sort();
  const fields = told as { readonly [name: string]: Json };
  return Object.fromEntries(names.map((name) => [name, sorted(fields[name] as Json, name)]));
}

function outcomeOf(
  { answer, error, made }: Outcome,
  common: (told: Json) => Json,
  store: StoreKind,
): Json {
  const found = error === undefined ? { answer: answer ?? null } : { error };
  return sorted(settled(common({ ...found, made: [...made] }), store));
}

/** The first step at which two plays of a workflow differ. */
function differingStep(
  { seed, steps }: Workflow,
  python: Play,
  other: Play,
  label: string,
  store: StoreKind,
): Difference | undefined {
  const [commonOfPython, commonOfOther] = [normalizer(python), normalizer(other)];
  for (const [index, step] of steps.entries()) {
    const [one, two] = [python.outcomes[index] as Outcome, other.outcomes[index] as Outcome];
    const expected = outcomeOf(one, commonOfPython, store);
    const actual = outcomeOf(two, commonOfOther, store);
    if (isDeepStrictEqual(expected, actual)) continue;
    if (one.error !== two.error && areMeantToDiffer(step, two, one, store)) continue;
    const where = `step ${index} ${step.call}, ${label}`;
    const messages = { python: one.message, [label]: two.message };
    const values = { ...step.values, messages: JSON.stringify(messages) };
    return { seed, where, values, expected, actual };
  }
  return undefined;
}

/** What two documents do not have in common. */
function differingPart(seed: number, where: string, expected: Json, actual: Json) {
  return isDeepStrictEqual(expected, actual) ? undefined : { seed, where, expected, actual };
}

/**
 * Plays a workflow three times: with TypeScript, with Python, and with both in turns on the same
 * runs. Answers the first difference between what they were told, or between what each of them
 * finds at the end in all three places.
 */
export async function differenceIn(
  workflow: Workflow,
  { typescript, python, store }: Stage,
): Promise<Difference | undefined> {
  const { seed } = workflow;
  const chance = random(seed ^ 0x5bd1e995);
  const place = () => `~${crypto.randomUUID().slice(0, 12)}`;
  const turns = [() => python, () => typescript, () => chance.pick([python, typescript])] as const;
  const played = (turn: () => Player) => play(workflow, place(), turn);
  const [first, second, third] = turns;
  // Who reads all of a folder must not come upon what another is just making.
  const [ofPython, ofTypescript, ofBoth] = store.isFolder
    ? [await played(first), await played(second), await played(third)]
    : await Promise.all([played(first), played(second), played(third)]);
  const found =
    differingStep(workflow, ofPython, ofTypescript, "typescript", store) ??
    differingStep(workflow, ofPython, ofBoth, "both in turns", store);
  if (found !== undefined) return found;

  let expected: Json | undefined;
  const plays = { python: ofPython, typescript: ofTypescript, "both in turns": ofBoth };
  for (const [label, one] of Object.entries(plays)) {
    const read = (reader: Player) => readAll(workflow, one, reader, store.major > 2);
    const [byPython, byTypescript] = await Promise.all([read(python), read(typescript)]);
    const asRead = (told: Json) => sorted(settled(told, store));
    const reading = `what ${label} wrote, read by both, as it is`;
    const asItIs = differingPart(seed, reading, asRead(byPython), asRead(byTypescript));
    if (asItIs !== undefined) return asItIs;
    const common = sorted(settled(normalizer(one)(byTypescript), store));
    expected ??= common;
    const difference = differingPart(seed, `what ${label} wrote`, expected, common);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

/** Plays the workflow of a seed, and fails at the first difference, which it tells. */
export async function expectNoDifference(
  seed: number,
  length: number,
  stage: Stage,
): Promise<void> {
  const difference = await differenceIn(workflowOf(seed, length, stage.store), stage);
  if (difference === undefined) return;
  const { where, values, expected, actual } = difference;
  const again = `GENOPS_TEST_SEED=${seed} GENOPS_TEST_DIFFERENTIAL_WORKFLOWS=1`;
  const shown = values === undefined ? "" : ` ${JSON.stringify(values)}`;
  expect(actual, `seed ${seed} (again: ${again}): ${where}${shown}`).toEqual(expected);
  throw new Error(`seed ${seed}: ${where} differs in what an equality does not see`);
}
