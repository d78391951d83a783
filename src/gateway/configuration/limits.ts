// What is too much for the gateway: sizes, times, connections.
import { isRecord, rejectUnknown } from "../../governance/option-names.js";
import { invalid, shown } from "./problem.js";

/** Bounds that hold for every request, whoever sends it. */
export interface GatewayLimits {
  /** Bytes of a request's body that must be read to be governed (JSON); artifacts stream by without it. 64 MiB. */
  readonly bodyBytes: number;
  /** Bytes of a request's line and headers. 64 KiB. */
  readonly headerBytes: number;
  /** Milliseconds until the headers of a request must be there. 30,000. */
  readonly headersTimeoutMs: number;
  /** Milliseconds that a connection may be silent in the middle of a request or a reply. 300,000. */
  readonly idleTimeoutMs: number;
  /** Milliseconds that a connection without a request is kept. 65,000. */
  readonly keepAliveTimeoutMs: number;
  /** Connections at once. 10,000. */
  readonly connections: number;
  /** Milliseconds that requests have to end when the gateway is told to stop. 30,000. */
  readonly drainMs: number;
}

interface Bound {
  readonly unit: string;
  readonly least: number;
  readonly most: number;
  readonly usual: number;
}

const BOUNDS: Readonly<Record<keyof GatewayLimits, Bound>> = {
  bodyBytes: { unit: "bytes", least: 1024, most: 2 ** 30, usual: 64 * 2 ** 20 },
  headerBytes: { unit: "bytes", least: 4096, most: 2 ** 20, usual: 64 * 1024 },
  headersTimeoutMs: { unit: "ms", least: 100, most: 3_600_000, usual: 30_000 },
  idleTimeoutMs: { unit: "ms", least: 100, most: 86_400_000, usual: 300_000 },
  keepAliveTimeoutMs: { unit: "ms", least: 100, most: 3_600_000, usual: 65_000 },
  connections: { unit: "connections", least: 1, most: 1_000_000, usual: 10_000 },
  drainMs: { unit: "ms", least: 0, most: 3_600_000, usual: 30_000 },
};

const NAMES = Object.keys(BOUNDS) as (keyof GatewayLimits)[];

/** @throws {ConfigurationError} naming the field at fault, for example `limits.bodyBytes`. */
export function checkGatewayLimits(field: string, given: unknown): GatewayLimits {
  if (given !== undefined && !isRecord(given)) {
    throw invalid(
      field,
      given,
      `${shown(given)} is no object; give for example { bodyBytes: 1048576 }`,
    );
  }
  const limits = (given ?? {}) as Readonly<Record<string, unknown>>;
  rejectUnknown(limits, NAMES, field);
  const checked = NAMES.map((name) => {
    const { unit, least, most, usual } = BOUNDS[name];
    const value = limits[name] ?? usual;
    if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) {
      return [name, value];
    }
    throw invalid(
      `${field}.${name}`,
      value,
      `${shown(value)} is not a whole number of ${unit} from ${least} to ${most}`,
    );
  });
  return Object.fromEntries(checked);
}
