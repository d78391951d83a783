// Keeps secrets out of everything that a validation tells, whoever wrote the text.

/** Variables whose value is a secret; those of OpenTelemetry hold `name=value` pairs. */
const SECRET_VARIABLE =
  /(PASSWORD|PASSWD|SECRET|TOKEN|ACCESS_KEY|ACCOUNT_KEY|API_KEY|SAS|CONNECTION_STRING|CREDENTIALS?|OTLP(_TRACES|_METRICS|_LOGS)?_HEADERS)$/i;

/** A password of one or two letters is in every other word, and a header of a few is a number or a name. */
const SHORTEST = 3;
const SHORTEST_HEADER = 6;

const HIDDEN = "(hidden)";

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The password in a URI, as it is written there and as it is meant. */
function passwordOf(uri: string): string[] {
  const [, password] = /^[a-z][a-z0-9+.-]*:\/\/[^/?#:@]*:(.*)@/i.exec(uri) ?? [];
  return password === undefined ? [] : [password, decoded(password)];
}

function secretsOf(name: string, value: string): string[] {
  if (!SECRET_VARIABLE.test(name)) return passwordOf(value);
  if (!/HEADERS$/i.test(name)) return [value];
  const values = value.split(",").map((pair) => pair.slice(pair.indexOf("=") + 1).trim());
  // `Bearer abc`: the scheme is none.
  return values
    .flatMap((one) => [one, decoded(one)])
    .map((one) => one.replace(/^\w+ /, ""))
    .filter((one) => one.length >= SHORTEST_HEADER);
}

/** A function that hides every secret of the environment, and of `uris`, in a text. */
export function secretHider(
  uris: readonly (string | undefined)[],
  environment: NodeJS.ProcessEnv = process.env,
): (text: string) => string {
  const secrets = new Set(
    [
      ...Object.entries(environment).flatMap(([name, value]) => secretsOf(name, value ?? "")),
      ...uris.flatMap((uri) => passwordOf(uri ?? "")),
    ].filter((secret) => secret.trim().length >= SHORTEST),
  );
  // The longest first: one may be a part of another.
  const ordered = [...secrets].sort((one, other) => other.length - one.length);
  return (text) => ordered.reduce((shown, secret) => shown.replaceAll(secret, HIDDEN), text);
}
