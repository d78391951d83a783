// The parser of Prometheus' own Python client, which refuses what Prometheus would refuse.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { installOnce } from "./install-once.js";
import { neutralEnvironment } from "./python.js";

const run = promisify(execFile);
const VERSION = "0.26.0";

export interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

const PROGRAM = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families
text = sys.stdin.buffer.read().decode("utf-8")
print(json.dumps([
  {"name": f.name, "type": f.type, "help": f.documentation,
   "samples": [{"name": s.name, "labels": s.labels, "value": s.value} for s in f.samples]}
  for f in text_string_to_metric_families(text)
]))
`;

/** Families as the parser reads them; rejects for text that it refuses. */
export async function parsePrometheus(python: string, text: string): Promise<ParsedFamily[]> {
  const folder = await installOnce(`prometheus-client-${VERSION}`, async (target) => {
    await run(
      python,
      [
        ...["-m", "pip", "install", "--quiet", "--disable-pip-version-check"],
        ...["--no-deps", "--target", join(target, "site"), `prometheus-client==${VERSION}`],
      ],
      { env: neutralEnvironment(), timeout: 5 * 60_000 },
    );
  });
  const env = { ...neutralEnvironment(), PYTHONPATH: join(folder, "site") };
  const parsing = run(python, ["-c", PROGRAM], { env, maxBuffer: 2 ** 26 });
  parsing.child.stdin?.end(text);
  return JSON.parse((await parsing).stdout);
}
