// Playing a workflow in a place of its own, and telling of it without ids and times of day.
import { setTimeout as delay } from "node:timers/promises";
import type { Json } from "../run-python.js";
import { Bindings, type Outcome, type Player, type Step, type Workflow } from "./workflow.js";

/** Milliseconds between steps: what a store notes in one of them it notes in no other. */
const GAP_MS = 3;

export interface Play {
  readonly place: string;
  readonly bindings: Bindings;
  readonly outcomes: readonly Outcome[];
  /** When each step began and ended, in milliseconds since the epoch. */
  readonly moments: readonly (readonly [number, number])[];
}

/** Plays all steps, each with the player whose turn it is. */
export async function play(
  { steps }: Workflow,
  place: string,
  turn: (step: number) => Player,
): Promise<Play> {
  const bindings = new Bindings(place);
  const outcomes: Outcome[] = [];
  const moments: [number, number][] = [];
  for (const [index, step] of steps.entries()) {
    const began = Date.now();
    const outcome = await turn(index).perform(step.call, bindings.resolve(step.values));
    moments.push([began, Date.now()]);
    bindings.bind(step, outcome);
    outcomes.push(outcome);
    await delay(GAP_MS);
  }
  return { place, bindings, outcomes, moments };
}

/** The runs of a play that had artifacts written to them; nobody need look at the others'. */
function runsWithFiles({ steps }: Workflow, { bindings }: Play): string[] {
  const writes = (step: Step) => /^log(Text|Dict|Bytes|Artifacts)$/.test(step.call);
  const written = steps.filter(writes).map(({ values }) => values.runId as string);
  const fluent = steps.filter(({ call }) => call === "fluentRun").flatMap(({ makes }) => makes);
  const ids = [...written, ...fluent].map((name) => bindings.ids.get(name) ?? name);
  return [...new Set(ids)];
}

/** All that the place of a play holds, as a client reads it. */
export async function readAll(
  workflow: Workflow,
  play: Play,
  reader: Player,
  hasLoggedModels: boolean,
): Promise<Json> {
  const { place } = play;
  const values = { place, runsWithFiles: runsWithFiles(workflow, play), hasLoggedModels };
  const { answer, error, message } = await reader.perform("readAll", values);
  if (error !== undefined) throw new Error(`${error} on reading all: ${message}`);
  return answer as Json;
}

const TIMES =
  /^(creationTime|lastUpdateTime|creationTimestamp|lastUpdatedTimestamp|startTime|endTime|timestamp)$/;
const IDS_OF_EXPERIMENTS = /^(experimentId|made)$/;
/** What a store, or a client, calls a run or a model that nobody named. */
const INVENTED = /^[a-z]+-[a-z]+-\d+$/;

/** Says what a play's client told in words that every play of the workflow has in common. */
export function normalizer({ place, bindings, moments }: Play): (told: Json) => Json {
  const others = [...bindings.ids].filter(([name]) => !name.startsWith("$experiment"));
  const experiments = new Map<string, string>();
  for (const [name, id] of bindings.ids) {
    if (name.startsWith("$experiment")) experiments.set(id, name);
  }
  const moment = (time: number): Json => {
    const step = moments.findIndex(([began, ended]) => began <= time && time <= ended);
    return step < 0 ? time : `during step ${step}`;
  };
  const named = (told: string): string => {
    let common = told.replaceAll(place, "@");
    for (const [name, id] of others) common = common.replaceAll(id, name);
    return common;
  };
  const text = (told: string, key: string): string => {
    if (INVENTED.test(told)) return "(invented)";
    // An experiment's id may be a short number, which means nothing in other places.
    if (IDS_OF_EXPERIMENTS.test(key)) return experiments.get(told) ?? named(told);
    if (!told.includes(":/")) return named(told);
    return named(told).replace(/\/(\d+)(?=\/|$)/g, (part, id: string) => {
      const name = experiments.get(id);
      return name === undefined ? part : `/${name}`;
    });
  };
  const inside = (told: Json, key = ""): Json => {
    if (typeof told === "string") return text(told, key);
    if (typeof told === "number" && TIMES.test(key)) return moment(told);
    if (Array.isArray(told)) return told.map((item: Json) => inside(item, key));
    if (typeof told !== "object" || told === null) return told;
    const fields = Object.entries(told).map(([name, field]) => [named(name), inside(field, name)]);
    return Object.fromEntries(fields) as Json;
  };
  return inside;
}
