// Searching registered models and their versions in a store's folder.
// Source: SearchModelUtils and SearchModelVersionUtils in mlflow/utils/search_utils.py (3.17).
import type { KeyValueMessage, ModelVersionMessage, RegisteredModelMessage } from "../spec.js";
import { filterOf, type Searchable, type SearchSchema } from "./filter.js";
import { orderOf, pageFrom } from "./ordering.js";

const PROMPT_TAG = "mlflow.prompt.is_prompt";

const ENTITIES = { attribute: "attribute", tag: "tag", tags: "tag" } as const;

const MODEL_SCHEMA: SearchSchema = {
  entities: ENTITIES,
  textAttributes: ["name"],
  numericAttributes: [],
  listAttributes: ["name"],
  aliases: {},
};
const MODEL_ORDER: SearchSchema = {
  ...MODEL_SCHEMA,
  entities: { attribute: "attribute" },
  numericAttributes: ["last_updated_timestamp"],
  aliases: { timestamp: "last_updated_timestamp" },
};
const VERSION_SCHEMA: SearchSchema = {
  entities: ENTITIES,
  textAttributes: ["name", "run_id", "source_path"],
  numericAttributes: ["version_number"],
  listAttributes: ["name", "run_id"],
  aliases: {},
};
const VERSION_ORDER: SearchSchema = {
  entities: { attribute: "attribute" },
  textAttributes: ["name"],
  numericAttributes: ["version_number", "creation_timestamp", "last_updated_timestamp"],
  listAttributes: [],
  aliases: {},
};

export interface RegistrySearch {
  readonly filter?: string | undefined;
  readonly orderBy?: readonly string[] | undefined;
  readonly maxResults: number;
  readonly pageToken?: string | undefined;
}

interface FoundPage<T> {
  readonly page: readonly T[];
  readonly next: { readonly next_page_token?: string };
}

/** Prompts are models with a tag; a model without it is like one that says it is no prompt. */
function withPromptTag(tags: readonly KeyValueMessage[] | undefined): Record<string, string> {
  const written = (tags ?? []).map(({ key, value = "" }) => [key, value]);
  return { [PROMPT_TAG]: "false", ...Object.fromEntries(written) };
}

function withoutPrompts(filter: string | undefined): string {
  if (filter?.includes(PROMPT_TAG)) return filter;
  const noPrompts = `tags.\`${PROMPT_TAG}\` != 'true'`;
  return filter === undefined || filter.trim() === "" ? noPrompts : `${filter} AND ${noPrompts}`;
}

function searched<T>(
  items: readonly T[],
  toSearchable: (item: T) => Searchable,
  { filter, orderBy, maxResults, pageToken }: RegistrySearch,
  schemas: { readonly filter: SearchSchema; readonly order: SearchSchema },
  natural: readonly string[],
): FoundPage<T> {
  const accepts = filterOf(withoutPrompts(filter), schemas.filter);
  const compare = orderOf(orderBy, schemas.order, natural);
  const matching = items
    .map((item) => ({ item, searchable: toSearchable(item) }))
    .filter(({ searchable }) => accepts(searchable))
    .sort((one, other) => compare(one.searchable, other.searchable))
    .map(({ item }) => item);
  return pageFrom(matching, maxResults, pageToken);
}

export function searchModels(
  models: readonly RegisteredModelMessage[],
  search: RegistrySearch,
): FoundPage<RegisteredModelMessage> {
  const toSearchable = ({ name, last_updated_timestamp, tags }: RegisteredModelMessage) => ({
    metrics: {},
    params: {},
    tags: withPromptTag(tags),
    attributes: { name, last_updated_timestamp: Number(last_updated_timestamp) },
  });
  const schemas = { filter: MODEL_SCHEMA, order: MODEL_ORDER };
  return searched(models, toSearchable, search, schemas, ["name ASC"]);
}

export function searchVersions(
  versions: readonly ModelVersionMessage[],
  search: RegistrySearch,
): FoundPage<ModelVersionMessage> {
  const toSearchable = (version: ModelVersionMessage) => ({
    metrics: {},
    params: {},
    tags: withPromptTag(version.tags),
    attributes: {
      name: version.name,
      run_id: version.run_id,
      source_path: version.source,
      version_number: Number(version.version),
      creation_timestamp: Number(version.creation_timestamp),
      last_updated_timestamp: Number(version.last_updated_timestamp),
    },
  });
  const schemas = { filter: VERSION_SCHEMA, order: VERSION_ORDER };
  return searched(versions, toSearchable, search, schemas, ["name ASC", "version_number DESC"]);
}
