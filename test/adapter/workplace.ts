// A fresh store for one test: a folder, or an experiment of its own on the real server.
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A folder that is gone after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "genops-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The URI of a port that just had a listener and has none any more. */
export async function closedServer(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return `http://127.0.0.1:${port}`;
}

/** A name that no other test uses. */
export function uniqueName(stem: string): string {
  return `${stem}-${crypto.randomUUID().slice(0, 8)}`;
}

/** Sums display numbers as exact decimals: no float sum hides a lost unit. */
export function exactSum(amounts: Readonly<Record<string, number>>): bigint {
  return Object.values(amounts).reduce((sum, amount) => sum + atto(amount), 0n);
}

function atto(amount: number): bigint {
  const [mantissa = "0", exponent = "0"] = amount.toExponential().split("e");
  const [whole = "0", fraction = ""] = mantissa.split(".");
  const power = 18 - fraction.length + Number(exponent);
  const digits = BigInt(whole + fraction);
  return power >= 0 ? digits * 10n ** BigInt(power) : digits / 10n ** BigInt(-power);
}
