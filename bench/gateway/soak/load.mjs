// The mixed load: clients that create runs, write to them in every way, end them, and misbehave.
import { setTimeout as delay } from "node:timers/promises";
import { seeded } from "../../workload.mjs";
import { clientAt, clientHand, fetchHand } from "./hands.mjs";
import { CAPPED } from "./place.mjs";
import { leaveMetric, leaveUpload, sendMalformed } from "./raw.mjs";

/** Tags that the load sets begin so: others are set with the call that creates a run. */
export const TAG_PREFIX = "soak.";
const CUSTOMERS = [CAPPED, "acme", "globex", "initech", "umbrella"];
const LARGEST_FILE = 4 * 2 ** 20;
const SMALLEST_FILE = 2 ** 10;
const LARGE_BATCH = 800;
/** What the gateway says, as text or within JSON. */
const REFUSAL = new RegExp(`budget \\\\?"${CAPPED}\\\\?"`);
const NO_MODEL = Buffer.from("a model of nothing");

/** The rest of a piece of work makes no sense any more. */
class Stopped extends Error {}

/** What may happen to a run, and how often in a hundred. */
const MIX = [
  ["metric", 34],
  ["batch", 14],
  ["param", 10],
  ["tag", 9],
  ["untag", 2],
  ["file", 8],
  ["search", 6],
  ["read", 5],
  ["child", 4],
  ["registry", 2],
  ["model", 1],
  ["malformed", 3],
  ["leave", 2],
];
const WEIGHT = MIX.reduce((sum, [, share]) => sum + share, 0);

/** One client after another way, in a loop of its own. */
class Worker {
  constructor({ uri, counts, seed, index, isOver, content }) {
    this.counts = counts;
    this.random = seeded(seed * 1000 + index);
    this.index = index;
    this.isOver = isOver;
    this.content = content;
    this.serial = 0;
    this.pieces = 0;
    this.places = CUSTOMERS.map((customer) => {
      const project = customer.length % 2 === 0 ? "ranking" : "vision";
      return `${uri}/g/team=soak,project=${project},customer=${customer}`;
    });
  }

  below(count) {
    return Math.floor(this.random() * count);
  }

  name(kind) {
    return `${kind}-${this.index}-${this.serial++}`;
  }

  /** Most files are small; sizes spread evenly over their powers of two. */
  fileBytes() {
    const spread = Math.log2(LARGEST_FILE / SMALLEST_FILE);
    const size = Math.floor(SMALLEST_FILE * 2 ** (spread * this.random() ** 2));
    return this.content.subarray(0, size);
  }

  /** Makes a call, and counts what it wrote. @throws {Stopped} when it did not. */
  async did(writes, call) {
    this.counts.calls++;
    let answer;
    try {
      answer = await call();
    } catch (error) {
      const { status, message } = error;
      if (status === 403 && REFUSAL.test(message)) this.counts.refused++;
      else {
        this.counts.surprise(`status ${status ?? "none"}: ${message}`);
        // Without an answer, or with one of a server that failed, it may have been done all the same.
        if (status === undefined || status >= 500) {
          for (const [what, count] of Object.entries(writes)) {
            this.counts.mayHaveWritten(what, count);
          }
        }
      }
      throw new Stopped();
    }
    for (const [what, count] of Object.entries(writes)) this.counts.wrote(what, count);
    return answer;
  }

  async work() {
    // Each begins with another, so that the one whose budget blocks is among them from the start.
    const customer = this.pieces++ === 0 ? this.index : this.below(CUSTOMERS.length);
    this.uri = this.places[customer % CUSTOMERS.length];
    this.client = clientAt(this.uri);
    this.hand = this.random() < 0.5 ? clientHand(this.uri) : fetchHand(this.uri);
    try {
      await this.run({});
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      // Who is refused all the time would do nothing but ask.
      await delay(5);
    }
  }

  async run(tags, depth = 0) {
    const { experimentId, hand } = this;
    const runId = await this.did({ runs: 1 }, () => hand.createRun(experimentId, tags));
    const run = { experimentId, runId, tags: [], depth };
    try {
      for (let left = 5 + this.below(25); left > 0 && !this.isOver(); left--) {
        await this[this.drawn()](run);
      }
    } finally {
      // The end costs nothing, so it passes whatever a budget says.
      const status = this.random() < 0.9 ? "FINISHED" : "FAILED";
      await this.did({ endedRuns: 1 }, () => hand.end(runId, status));
    }
    if (this.random() < 0.1) await this.did({ deletedRuns: 1 }, () => hand.deleteRun(runId));
  }

  drawn() {
    let at = this.random() * WEIGHT;
    for (const [name, share] of MIX) {
      at -= share;
      if (at < 0) return name;
    }
    return MIX[0][0];
  }

  metric({ runId }) {
    const step = this.serial++;
    return this.did({ metrics: 1 }, () => this.hand.logMetric(runId, "loss", 1 / (step + 1), step));
  }

