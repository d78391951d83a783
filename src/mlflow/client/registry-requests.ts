// Parts of requests to the registry: a version, a description, a tag, tags, a search.
import { invalidParameter } from "../errors.js";
import type { KeyValueMessage } from "../spec.js";
import {
  checkKnownModelName,
  checkMaxResults,
  checkOptions,
  checkTagKey,
  type LoggableValue,
  modelVersionNumber,
  registryTagValue,
} from "../validation.js";
import { searchRequest, tagsWith } from "./requests.js";

export interface RegistrySearchOptions {
  /** Such as `name = 'price model'`. */
  readonly filterString?: string | undefined;
  /** Such as `["last_updated_timestamp DESC"]`. */
  readonly orderBy?: readonly string[] | undefined;
  /** Most results of one page, 1 to 1000; 1000 when left out. */
  readonly maxResults?: number | undefined;
  /** `nextPageToken` of the page before. */
  readonly pageToken?: string | undefined;
}

/** Most results of one page that are asked for; MLflow's server refuses more models. */
const MAX_PER_PAGE = 1000;

/** A search of the registry, which knows no view. */
export function registrySearchRequest(options: RegistrySearchOptions) {
  checkOptions("search options", options, ["filterString", "orderBy", "maxResults", "pageToken"]);
  const { request } = searchRequest(options);
  checkMaxResults(request.max_results, MAX_PER_PAGE);
  return request;
}

/** Which version of which model. */
export function versionRequest(name: string, version: string | number) {
  checkKnownModelName(name);
  return { name, version: modelVersionNumber(version) };
}

/** The one thing of a model or a version that can be changed. */
export function descriptionRequest(where: string, changes: { readonly description: string }) {
  checkOptions(where, changes, ["description"]);
  const { description } = changes;
  if (typeof description === "string") return { description };
  throw invalidParameter("description", description, "pass a text.");
}

export function registryTag(key: string, value: LoggableValue) {
  checkTagKey(key);
  return { key, value: registryTagValue(key, value) };
}

export function registryTags(
  tags: Readonly<Record<string, LoggableValue>> | undefined,
): KeyValueMessage[] | undefined {
  return tagsWith(registryTagValue, tags);
}
