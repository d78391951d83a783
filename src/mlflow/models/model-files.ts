// The files that a model consists of: in memory, or local files that are read as they are sent.
import { currentRuntime } from "../../runtime/capabilities.js";
import { bytesContent, fileContent, textContent } from "../artifacts.js";
import { invalidParameter, MlflowError } from "../errors.js";
import type { ArtifactContent } from "../stores.js";
import { checkArtifactPath } from "../validation.js";

/** One file of a model. */
export interface ModelFile {
  /** `/`-separated, below the model's folder. */
  readonly path: string;
  readonly content: ArtifactContent;
}

/**
 * A model: the path of a local file or folder, the bytes of one file, or every file by its
 * `/`-separated path, as text or bytes.
 */
export type ModelSource =
  | string
  | Uint8Array
  | Readonly<Record<string, string | Uint8Array>>
  | readonly ModelFile[];

function isBytes(value: unknown): value is Uint8Array {
  return Object.prototype.toString.call(value) === "[object Uint8Array]";
}

/** A file of a model from memory. */
export function modelFile(path: string, content: string | Uint8Array): ModelFile {
  checkArtifactPath(path);
  const isText = typeof content === "string";
  return { path, content: isText ? textContent(content, path) : bytesContent(content, path) };
}

async function localFiles(path: string, into: string): Promise<ModelFile[]> {
  const { files } = currentRuntime();
  if (files === undefined) {
    throw new MlflowError(
      "NOT_IMPLEMENTED",
      "There are no local files in this runtime; pass the model's bytes, or its files by path.",
    );
  }
  const status = await files.status(path);
  if (status?.kind === "file") {
    return [{ path: into, content: fileContent(path, status.sizeBytes, into) }];
  }
  if (status?.kind !== "directory") {
    throw invalidParameter("model", path, "there is no file or folder at this path.");
  }
  const found: ModelFile[] = [];
  for (const name of await files.listFiles(path)) {
    const local = files.resolve(path, name);
    const size = (await files.status(local))?.sizeBytes ?? 0;
    checkArtifactPath(name);
    found.push({ path: name, content: fileContent(local, size, name) });
  }
  if (found.length > 0) return found;
  throw invalidParameter("model", path, "the folder is empty; pass one that holds the model.");
}

/**
 * The files of a model; one file gets the path `fileName`. Rejects with `INVALID_PARAMETER_VALUE` for
 * what is no model.
 */
export async function modelFilesOf(model: ModelSource, fileName: string): Promise<ModelFile[]> {
  if (typeof model === "string" && model !== "") return localFiles(model, fileName);
  if (isBytes(model)) return [modelFile(fileName, model)];
  if (Array.isArray(model) && model.length > 0) return model as ModelFile[];
  const isRecord = typeof model === "object" && model !== null && !Array.isArray(model);
  const entries = isRecord ? Object.entries(model as object) : [];
  if (entries.length === 0) {
    const fix = "pass a path, a Uint8Array, or an object of file paths and their contents.";
    throw invalidParameter("model", model, fix);
  }
  return entries.map(([path, content]) => modelFile(path, content as string | Uint8Array));
}
