// What may be shown: a URI without what lets one in, by itself or in the middle of a text.

/** Schemes that have the name of a container where others have a user's. */
const CONTAINER_SCHEME = /^(?:abfss?|wasbs?):/i;

// A text may be a server's, of any length: nothing in these is unbounded twice, so that none is slow to search.

/** Names of query parameters whose values are keys: those of presigned URLs, tokens, passwords. */
const SECRET_PARAMETER =
  /([?&;#][^=&;#\s'"<>]{0,60}?(?:sig|token|cred|pass|pwd|secret|key|auth)[^=&;#\s'"<>]{0,60}=)[^&;#\s'"<>]+/gi;

/** User name and password; the second form is one in which somebody forgot to encode a '/', '?' or '#'. */
const USER = /^([a-z][a-z0-9+.-]*:\/\/)(?:[^/?#]*@|[^/?#@]*:(?!\d*(?:[/?#]|$)).*@)/is;
const USER_IN_TEXT =
  /\b([a-z][a-z0-9+.-]{0,30}:\/\/)(?:[^\s/?#'"<>]*@|[^\s/?#@'"<>]{0,100}:(?!\d*(?:[/?#\s'"<>]|$))[^\s'"<>]{0,500}@)/gi;

function withoutUser(found: string, start: string): string {
  if (!CONTAINER_SCHEME.test(start)) return start;
  const [container = ""] = found.slice(start.length, -1).split(":");
  return `${start}${container}@`;
}

function withoutKeys(text: string): string {
  return text.replace(SECRET_PARAMETER, "$1***");
}

/** A URI that may be shown: user name and password removed, keys in its query made unreadable. */
export function withoutCredentials(uri: string): string {
  return withoutKeys(uri.replace(USER, withoutUser));
}

/** A text that may be shown: every URI in it is one that may. */
export function withoutSecrets(text: string): string {
  return withoutKeys(text.includes("://") ? text.replace(USER_IN_TEXT, withoutUser) : text);
}
