// The model registry in a store's folder: models, versions, stages, tags, aliases.
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { MlflowError } from "../errors.js";
import type { KeyValueMessage, ModelVersionMessage, RegisteredModelMessage } from "../spec.js";
import { canonicalStage, checkAlias, checkTagKey, modelVersionNumber } from "../validation.js";
import { isErrno } from "./file-errors.js";
import type { Layout } from "./layout.js";
import { alreadyExists, doesNotExist, listed, refused } from "./messages.js";
import { type Meta, numberField, textField, writeMeta } from "./meta-file.js";
import {
  checkName,
  checkTag,
  type FoundModel,
  type FoundVersion,
  type NewVersion,
  optional,
} from "./registry-entries.js";
import { listFolders, mapInParallel, readValue, readValues, replaceFile } from "./value-files.js";

const STAGES = ["None", "Staging", "Production", "Archived"];
const ACTIVE_STAGES = ["Staging", "Production"];
/** What Python writes into a version that is deleted; its number is never used again. */
const DELETED_STAGE = "Deleted_Internal";
const VERSION_FOLDER = /^version-([1-9][0-9]*)$/;
/** `latest` and `v1` mean something of their own where an alias is asked for. */
const RESERVED_ALIAS = /^(latest|v\d+)$/i;

export class Registry {
  readonly #layout: Layout;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  // ── models ─────────────────────────────────────────────────────────────────────────────────────

