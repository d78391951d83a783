// What runs used and made, in a store's folder: datasets, and models on either side.
// Source: mlflow/store/tracking/file_store.py (3.17).
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import type {
  DatasetInputMessage,
  DatasetMessage,
  ModelInputMessage,
  ModelOutputMessage,
  RunMessage,
} from "../spec.js";
import { writeYaml } from "../yaml.js";
import { orMissing } from "./file-errors.js";
import { listed, refused } from "./messages.js";
import { formatMeta, readMeta, textField } from "./meta-file.js";
import { createFile, listFolders, mapInParallel } from "./value-files.js";

const META_FILE = "meta.yaml";

interface Link {
  readonly source_type: string;
  readonly source_id: string;
  readonly destination_type: string;
  readonly destination_id: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly step?: number;
}

function md5(...parts: readonly string[]): string {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** A link is written once; the first one stays. */
async function writeLink(runFolder: string, place: string, link: Link): Promise<void> {
  await createFile(join(runFolder, place, META_FILE), writeYaml(link), runFolder);
}

async function readLinks(folder: string): Promise<Link[]> {
  const links = await mapInParallel(await listFolders(folder), async (name) => {
    const text = await orMissing(readFile(join(folder, name, META_FILE), "utf8"), undefined);
    if (text === undefined || text.trim() === "") return undefined;
    // By the failsafe schema everything is text, as it was before it was written.
    const link = parse(text, { version: "1.1", schema: "failsafe" }) as Partial<Link> | null;
    return typeof link?.source_id === "string" ? (link as Link) : undefined;
  });
  return links.filter((link) => link !== undefined);
}

function datasetFolder(experimentFolder: string, id: string): string {
  return join(experimentFolder, "datasets", id);
}

function checkDataset({ dataset }: DatasetInputMessage): DatasetMessage {
  for (const field of ["name", "digest", "source_type", "source"] as const) {
    if (typeof dataset?.[field] !== "string" || dataset[field] === "") {
      throw refused(`Missing value for required parameter 'datasets[].dataset.${field}'.`);
    }
  }
  return dataset as DatasetMessage;
}

/** Notes what a run used. `runFolder` lies in its experiment's folder. */
export async function writeInputs(
  runFolder: string,
  runId: string,
  datasets: readonly DatasetInputMessage[],
  models: readonly ModelInputMessage[],
): Promise<void> {
  const checked = datasets.map((input) => ({ input, dataset: checkDataset(input) }));
  for (const { input, dataset } of checked) {
    const id = md5(dataset.name, dataset.digest);
    const folder = datasetFolder(join(runFolder, ".."), id);
    if ((await readMeta(folder)) === undefined) {
      const { name, digest, source_type = "", source = "", schema, profile } = dataset;
      const meta = { name, digest, source_type, source };
      const text = formatMeta({ ...meta, schema: schema ?? null, profile: profile ?? null });
      await createFile(join(folder, META_FILE), text, runFolder);
    }
    const tags = (input.tags ?? []).map(({ key, value = "" }) => [key, value]);
    await writeLink(runFolder, `inputs/${md5(id, runId)}`, {
      source_type: "DATASET",
      source_id: id,
      destination_type: "RUN",
      // Python's writer puts the source here, and its reader looks for it.
      destination_id: id,
      tags: Object.fromEntries(tags) as Record<string, string>,
    });
  }
  for (const { model_id } of models) {
    await writeLink(runFolder, `inputs/${md5(model_id, runId)}`, {
      source_type: "MODEL",
      source_id: model_id,
      destination_type: "RUN",
      destination_id: model_id,
      tags: {},
    });
  }
}

/** Notes what a run made. */
export async function writeOutputs(
  runFolder: string,
  models: readonly ModelOutputMessage[],
): Promise<void> {
  for (const { model_id, step } of models) {
    await writeLink(runFolder, `outputs/${model_id}`, {
      source_type: "RUN_OUTPUT",
      source_id: model_id,
      destination_type: "MODEL_OUTPUT",
      destination_id: model_id,
      tags: {},
      step: Number(step ?? 0),
    });
  }
}

async function datasetInput(
  experimentFolder: string,
  { source_id, tags }: Link,
): Promise<DatasetInputMessage | undefined> {
  const meta = await readMeta(datasetFolder(experimentFolder, source_id));
  if (meta === undefined) return undefined;
  const schema = textField(meta, "schema");
  const profile = textField(meta, "profile");
  return {
    tags: Object.entries(tags ?? {}).map(([key, value]) => ({ key, value })),
    dataset: {
      name: textField(meta, "name") ?? "",
      digest: textField(meta, "digest") ?? "",
      source_type: textField(meta, "source_type") ?? "",
      source: textField(meta, "source") ?? "",
      ...(schema !== undefined && { schema }),
      ...(profile !== undefined && { profile }),
    },
  };
}

/** What a run used and made, as its message has it. */
export async function readRunLinks(
  runFolder: string,
): Promise<Pick<RunMessage, "inputs" | "outputs">> {
  const [inputs, outputs] = await Promise.all([
    readLinks(join(runFolder, "inputs")),
    readLinks(join(runFolder, "outputs")),
  ]);
  const datasets = await mapInParallel(
    inputs.filter(({ source_type }) => source_type === "DATASET"),
    (link) => datasetInput(join(runFolder, ".."), link),
  );
  const models = inputs.filter(({ source_type }) => source_type === "MODEL");
  const made = outputs.map(({ destination_id, step }) => ({
    model_id: destination_id,
    step: Number(step ?? 0),
  }));
  return {
    inputs: {
      ...listed(
        "dataset_inputs",
        datasets.filter((input) => input !== undefined),
      ),
      ...listed(
        "model_inputs",
        models.map(({ source_id }) => ({ model_id: source_id })),
      ),
    },
    outputs: listed("model_outputs", made),
  };
}
