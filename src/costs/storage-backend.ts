// Where an artifact lies decides what its bytes cost: artifact URI → storage backend.

/** Backends with a price by default; a configuration may name others. */
export type StorageBackend = "local" | "s3" | "azure" | "gcs" | (string & {});

/** Artifact URI prefix → backend, for locations whose own scheme does not tell. */
export type StorageBackendMap = Readonly<Record<string, StorageBackend>>;

const BACKEND_OF_SCHEME: Readonly<Record<string, StorageBackend>> = {
  file: "local",
  s3: "s3",
  s3a: "s3",
  s3n: "s3",
  abfs: "azure",
  abfss: "azure",
  wasb: "azure",
  wasbs: "azure",
  azure: "azure",
  gs: "gcs",
};

/**
 * Backend of an artifact URI, never of the tracking URI. The longest configured prefix wins, then the
 * scheme. A scheme that does not tell (`mlflow-artifacts:`, `dbfs:`) is its own backend, which has no
 * price until the configuration gives it one.
 */
export function storageBackend(artifactUri: string, configured: StorageBackendMap): StorageBackend {
  let longest = "";
  for (const prefix of Object.keys(configured)) {
    if (artifactUri.startsWith(prefix) && prefix.length > longest.length) longest = prefix;
  }
  if (longest !== "") return configured[longest] as StorageBackend;
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(artifactUri)?.[1]?.toLowerCase();
  // One letter is a drive, not a scheme.
  if (scheme === undefined || scheme.length === 1) return "local";
  return BACKEND_OF_SCHEME[scheme] ?? scheme;
}

/** The engine's meter for bytes kept on a backend. */
export function storageMeter(backend: StorageBackend): string {
  return `storage.${backend}`;
}
