// The order of search results, and their pages.
// Source: mlflow/utils/search_utils.py (3.17).
import {
  EXPERIMENT_SCHEMA,
  identifierOf,
  RUN_SCHEMA,
  type Searchable,
  type SearchSchema,
  valueAt,
} from "./filter.js";
import { refused } from "./messages.js";

/** What runs can be ordered by: not by their datasets, and a run's name has no second spelling here. */
export const RUN_ORDER: SearchSchema = {
  ...RUN_SCHEMA,
  entities: Object.fromEntries(
    Object.entries(RUN_SCHEMA.entities).filter(([, entity]) => entity !== "dataset"),
  ),
  aliases: { created: "start_time", Created: "start_time" },
};
/** Experiments are ordered by their attributes only. */
export const EXPERIMENT_ORDER: SearchSchema = {
  ...EXPERIMENT_SCHEMA,
  entities: { attribute: "attribute" },
};

export type Compare = (one: Searchable, other: Searchable) => number;

function compareValues(one: string | number, other: string | number): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** What is missing comes last whatever the direction, and what is no number just before it. */
function rank(value: string | number | null | undefined): number {
  if (value === null || value === undefined) return 2;
  return Number.isNaN(value) ? 1 : 0;
}

function compareBy(clause: string, schema: SearchSchema): Compare {
  const [, name = "", direction = "ASC"] =
    /^\s*((?:[^\s`"']|`[^`]*`|"[^"]*"|'[^']*')+)(?:\s+(asc|desc))?\s*$/i.exec(clause) ?? [];
  if (name === "") throw refused(`Invalid order_by clause '${clause}'. Could not be parsed.`);
  const identifier = identifierOf(name, schema);
  const sign = direction.toLowerCase() === "desc" ? -1 : 1;
  return (one, other) => {
    const [left, right] = [valueAt(one, identifier), valueAt(other, identifier)];
    const ranks = rank(left) - rank(right);
    if (ranks !== 0) return ranks;
    if (rank(left) !== 0) return 0;
    return sign * compareValues(left as string | number, right as string | number);
  };
}

/** By each clause in turn, and at last by `natural`. Throws `INVALID_PARAMETER_VALUE`. */
export function orderOf(
  clauses: readonly string[] | undefined,
  schema: SearchSchema,
  natural: readonly string[],
): Compare {
  const comparisons = [...(clauses ?? []), ...natural].map((clause) => compareBy(clause, schema));
  return (one, other) => {
    for (const compare of comparisons) {
      const order = compare(one, other);
      if (order !== 0) return order;
    }
    return 0;
  };
}

function offsetOf(pageToken: string | undefined): number {
  if (pageToken === undefined || pageToken === "") return 0;
  try {
    const { offset } = JSON.parse(Buffer.from(pageToken, "base64").toString()) as {
      offset?: unknown;
    };
    if (Number.isSafeInteger(Number(offset)) && Number(offset) > 0) return Number(offset);
  } catch {
    // Reported below.
  }
  throw refused(`Invalid page token '${pageToken}'; pass the one that the page before came with.`);
}

/** One page of `items`, and the token of the next when there is one. */
export function pageFrom<T>(
  items: readonly T[],
  maxResults: number,
  pageToken: string | undefined,
): { readonly page: readonly T[]; readonly next: { readonly next_page_token?: string } } {
  const start = offsetOf(pageToken);
  const end = start + maxResults;
  if (end >= items.length) return { page: items.slice(start), next: {} };
  const token = Buffer.from(`{"offset": ${end}}`).toString("base64");
  return { page: items.slice(start, end), next: { next_page_token: token } };
}
