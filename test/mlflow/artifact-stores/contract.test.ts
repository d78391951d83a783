// What every place of artifacts promises: the same assertions in a folder, on servers and in clouds.
import { createHash, randomFillSync } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import * as mlflow from "../../../src/mlflow/node.js";
import { temporaryFolder } from "../../adapter/workplace.js";
import { inEachPlace, type Place } from "./places.js";

const { artifacts } = mlflow;
const MIB = 1024 ** 2;

function sumOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  return randomFillSync(new Uint8Array(length));
}

/** Every file below a folder with its text. */
async function treeOf(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile());
  const tree: Record<string, string> = {};
  for (const { parentPath, name } of files) {
    const path = join(parentPath, name);
    tree[path.slice(folder.length + 1)] = await readFile(path, "utf8");
  }
  return tree;
}

async function uploadsOf(action: () => Promise<unknown>): Promise<mlflow.ArtifactUpload[]> {
  const seen: mlflow.ArtifactUpload[] = [];
  const remove = mlflow.addInterceptor((call, proceed) => {
    if (call.upload !== undefined) seen.push(call.upload);
    return proceed(call);
  });
  try {
    await action();
  } finally {
    remove();
  }
  return seen;
}

inEachPlace(({ open, name }) => {
  let place: Place;
  let client: mlflow.MlflowClient;
  let runId: string;
  beforeEach(async () => {
    place = await open();
    ({ client, runId } = place);
  });

  /** Files as people have them, and what a download of them must be. */
  async function filled(): Promise<Record<string, string>> {
    const files: Record<string, string> = {
      "a b.txt": "größe",
      "empty.bin": "",
      "model/weights.bin": "weights",
      "model/deep/er/ü 日本.json": '{"a":[1,2]}',
      "model-2/other.txt": "not in model",
    };
    for (const [path, text] of Object.entries(files)) await client.logText(runId, text, path);
    return files;
  }

  it("lists folder by folder, with sizes", async () => {
    await filled();
    const list = (artifactPath?: string) => artifacts.listArtifacts({ runId, artifactPath });
    expect(await list()).toEqual([
      { path: "a b.txt", isDirectory: false, sizeBytes: 7 },
      { path: "empty.bin", isDirectory: false, sizeBytes: 0 },
      { path: "model", isDirectory: true, sizeBytes: undefined },
      { path: "model-2", isDirectory: true, sizeBytes: undefined },
    ]);
    expect(await list("model")).toEqual([
      { path: "model/deep", isDirectory: true, sizeBytes: undefined },
      { path: "model/weights.bin", isDirectory: false, sizeBytes: 7 },
    ]);
    expect(await list("model/deep/er/")).toEqual([
      { path: "model/deep/er/ü 日本.json", isDirectory: false, sizeBytes: 11 },
    ]);
    expect(await list("a b.txt")).toEqual([]);
    expect(await list("none")).toEqual([]);
  });

  it("names by a URI what it names by a run", async () => {
    await filled();
    for (const root of [`runs:/${runId}`, place.artifactUri]) {
      const inside = await artifacts.listArtifacts({ artifactUri: `${root}/model/deep` });
      expect(inside.map(({ path }) => path.replace(/^model\//, ""))).toEqual(["deep/er"]);
      expect(await artifacts.loadText(`${root}/a b.txt`)).toBe("größe");
      expect(await artifacts.getArtifact(`${root}/model/weights.bin`)).toMatchObject({
        isDirectory: false,
        sizeBytes: 7,
      });
      const folder = await temporaryFolder();
      const local = await artifacts.downloadArtifacts({
        artifactUri: `${root}/model`,
        dstPath: folder,
      });
      expect(local).toBe(join(folder, "model"));
      expect(Object.keys(await treeOf(folder)).sort()).toEqual([
        "model/deep/er/ü 日本.json",
        "model/weights.bin",
      ]);
    }
  });

  it("downloads all, a folder, or one file, under its path", async () => {
    const files = await filled();
    const all = await temporaryFolder();
    expect(await client.downloadArtifacts(runId, "", all)).toBe(all);
    expect(await treeOf(all)).toEqual(files);

    const some = join(await temporaryFolder(), "new", "folder");
    expect(await client.downloadArtifacts(runId, "model", some)).toBe(join(some, "model"));
    const inModel = Object.entries(files).filter(([path]) => path.startsWith("model/"));
    expect(await treeOf(some)).toEqual(Object.fromEntries(inModel));

    const one = await temporaryFolder();
    const path = "model/deep/er/ü 日本.json";
    expect(await client.downloadArtifacts(runId, path, one)).toBe(join(one, path));
    expect(await treeOf(one)).toEqual({ [path]: files[path] });

    const somewhere = await client.downloadArtifacts(runId, "a b.txt");
    expect(await readFile(somewhere, "utf8")).toBe("größe");
  });

  it("keeps the oddest names that MLflow allows", async () => {
    const names = ["what? 50 %", "a&b=c+d;e@f", "'q' (1)~!$", "日本 😀", "dots..in"];
    const paths = names.map((own) => `odd ü/${own}.txt`);
    for (const path of paths) await client.logText(runId, path, path);
    const listed = await artifacts.listArtifacts({ runId, artifactPath: "odd ü" });
    expect(listed.map(({ path }) => path)).toEqual([...paths].sort());
    const folder = await temporaryFolder();
    await client.downloadArtifacts(runId, "odd ü", folder);
    expect(await treeOf(folder)).toEqual(Object.fromEntries(paths.map((path) => [path, path])));
    for (const path of paths) {
      expect(await artifacts.loadText({ runId, artifactPath: path })).toBe(path);
      await artifacts.deleteArtifacts({ runId, artifactPath: path });
    }
    expect(await artifacts.listArtifacts({ runId, artifactPath: "odd ü" })).toEqual([]);
    const outside = client.logText(runId, "x", "odd/../../x.txt");
    await expect(outside).rejects.toMatchObject({ code: "INVALID_PARAMETER_VALUE" });
  });

  it("of a run that has none are an empty folder", async () => {
    const folder = await temporaryFolder();
    expect(await artifacts.listArtifacts({ runId })).toEqual([]);
    expect(await client.downloadArtifacts(runId, "", folder)).toBe(folder);
    expect(await readdir(folder)).toEqual([]);
  });

  it("reads text, objects, bytes and streams into memory", async () => {
    await filled();
    const at = (artifactPath: string) => ({ runId, artifactPath });
    expect(await artifacts.loadText(at("a b.txt"))).toBe("größe");
    expect(await artifacts.loadText(at("empty.bin"))).toBe("");
    expect(await artifacts.loadDict(at("model/deep/er/ü 日本.json"))).toEqual({ a: [1, 2] });
    const pixels = randomBytes(3000);
    await client.logBytes(runId, pixels, "image.png");
    expect(Buffer.from(await artifacts.loadImage(at("image.png")))).toEqual(Buffer.from(pixels));
    const stream = await artifacts.openArtifact(at("image.png"));
    expect(new Uint8Array(await new Response(stream).arrayBuffer())).toEqual(pixels);
    await expect(artifacts.loadText(at("image.png"))).rejects.toMatchObject({
      code: "BAD_REQUEST",
      message: expect.stringContaining("not valid UTF-8"),
    });
    await expect(artifacts.loadDict(at("a b.txt"))).rejects.toMatchObject({
      code: "BAD_REQUEST",
      message: expect.stringContaining("not valid JSON"),
    });
  });

  it("takes bytes from memory, a Blob, a stream and a file, each as one write of known size", async () => {
    const bytes = randomBytes(70_000);
    const folder = await temporaryFolder();
    await writeFile(join(folder, "file.bin"), bytes);
    const uploads = await uploadsOf(async () => {
      await client.logBytes(runId, bytes, "in/memory.bin");
      await client.logBytes(runId, new Blob([bytes]), "in/blob.bin");
      await client.logBytes(runId, new Blob([bytes]).stream(), "in/stream.bin");
      await client.logArtifact(runId, join(folder, "file.bin"), "in");
    });
    const names = ["in/memory.bin", "in/blob.bin", "in/stream.bin", "in/file.bin"];
    const root = place.artifactUri;
    expect(uploads.map(({ artifactPath, sizeBytes }) => [artifactPath, sizeBytes])).toEqual(
      names.map((path) => [path, 70_000]),
    );
    expect(uploads[0]?.artifactUri.startsWith(root)).toBe(true);
    for (const artifactPath of names) {
      expect(sumOf(await artifacts.downloadBytes({ runId, artifactPath }))).toBe(sumOf(bytes));
    }
  });

  it("carries a file of many parts as one write, and tells how far it is", async () => {
    const bytes = randomBytes(35 * MIB + 7);
    const folder = await temporaryFolder();
    const file = join(folder, "large.bin");
    await writeFile(file, bytes);
    const told: mlflow.TransferProgress[] = [];
    const options = { onProgress: (progress: mlflow.TransferProgress) => void told.push(progress) };
    const uploads = await uploadsOf(() => client.logArtifact(runId, file, "big", options));
    expect(uploads).toHaveLength(1);
    expect(uploads[0]).toMatchObject({
      artifactPath: "big/large.bin",
      sizeBytes: bytes.byteLength,
    });
    const end = {
      path: "big/large.bin",
      transferredBytes: bytes.byteLength,
      totalBytes: bytes.byteLength,
    };
    expect(told.at(-1)).toEqual(end);
    const grows = told.every(
      ({ transferredBytes }, at) => transferredBytes >= (told[at - 1]?.transferredBytes ?? 0),
    );
    expect(grows).toBe(true);

    told.length = 0;
    const local = await client.downloadArtifacts(
      runId,
      "big/large.bin",
      join(folder, "back"),
      options,
    );
    expect(sumOf(await readFile(local))).toBe(sumOf(bytes));
    expect(told.length).toBeGreaterThan(1);
    expect(told.at(-1)).toEqual(end);
  });

  it("writes over what was there, and leaves no unfinished file beside it", async () => {
    await client.logText(runId, "a longer text than the second", "note.txt");
    await client.logText(runId, "second", "note.txt");
    const folder = await temporaryFolder();
    for (let time = 0; time < 2; time++) await client.downloadArtifacts(runId, "", folder);
    expect(await treeOf(folder)).toEqual({ "note.txt": "second" });
  });

  it("says what is not there, and what is a folder", async () => {
    await filled();
    const folder = await temporaryFolder();
    const at = (artifactPath: string) => ({ runId, artifactPath });
    for (const missing of ["none.txt", "model/none", "mod", "a b.txt/x"]) {
      const calls = [
        () => client.downloadArtifacts(runId, missing, folder),
        () => artifacts.loadText(at(missing)),
        () => artifacts.getArtifact(at(missing)),
        () => artifacts.deleteArtifacts(at(missing)),
      ];
      for (const call of calls) {
        await expect(call()).rejects.toMatchObject({ code: "RESOURCE_DOES_NOT_EXIST" });
      }
    }
    await expect(artifacts.loadText(at("model"))).rejects.toMatchObject({
      code: "INVALID_PARAMETER_VALUE",
      message: expect.stringContaining("it is a folder"),
    });
    expect(await readdir(folder)).toEqual([]);
  });

  it("removes a file, or a folder and nothing beside it", async () => {
    await filled();
    await artifacts.deleteArtifacts({ runId, artifactPath: "a b.txt" });
    await artifacts.deleteArtifacts({ artifactUri: `runs:/${runId}/model` });
    const left = await artifacts.listArtifacts({ runId });
    expect(left.map(({ path }) => path)).toEqual(["empty.bin", "model-2"]);
    await expect(artifacts.deleteArtifacts({ runId })).rejects.toMatchObject({
      code: "INVALID_PARAMETER_VALUE",
    });
  });

  describe("that is given up", () => {
    class GivenUp extends Error {}

    /** Fires at the first sign of progress. */
    function givingUp() {
      const controller = new AbortController();
      const onProgress = () => controller.abort(new GivenUp());
      return { onProgress, signal: controller.signal };
    }

    it("rejects with the reason, and is not there", async () => {
      const file = join(await temporaryFolder(), "large.bin");
      await writeFile(file, randomBytes(40 * MIB));
      // A folder copies in the kernel, which tells nothing until it is done.
      const signal = name === "in a folder" ? { signal: AbortSignal.abort(new GivenUp()) } : {};
      const upload = client.logArtifact(runId, file, "x", { ...givingUp(), ...signal });
      await expect(upload).rejects.toBeInstanceOf(GivenUp);
      await expect(
        artifacts.getArtifact({ runId, artifactPath: "x/large.bin" }),
      ).rejects.toMatchObject({ code: "RESOURCE_DOES_NOT_EXIST" });
    });

    it("while it comes, leaves no file", async () => {
      await client.logBytes(runId, randomBytes(40 * MIB), "large.bin");
      const folder = await temporaryFolder();
      const download = client.downloadArtifacts(runId, "large.bin", folder, givingUp());
      await expect(download).rejects.toBeInstanceOf(GivenUp);
      expect(await readdir(folder)).toEqual([]);
    });
  });

  it("keeps many files apart", async () => {
    const folder = await temporaryFolder();
    const texts = Array.from({ length: 30 }, (_, index) => [`f/${index % 5}/${index}.txt`, index]);
    for (const [path, text] of texts) {
      await mkdir(join(folder, "in", String(path), ".."), { recursive: true });
      await writeFile(join(folder, "in", String(path)), `text ${text}`);
    }
    const uploads = await uploadsOf(() => client.logArtifacts(runId, join(folder, "in"), "many"));
    expect(new Set(uploads.map(({ artifactPath }) => artifactPath)).size).toBe(30);
    const local = await client.downloadArtifacts(runId, "many", join(folder, "out"));
    expect(await treeOf(local)).toEqual(await treeOf(join(folder, "in")));
  });
});