  async #model(name: string): Promise<FoundModel> {
    checkName(name);
    const folder = this.#layout.model(name);
    const meta = await this.#layout.metas.read(folder);
    if (meta === undefined) throw doesNotExist(`Registered Model with name=${name} not found`);
    return { name, folder, meta };
  }

  async createModel(
    name: string,
    description: string | undefined,
    tags: readonly KeyValueMessage[],
  ): Promise<RegisteredModelMessage> {
    checkName(name);
    tags.forEach(checkTag);
    const folder = this.#layout.model(name);
    await mkdir(this.#layout.models, { recursive: true });
    try {
      await mkdir(folder);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
      throw alreadyExists(`Registered Model (name=${name}) already exists.`);
    }
    for (const tag of tags) await this.#writeTag(folder, tag);
    const now = Date.now();
    await writeMeta(folder, {
      aliases: [],
      creation_timestamp: now,
      description: description ?? null,
      last_updated_timestamp: now,
      name,
    });
    return this.getModel(name);
  }

  async getModel(name: string): Promise<RegisteredModelMessage> {
    const model = await this.#model(name);
    const [tags, aliases, latest] = await Promise.all([
      readValues(join(model.folder, "tags")),
      this.#aliases(model),
      this.latestVersions(name, []),
    ]);
    const { meta } = model;
    return {
      name,
      creation_timestamp: numberField(meta, "creation_timestamp") ?? 0,
      last_updated_timestamp: numberField(meta, "last_updated_timestamp") ?? 0,
      ...optional("description", textField(meta, "description")),
      ...listed("latest_versions", latest),
      ...listed("tags", tags),
      ...listed("aliases", aliases),
    };
  }

  async deleteModel(name: string): Promise<void> {
    const { folder } = await this.#model(name);
    await rm(folder, { recursive: true });
  }

  /** The folder moves as a whole, so that no version is in two places or in none. */
  async renameModel(name: string, newName: string): Promise<RegisteredModelMessage> {
    checkName(newName);
    const model = await this.#model(name);
    const folder = this.#layout.model(newName);
    if (newName !== name) {
      if ((await this.#layout.metas.read(folder)) !== undefined) {
        throw alreadyExists(`Registered Model (name=${newName}) already exists.`);
      }
      await rename(model.folder, folder);
    }
    const now = Date.now();
    await writeMeta(folder, { ...model.meta, name: newName, last_updated_timestamp: now });
    const renamed = await this.#model(newName);
    for (const version of await this.#versions(renamed)) {
      await this.#changeVersion(version, { name: newName }, now);
    }
    return this.getModel(newName);
  }

  async updateModel(name: string, description: string): Promise<RegisteredModelMessage> {
    const { folder } = await this.#model(name);
    await this.#layout.queues.run(folder, async () => {
      const { meta } = await this.#model(name);
      await writeMeta(folder, { ...meta, description, last_updated_timestamp: Date.now() });
    });
    return this.getModel(name);
  }

  /** Every model; what is malformed is passed over. */
  async listModels(): Promise<RegisteredModelMessage[]> {
    const names = await this.#modelNames();
    return mapInParallel(names, (name) => this.getModel(name));
  }

  async #modelNames(): Promise<string[]> {
    const names = await listFolders(this.#layout.models);
    const metas = await mapInParallel(names, (name) =>
      this.#layout.metas.read(this.#layout.model(name)).catch(() => undefined),
    );
    return names.filter((_, index) => metas[index] !== undefined);
  }

  async deleteModelTag(name: string, key: string): Promise<void> {
    checkTagKey(key);
    const model = await this.#model(name);
    await this.#removeTag(model.folder, key);
    await this.#touch(model);
  }

  /** To delete what is not there is no error to a server. */
  async #removeTag(folder: string, key: string): Promise<void> {
    try {
      await rm(join(folder, "tags", key));
    } catch (error) {
      if (!isErrno(error, "ENOENT", "ENOTDIR", "EISDIR", "ERR_FS_EISDIR")) throw error;
    }
  }

  async setModelTag(name: string, tag: KeyValueMessage): Promise<void> {
    checkTag(tag);
    const model = await this.#model(name);
    await this.#writeTag(model.folder, tag);
    await this.#touch(model);
  }

  #writeTag(folder: string, { key, value = "" }: KeyValueMessage): Promise<void> {
    return replaceFile(join(folder, "tags", key), value, folder);
  }

  async #touch({ name, folder }: FoundModel, now = Date.now()): Promise<void> {
    await this.#layout.queues.run(folder, async () => {
      const { meta } = await this.#model(name);
      await writeMeta(folder, { ...meta, last_updated_timestamp: now });
    });
  }

  // ── versions ───────────────────────────────────────────────────────────────────────────────────

  async #find(model: FoundModel, version: string): Promise<FoundVersion | undefined> {
    const folder = this.#layout.version(model.name, version);
    const meta = await this.#layout.metas.read(folder);
    if (meta === undefined || textField(meta, "current_stage") === DELETED_STAGE) return undefined;
    return { name: model.name, version, folder, meta };
  }

  async #version(name: string, version: string): Promise<FoundVersion> {
    const number = String(BigInt(modelVersionNumber(version)));
    const found = await this.#find(await this.#model(name), number);
    if (found !== undefined) return found;
    throw doesNotExist(`Model Version (name=${name}, version=${version}) not found`);
  }

  async #numbers({ folder }: FoundModel): Promise<number[]> {
    const folders = await listFolders(folder);
    return folders.flatMap((name) => VERSION_FOLDER.exec(name)?.[1] ?? []).map(Number);
  }

  async #versions(model: FoundModel): Promise<FoundVersion[]> {
    const numbers = await this.#numbers(model);
    const found = await mapInParallel(
      numbers.sort((one, other) => one - other),
      (number) => this.#find(model, String(number)),
    );
    return found.filter((version) => version !== undefined);
  }

  async #versionMessage(found: FoundVersion): Promise<ModelVersionMessage> {
    const { name, version, folder, meta } = found;
    const [tags, aliases] = await Promise.all([
      readValues(join(folder, "tags")),
      this.#aliases({ folder: this.#layout.model(name) }),
    ]);
    const own = aliases.filter((one) => one.version === version).map(({ alias }) => alias);
    return {
      name,
      version,
      creation_timestamp: numberField(meta, "creation_timestamp") ?? 0,
      last_updated_timestamp: numberField(meta, "last_updated_timestamp") ?? 0,
      ...optional("user_id", textField(meta, "user_id")),
      current_stage: textField(meta, "current_stage") ?? "None",
      description: textField(meta, "description") ?? "",
      source: textField(meta, "source") ?? "",
      run_id: textField(meta, "run_id") ?? "",
      status: textField(meta, "status") ?? "READY",
      ...optional("status_message", textField(meta, "status_message")),
      ...listed("tags", tags),
      run_link: textField(meta, "run_link") ?? "",
      ...optional("model_id", textField(meta, "model_id")),
      ...listed("aliases", own),
    };
  }

  async createVersion(version: NewVersion): Promise<ModelVersionMessage> {
    version.tags.forEach(checkTag);
    const model = await this.#model(version.name);
    const storageLocation =
      version.storageLocation ?? (await this.#storageLocation(version.source));
    const { number, folder } = await this.#newVersionFolder(model);
    for (const tag of version.tags) await this.#writeTag(folder, tag);
    const now = Date.now();
    await writeMeta(folder, {
      creation_timestamp: now,
      current_stage: "None",
      description: version.description ?? null,
      last_updated_timestamp: now,
      ...(version.modelId !== undefined && { model_id: version.modelId }),
      name: version.name,
      run_id: version.runId ?? null,
      run_link: version.runLink ?? null,
      source: version.source,
      status: "READY",
      status_message: null,
      storage_location: storageLocation,
      user_id: null,
      version: number,
    });
    await this.#touch(model, now);
    return this.getVersion(version.name, String(number));
  }

  /** The folder is the claim to the number: only one writer can make it. */
  async #newVersionFolder(model: FoundModel): Promise<{ number: number; folder: string }> {
    for (;;) {
      const number = 1 + Math.max(0, ...(await this.#numbers(model)));
      const folder = this.#layout.version(model.name, String(number));
      try {
        await mkdir(folder);
        return { number, folder };
      } catch (error) {
        if (!isErrno(error, "EEXIST")) throw error;
      }
    }
  }

  /** Where the files are of a version that is made from another: `models:/<name>/<version>`. */
  async #storageLocation(source: string): Promise<string> {
    const [, name, version] = /^models:\/([^/]+)\/([0-9]+)$/.exec(source) ?? [];
    if (name === undefined || version === undefined) return source;
    const { meta } = await this.#version(name, version);
    return textField(meta, "storage_location") ?? textField(meta, "source") ?? source;
  }

  async getVersion(name: string, version: string): Promise<ModelVersionMessage> {
    return this.#versionMessage(await this.#version(name, version));
  }

  async #changeVersion(version: FoundVersion, changes: Meta, now = Date.now()): Promise<void> {
    const change = { ...version.meta, ...changes, last_updated_timestamp: now };
    await writeMeta(version.folder, change);
  }

  async updateVersion(
    name: string,
    version: string,
    description: string,
  ): Promise<ModelVersionMessage> {
    const folder = this.#layout.model(name);
    await this.#layout.queues.run(`${folder} versions`, async () =>
      this.#changeVersion(await this.#version(name, version), { description }),
    );
    return this.getVersion(name, version);
  }

  async transition(
    name: string,
    version: string,
    stage: string,
    archiveExisting: boolean,
  ): Promise<ModelVersionMessage> {
    const target = canonicalStage(stage);
    if (archiveExisting && !ACTIVE_STAGES.includes(target)) {
      // A server has no code of its own for this.
      throw new MlflowError(
        "INTERNAL_ERROR",
        `Model version transition cannot archive existing model versions because '${stage}' is not an Active stage. Valid stages are ${ACTIVE_STAGES.join(", ")}`,
      );
    }
    const model = await this.#model(name);
    const now = Date.now();
    await this.#layout.queues.run(`${model.folder} versions`, async () => {
      const moved = await this.#version(name, version);
      if (archiveExisting) {
        for (const other of await this.#versions(model)) {
          if (other.version === moved.version) continue;
          if (textField(other.meta, "current_stage") !== target) continue;
          await this.#changeVersion(other, { current_stage: "Archived" }, now);
        }
      }
      await this.#changeVersion(moved, { current_stage: target }, now);
    });
    await this.#touch(model, now);
    return this.getVersion(name, version);
  }

  async deleteVersion(name: string, version: string): Promise<void> {
    const model = await this.#model(name);
    await this.#layout.queues.run(`${model.folder} versions`, async () => {
      const found = await this.#version(name, version);
      await this.#changeVersion(found, { current_stage: DELETED_STAGE });
      for (const alias of await this.#aliases(model)) {
        if (alias.version === found.version) await rm(this.#aliasPath(model, alias.alias));
      }
    });
    await this.#touch(model);
  }

  async setVersionTag(name: string, version: string, tag: KeyValueMessage): Promise<void> {
    checkTag(tag);
    const { folder } = await this.#version(name, version);
    await this.#writeTag(folder, tag);
    await this.#touch(await this.#model(name));
  }

  async deleteVersionTag(name: string, version: string, key: string): Promise<void> {
    checkTagKey(key);
    const { folder } = await this.#version(name, version);
    await this.#removeTag(folder, key);
    await this.#touch(await this.#model(name));
  }

  async downloadUri(name: string, version: string): Promise<string> {
    const { meta } = await this.#version(name, version);
    return textField(meta, "storage_location") ?? textField(meta, "source") ?? "";
  }

  async listVersions(): Promise<ModelVersionMessage[]> {
    const models = await mapInParallel(await this.#modelNames(), (name) => this.#model(name));
    const versions = await mapInParallel(models, (model) => this.#versions(model));
    return mapInParallel(versions.flat(), (version) => this.#versionMessage(version));
  }

  /** The newest version of each stage asked for, or of every one. */
  async latestVersions(name: string, stages: readonly string[]): Promise<ModelVersionMessage[]> {
    const wanted = stages.length === 0 ? STAGES : stages.map(canonicalStage);
    const versions = await this.#versions(await this.#model(name));
    const latest = STAGES.filter((stage) => wanted.includes(stage)).flatMap(
      (stage) => versions.findLast(({ meta }) => textField(meta, "current_stage") === stage) ?? [],
    );
    return mapInParallel(latest, (version) => this.#versionMessage(version));
  }

  // ── aliases ────────────────────────────────────────────────────────────────────────────────────

  async #aliases({
    folder,
  }: Pick<FoundModel, "folder">): Promise<{ readonly alias: string; readonly version: string }[]> {
    const values = await readValues(join(folder, "aliases"));
    return values.map(({ key, value }) => ({ alias: key, version: value.trim() }));
  }

  #aliasPath({ folder }: FoundModel, alias: string): string {
    return join(folder, "aliases", alias);
  }

  async setAlias(name: string, alias: string, version: string): Promise<void> {
    checkAlias(alias);
    if (RESERVED_ALIAS.test(alias)) throw refused(`Alias name '${alias}' is reserved.`);
    const model = await this.#model(name);
    const found = await this.#version(name, version);
    await replaceFile(this.#aliasPath(model, alias), found.version, model.folder);
    await this.#touch(model);
  }

  async deleteAlias(name: string, alias: string): Promise<void> {
    checkAlias(alias);
    const model = await this.#model(name);
    try {
      await rm(this.#aliasPath(model, alias));
    } catch (error) {
      // To delete what is not there is no error to a server either.
      if (isErrno(error, "ENOENT")) return;
      throw error;
    }
    await this.#touch(model);
  }

  async getVersionByAlias(name: string, alias: string): Promise<ModelVersionMessage> {
    checkAlias(alias);
    const model = await this.#model(name);
    if (alias.toLowerCase() === "latest") {
      const latest = (await this.#versions(model)).at(-1);
      if (latest === undefined) throw doesNotExist(`Latest version not found for model ${name}.`);
      return this.#versionMessage(latest);
    }
    const version = await readValue(this.#aliasPath(model, alias));
    if (version === undefined) throw refused(`Registered model alias ${alias} not found.`);
    return this.getVersion(name, version.trim());
  }
}
