// The bytes of an artifact as they lie there: in a folder, or behind the suites' server.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";

export async function bytesAt(artifactUri: string, path: string): Promise<Uint8Array> {
  if (!artifactUri.startsWith("mlflow-artifacts:")) {
    // Python names a folder by its path.
    const root = artifactUri.startsWith("file:") ? fileURLToPath(artifactUri) : artifactUri;
    return readFile(join(root, path));
  }
  const place = `${artifactUri.replace(/^mlflow-artifacts:\/*/, "")}/${path}`;
  const address = place.split("/").map(encodeURIComponent).join("/");
  const server = inject("mlflowServerUri");
  const answer = await fetch(`${server}/api/2.0/mlflow-artifacts/artifacts/${address}`);
  if (!answer.ok) throw new Error(`${answer.status} for ${path}`);
  return new Uint8Array(await answer.arrayBuffer());
}