  batch({ runId }) {
    const count = this.random() < 0.02 ? LARGE_BATCH : 1 + this.below(40);
    const metrics = Array.from({ length: count }, () => {
      const step = this.serial++;
      return { key: `m${step % 4}`, value: this.random(), step };
    });
    const some = (prefix, most) =>
      Object.fromEntries(
        Array.from({ length: this.below(most) }, () => [prefix + this.name("b"), "x"]),
      );
    const [params, tags] = [some("", 6), some(TAG_PREFIX, 4)];
    const writes = {
      metrics: count,
      params: Object.keys(params).length,
      tags: Object.keys(tags).length,
    };
    return this.did(writes, () => this.hand.logBatch(runId, metrics, params, tags));
  }

  param({ runId }) {
    const key = this.name("p");
    return this.did({ params: 1 }, () => this.hand.logParam(runId, key, this.random()));
  }

  async tag(run) {
    const key = TAG_PREFIX + this.name("t");
    await this.did({ tags: 1 }, () => this.hand.setTag(run.runId, key, "yes"));
    run.tags.push(key);
  }

  async untag(run) {
    const key = run.tags.pop();
    if (key === undefined) return;
    await this.did({ tags: -1 }, () => this.hand.deleteTag(run.runId, key));
  }

  async file(run) {
    const bytes = this.fileBytes();
    const file = { ...run, path: `files/${this.name("f")}.bin`, bytes };
    const chunked = this.random() < 0.4;
    await this.did({ files: 1, bytes: bytes.length }, () => this.hand.upload({ ...file, chunked }));
  }

  search({ experimentId }) {
    return this.did({}, () => this.hand.searchRuns(experimentId, "metrics.loss < 0.5"));
  }

  read({ runId }) {
    return this.did({}, () => this.hand.getRun(runId));
  }

  async child({ runId, depth }) {
    if (depth < 2) await this.run({ "mlflow.parentRunId": runId }, depth + 1);
  }

  async registry({ runId }) {
    const { client } = this;
    const name = this.name("registered");
    await this.did({ registeredModels: 1 }, () => client.createRegisteredModel(name));
    if (this.random() < 0.2) {
      await this.did({ registeredModels: -1 }, () => client.deleteRegisteredModel(name));
      return;
    }
    for (let left = 1 + this.below(2); left > 0; left--) {
      const { version } = await this.did({ modelVersions: 1 }, () =>
        client.createModelVersion(name, `runs:/${runId}/files`, { runId }),
      );
      await this.did({}, () => client.setRegisteredModelAlias(name, "best", version));
      await this.did({}, () => client.transitionModelVersionStage(name, version, "Staging"));
    }
    await this.did({}, () => client.searchRegisteredModels({ maxResults: 10 }));
  }

  /** A model with its files: what it is made of only the server can tell. */
  async model({ runId }) {
    const files = { "weights.bin": this.fileBytes(), "notes.txt": NO_MODEL };
    const { client } = this;
    const { modelId } = await this.did({ loggedModels: 1 }, () =>
      client.logModel({ runId }, files, { name: this.name("model") }),
    );
    const listed = await this.did({}, () => client.listLoggedModelArtifacts(modelId));
    const bytes = listed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    this.counts.wrote("files", listed.length);
    this.counts.wrote("bytes", bytes);
  }

  async malformed({ runId }) {
    this.counts.malformed++;
    const index = this.below(100);
    const status = await sendMalformed(this.uri, runId, index);
    // What is none of MLflow's requests is the server's to refuse.
    if (status !== undefined && status >= 400 && status < 500) return;
    this.counts.surprise(`malformed request ${index % 11}: status ${status ?? "none"}`);
  }

  async leave(run) {
    this.counts.vanished++;
    const waitMs = this.below(30);
    const chunked = this.random() < 0.5;
    if (this.random() < 0.5) {
      const bytes = this.content.subarray(0, 2 ** (14 + this.below(7)));
      const path = `left/${this.name("f")}.bin`;
      await leaveUpload(this.uri, { ...run, path, bytes, chunked }, waitMs);
      return;
    }
    const isWhole = this.random() < 0.5;
    if (isWhole) this.counts.mayHaveWritten("metrics");
    await leaveMetric(this.uri, { ...run, key: "left", step: this.serial++ }, isWhole, waitMs);
  }
}

/** Works with so many clients at once until it is over. Rejects only for what nobody expected. */
export async function load({ uri, counts, seed, clients, isOver }) {
  const random = seeded(seed);
  const content = Buffer.from(Array.from({ length: 2 ** 16 }, () => Math.floor(random() * 256)));
  const large = Buffer.concat(new Array(LARGEST_FILE / content.length).fill(content));
  const workers = Array.from(
    { length: clients },
    (_, index) => new Worker({ uri, counts, seed, index, isOver, content: large }),
  );
  await Promise.all(
    workers.map(async (worker) => {
      const client = clientAt(worker.places[0]);
      worker.experimentId = await worker.did({ experiments: 1 }, () =>
        client.createExperiment(`soak-${worker.index}`),
      );
      while (!isOver()) await worker.work();
    }),
  );
}
