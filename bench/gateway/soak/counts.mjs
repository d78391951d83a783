// What the load did, as far as it was told: counted when the answer came, and apart when nobody waited for one.

/** What is counted, by the names that the load, the ledger and the database are compared under. */
export const COUNTED = [
  "experiments",
  "runs",
  "endedRuns",
  "deletedRuns",
  "metrics",
  "params",
  "tags",
  "registeredModels",
  "modelVersions",
  "loggedModels",
  "files",
  "bytes",
];

const zeros = () => Object.fromEntries(COUNTED.map((name) => [name, 0]));

export class Counts {
  /** Acknowledged by an answer 200; what was deleted for good is taken off. */
  acknowledged = zeros();
  /** Sent whole, without an answer that says what became of it. */
  uncertain = zeros();
  /** HTTP calls, refusals of budgets, requests that are none, callers that went away. */
  calls = 0;
  refused = 0;
  malformed = 0;
  vanished = 0;
  /** Answers that nobody expected → how often. */
  unexpected = new Map();

  wrote(what, count = 1) {
    this.acknowledged[what] += count;
  }

  mayHaveWritten(what, count = 1) {
    this.uncertain[what] += count;
  }

  surprise(text) {
    const told = String(text)
      .replace(/[0-9a-f]{32}/g, "…")
      .slice(0, 300);
    this.unexpected.set(told, (this.unexpected.get(told) ?? 0) + 1);
  }

  /** Adds what another process has counted, as it has printed it. */
  add({ acknowledged = {}, uncertain = {}, calls = 0, refused = 0, unexpected = {} }) {
    for (const [what, count] of Object.entries(acknowledged)) this.wrote(what, count);
    for (const [what, count] of Object.entries(uncertain)) this.mayHaveWritten(what, count);
    this.calls += calls;
    this.refused += refused;
    for (const [text, count] of Object.entries(unexpected)) {
      this.unexpected.set(text, (this.unexpected.get(text) ?? 0) + count);
    }
  }
}
