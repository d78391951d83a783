// Tables as artifacts, in the form that Python's `log_table` writes and `load_table` reads.
// Source: mlflow/tracking/client.py (3.17).
import { objectOf, textOf } from "./artifact-stores/download.js";
import { openArtifactStore } from "./artifact-stores/open-store.js";
import { type ArtifactPlace, readBytes } from "./artifact-stores/read.js";
import { runFromMessage } from "./entities.js";
import { hasCode, invalidParameter, MlflowError } from "./errors.js";
import { plainOf } from "./plain-values.js";
import { Queues } from "./queues.js";
import { type RunTarget, type RunWrite, tagWrite, textArtifact } from "./run-writes.js";
import * as spec from "./spec.js";
import { callStore } from "./stores.js";
import { checkArtifactPath, MAX_TAG_VALUE_LENGTH } from "./validation.js";

/** Rows as objects, or columns by name, all of one length. */
export type TableData = readonly object[] | Readonly<Record<string, readonly unknown[]>>;

/** A table as its file has it: pandas' orientation "split". */
export interface Table {
  readonly columns: readonly string[];
  readonly data: readonly (readonly unknown[])[];
}

/** On a run: the tables it has, as JSON. */
export const LOGGED_ARTIFACTS_TAG = "mlflow.loggedArtifacts";

/** Throws MlflowError `INVALID_PARAMETER_VALUE` for a name that cannot be a table's. */
export function checkTableFile(artifactFile: unknown): asserts artifactFile is string {
  checkArtifactPath(artifactFile);
  if (/["',:[\]{}]/.test(artifactFile)) {
    throw invalidParameter(
      "artifactFile",
      artifactFile,
      "leave out quotes, ',', ':' and brackets.",
    );
  }
  if (!artifactFile.endsWith(".json")) {
    throw invalidParameter("artifactFile", artifactFile, "give it a name that ends in .json.");
  }
}

function rowsOf(columns: readonly string[], rows: readonly Readonly<Record<string, unknown>>[]) {
  return rows.map((row) => columns.map((column) => row[column] ?? null));
}

/** Throws MlflowError `INVALID_PARAMETER_VALUE` for what is no table. */
function tableOf(given: TableData): Table {
  const data = plainOf(given) as TableData;
  const isRecord = (value: unknown) => Object.prototype.toString.call(value) === "[object Object]";
  if (Array.isArray(data) && data.length > 0 && data.every(isRecord)) {
    const columns = [...new Set(data.flatMap((row) => Object.keys(row)))];
    return { columns, data: rowsOf(columns, data) };
  }
  const columns = isRecord(data) ? Object.entries(data as Record<string, readonly unknown[]>) : [];
  const lengths = new Set(
    columns.map(([, values]) => (Array.isArray(values) ? values.length : -1)),
  );
  const [length] = lengths;
  if (lengths.size !== 1 || length === undefined || length < 0) {
    const fix = "pass an array of rows as objects, or an object of columns of one length.";
    throw invalidParameter("table", data, fix);
  }
  return {
    columns: columns.map(([name]) => name),
    data: Array.from({ length }, (_, row) => columns.map(([, values]) => values[row] ?? null)),
  };
}

/** The rows of both, below each other; a column that one lacks is empty there. */
function joined(one: Table, other: Table): Table {
  const columns = [...new Set([...one.columns, ...other.columns])];
  const data = [one, other].flatMap((table) => rowsOf(columns, rowsOfTable(table)));
  return { columns, data };
}

/** A table's rows as objects. */
export function rowsOfTable({ columns, data }: Table): Record<string, unknown>[] {
  return data.map((row) =>
    Object.fromEntries(columns.map((column, index) => [column, row[index]])),
  );
}

/** A table's file; undefined when there is none. */
export async function readTable(place: ArtifactPlace): Promise<Table | undefined> {
  const { path } = place;
  try {
    const table = objectOf(textOf(await readBytes(place, {}), path), path) as Partial<Table>;
    if (Array.isArray(table.columns) && Array.isArray(table.data)) return table as Table;
  } catch (error) {
    if (hasCode(error, "RESOURCE_DOES_NOT_EXIST")) return undefined;
    throw error;
  }
  throw new MlflowError("INVALID_STATE", `'${path}' is there and is no table; use another name.`);
}

/** Whoever adds to a table, or to a run's list of them, reads it first: one at a time. */
const writers = new Queues();

/**
 * Rows that are added to a table of the run, which is made when there is none. Those of one process
 * are all joined; what two processes write at once to one table is not. Throws MlflowError
 * `INVALID_PARAMETER_VALUE` for what is no table.
 */
export function tableWrite(data: TableData, artifactFile: string): RunWrite {
  checkTableFile(artifactFile);
  const added = tableOf(data);
  return async (target) => {
    const { store, runId } = target;
    const run = JSON.stringify([store.uri, runId]);
    await writers.run(`${run} ${artifactFile}`, () => addRows(target, artifactFile, added));
    await writers.run(run, () => noteTable(target, artifactFile));
  };
}

/** As Python's `log_table` writes it, with null for a number that JSON has not. */
function textOfTable(table: Table): string {
  try {
    return JSON.stringify(table);
  } catch {
    throw invalidParameter("table", table, "a cell of it cannot be written as JSON.");
  }
}

async function addRows(target: RunTarget, artifactFile: string, added: Table): Promise<void> {
  const { store } = target;
  const { artifactUri } = await target.artifacts();
  const artifacts = openArtifactStore(artifactUri, store);
  const known = await readTable({ artifacts, path: artifactFile, context: { store } });
  const table = known === undefined ? added : joined(known, added);
  await textArtifact(textOfTable(table), artifactFile)(target);
}

async function noteTable(target: RunTarget, artifactFile: string): Promise<void> {
  const { run } = await callStore(target.store, spec.getRun, { run_id: target.runId });
  const tag = runFromMessage(run).data.tags[LOGGED_ARTIFACTS_TAG];
  const changed = tagWithTable(tag, artifactFile);
  // Cut off it would be no list any more; the table is there without being named in it.
  if (changed === undefined || changed.length > MAX_TAG_VALUE_LENGTH) return;
  await tagWrite(LOGGED_ARTIFACTS_TAG, changed)(target);
}

/** The tables that a tag names; undefined for one that was cut off, or is no list. */
function tablesIn(
  tag: string,
): readonly { readonly path: string; readonly type: string }[] | undefined {
  try {
    const known: unknown = JSON.parse(tag);
    return Array.isArray(known) ? known : undefined;
  } catch {
    return undefined;
  }
}

/** The tag of a run with one table more; undefined when it is named there, and for a tag that cannot be added to. */
function tagWithTable(tag: string | undefined, artifactFile: string): string | undefined {
  const known = tablesIn(tag ?? "[]");
  if (
    known === undefined ||
    known.some(({ path, type }) => path === artifactFile && type === "table")
  )
    return undefined;
  return JSON.stringify([...known, { path: artifactFile, type: "table" }]);
}
