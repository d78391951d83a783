// Names of experiments that this process has met, whoever asked for them: no request is made for a name.

/** Names kept; when there are more, they are learned anew. */
const MAX_REMEMBERED = 4096;

const names = new Map<string, string>();

function keyOf(storeUri: string, experimentId: string): string {
  return `${storeUri} ${experimentId}`;
}

export function rememberExperimentName(storeUri: string, experimentId: string, name: string): void {
  if (names.size >= MAX_REMEMBERED) names.clear();
  names.set(keyOf(storeUri, experimentId), name);
}

/** Undefined when nobody in this process has met the experiment. */
export function knownExperimentName(storeUri: string, experimentId: string): string | undefined {
  return names.get(keyOf(storeUri, experimentId));
}
