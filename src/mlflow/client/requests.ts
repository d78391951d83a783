// Parts of requests that several rooms share: searches, texts, tags.
import type { Page } from "../entities.js";
import { invalidParameter, MlflowError } from "../errors.js";
import type { KeyValueMessage } from "../spec.js";
import {
  checkMaxResults,
  checkOptions,
  checkRecord,
  checkTagKey,
  type LoggableValue,
} from "../validation.js";

export type ViewType = "ACTIVE_ONLY" | "DELETED_ONLY" | "ALL";
const VIEW_TYPES: readonly string[] = ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"];

export interface SearchOptions {
  /** Such as `metrics.accuracy > 0.9 and tags.team = 'search'`. */
  readonly filterString?: string | undefined;
  /** Such as `["metrics.accuracy DESC"]`. */
  readonly orderBy?: readonly string[] | undefined;
  /** Most results of one page, 1 to 50000; 1000 when left out. */
  readonly maxResults?: number | undefined;
  readonly viewType?: ViewType | undefined;
  /** `nextPageToken` of the page before. */
  readonly pageToken?: string | undefined;
}

const DEFAULT_PAGE = 1000;
const SEARCH_OPTIONS = ["filterString", "orderBy", "maxResults", "viewType", "pageToken"];

export function searchRequest(options: SearchOptions) {
  checkOptions("search options", options, SEARCH_OPTIONS);
  const { filterString, orderBy, maxResults = DEFAULT_PAGE, viewType, pageToken } = options;
  checkMaxResults(maxResults);
  if (viewType !== undefined && !VIEW_TYPES.includes(viewType)) {
    throw invalidParameter("viewType", viewType, `use one of ${VIEW_TYPES.join(", ")}.`);
  }
  if (orderBy !== undefined && !Array.isArray(orderBy)) {
    throw invalidParameter("orderBy", orderBy, 'pass an array, such as ["start_time DESC"].');
  }
  checkText("filterString", filterString);
  checkText("pageToken", pageToken);
  const request = { max_results: maxResults, page_token: pageToken, order_by: orderBy };
  return { request: { ...request, filter: filterString }, viewType };
}

export function checkText(field: string, value: unknown): void {
  if (value !== undefined && typeof value !== "string") {
    throw invalidParameter(field, value, "pass a text, or leave it out.");
  }
}

export function tagsWith(
  write: (key: string, value: unknown) => string,
  tags: Readonly<Record<string, LoggableValue>> | undefined,
): KeyValueMessage[] | undefined {
  if (tags === undefined) return undefined;
  checkRecord("tags", tags);
  return Object.entries(tags).map(([key, value]) => {
    checkTagKey(key);
    return { key, value: write(key, value) };
  });
}

/**
 * The token of the page that follows the one which was asked for with `asked`; undefined after the last. Throws
 * MlflowError `INVALID_RESPONSE` for a server that would give the same page for ever.
 */
export function followingToken(
  given: string | undefined,
  asked: string | undefined,
): string | undefined {
  if (given === undefined || given === "") return undefined;
  if (given !== asked) return given;
  throw new MlflowError(
    "INVALID_RESPONSE",
    "MLflow's answer names itself as the page that follows it. Is the tracking URI that of an MLflow server?",
  );
}

/** Every result of a search, page after page, beginning with the page that `options` name. */
export async function* eachOf<T, Options extends { readonly pageToken?: string | undefined }>(
  options: Options,
  search: (options: Options) => Promise<Page<T>>,
): AsyncGenerator<T, void> {
  let { pageToken } = options;
  do {
    const page = await search({ ...options, pageToken });
    yield* page;
    pageToken = followingToken(page.nextPageToken, pageToken);
  } while (pageToken !== undefined);
}
