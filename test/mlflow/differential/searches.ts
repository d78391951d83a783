// Random searches: filters, orders and pages, most of which MLflow understands.
import { KEYS, LONG_AGO, type Words, WRONG_CLAUSES } from "./words.js";
import type { Values } from "./workflow.js";

type Clause = (words: Words) => string;

const compared = (words: Words): string => words.pick(["=", "!=", ">", ">=", "<", "<="]);
const likened = (words: Words): string => words.pick(["=", "!=", "LIKE", "ILIKE"]);
const pattern = (words: Words): string => words.pick(["search", "s%", "%E%", "1", "_.5", "%"]);
const quoted = (words: Words): string => `\`${words.pick(KEYS)}\``;
const tag: Clause = (words) => `tags.${quoted(words)} ${likened(words)} '${pattern(words)}'`;

const OF_RUNS: readonly Clause[] = [
  tag,
  (words) => `metrics.${quoted(words)} ${compared(words)} ${words.pick([0, 0.5, -2, 1e300])}`,
  (words) => `params.${quoted(words)} ${likened(words)} '${pattern(words)}'`,
  (words) => `status ${words.pick(["=", "!="])} '${words.status()}'`,
  (words) => `attributes.run_name ${likened(words)} '${words.pick(["one", "one%", "Größe"])}'`,
  (words) => `start_time ${compared(words)} ${LONG_AGO + 5000}`,
  (words) => `end_time ${compared(words)} ${LONG_AGO + 5000}`,
  (words) => `params.${quoted(words)} IS ${words.pick(["NULL", "NOT NULL"])}`,
  () => "artifact_uri LIKE '%artifacts'",
  (words) => words.pick([...WRONG_CLAUSES, "metrics.loss", "status = RUNNING"]),
];

const OF_EXPERIMENTS: readonly Clause[] = [
  tag,
  (words) => `name ${likened(words)} '@ ${words.pick(["one", "t%", "%E"])}'`,
  (words) => `creation_time ${words.pick([">", "<"])} ${LONG_AGO}`,
  (words) => words.pick([...WRONG_CLAUSES, "tags.a ="]),
];

const OF_MODELS: readonly Clause[] = [
  tag,
  (words) => `name ${likened(words)} '@ ${words.pick(["one", "t%", "%E"])}'`,
  (words) => words.pick(WRONG_CLAUSES),
];

const OF_VERSIONS: readonly Clause[] = [
  tag,
  (words) => `version_number ${compared(words)} ${words.pick([1, 2])}`,
  (words) => `source_path ${likened(words)} '${words.pick(["s3://bucket/a", "s3:%"])}'`,
  (words) => words.pick(["run_id = '$run0'", "run_id IN ('$run0', '$run1')"]),
  (words) => words.pick([...WRONG_CLAUSES, "source_path IN ('a')"]),
];

const OF_LOGGED_MODELS: readonly Clause[] = [
  (words) => `tags.${quoted(words)} ${words.pick(["=", "!="])} '${pattern(words)}'`,
  (words) => `params.${quoted(words)} ${words.pick(["=", "!="])} '${pattern(words)}'`,
  (words) => `metrics.${quoted(words)} ${compared(words)} ${words.pick([0, 0.5])}`,
  (words) => `name ${likened(words)} '${words.pick(["one", "two%"])}'`,
  (words) => words.pick([...WRONG_CLAUSES, "nope.a = 'x'"]),
];

function filter(words: Words, clauses: readonly Clause[], first: readonly string[]): string {
  const count = words.pick([0, 1, 1, 1, 2]);
  const more = Array.from({ length: count }, () => words.pick(clauses)(words));
  return [...first, ...more].join(words.pick([" AND ", " and "]));
}

function order(words: Words, fields: readonly string[]): string[] {
  const direction = () => words.pick(["", " ASC", " DESC"]);
  const count = words.pick([1, 1, 2]);
  const chosen = words.random.shuffle(fields).slice(0, count);
  return (words.chance(4) ? ["nope"] : chosen).map((field) => field + direction());
}

function pageSize(words: Words): number {
  return words.chance(3) ? 0 : words.pick([1, 2, 3, 100]);
}

const VIEWS = ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"];

export function runSearch(words: Words, experimentIds: readonly string[], byName: boolean): Values {
  const key = quoted(words);
  const fields = [`metrics.${key}`, `params.${key}`, `tags.${key}`, "start_time", "status"];
  return {
    experimentIds,
    ...words.some({
      filterString: filter(words, OF_RUNS, []),
      orderBy: order(words, [...fields, "end_time", ...(byName ? ["run_name"] : [])]),
      maxResults: pageSize(words),
      viewType: words.pick(VIEWS),
    }),
  };
}

export function experimentSearch(words: Words): Values {
  return {
    filterString: filter(words, OF_EXPERIMENTS, ["name LIKE '@%'"]),
    ...words.some({
      orderBy: order(words, ["name", "creation_time", "last_update_time", "experiment_id"]),
      maxResults: pageSize(words),
      viewType: words.pick(VIEWS),
    }),
  };
}

export function modelSearch(words: Words): Values {
  return {
    filterString: filter(words, OF_MODELS, ["name LIKE '@%'"]),
    ...words.some({
      orderBy: order(words, ["name", "last_updated_timestamp"]),
      maxResults: pageSize(words),
    }),
  };
}

export function versionSearch(words: Words, names: readonly string[]): Values {
  const first = words.chance(50) ? "name LIKE '@%'" : `name = '${words.pick(names)}'`;
  return {
    filterString: filter(words, OF_VERSIONS, [first]),
    ...words.some({
      orderBy: order(words, ["version_number", "name", "creation_timestamp"]),
      maxResults: pageSize(words),
    }),
  };
}

export function loggedModelSearch(
  words: Words,
  experimentIds: readonly string[],
  byName: boolean,
): Values {
  const name = byName ? "name" : "creation_timestamp";
  const fieldName = words.pick([name, "creation_timestamp", `metrics.${quoted(words)}`]);
  return {
    experimentIds,
    ...words.some({
      filterString: filter(words, OF_LOGGED_MODELS, []),
      orderBy: [{ fieldName, ascending: words.chance(50) }],
      maxResults: words.pick([1, 2, 50]),
    }),
  };
}
