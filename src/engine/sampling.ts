// Sampling as OpenTelemetry speaks of it: rates by class of operation, thresholds, weights.
import { EngineError } from "./errors.js";
import { type Instance, numeric } from "./instance.js";
import { CLASSES, HEADER } from "./layout.js";

/** How the telemetry of one operation is thinned. */
export interface SamplingDecision {
  /** Share that is kept, 0 to 1. */
  readonly rate: number;
  /** OpenTelemetry's rejection threshold (`th`): hexadecimal digits without trailing zeros. Absent when nothing is kept. */
  readonly threshold?: string;
  /** How many operations a kept one stands for; 0 when nothing is kept. */
  readonly weight: number;
}

const ALL = 2n ** 52n;

export class Sampling {
  /** Names of the classes of operations, by id. */
  readonly classes: readonly string[];
  readonly #instance: Instance;

  constructor(instance: Instance) {
    this.#instance = instance;
    const start = instance.address("classes");
    this.classes = instance.text(start, instance.bytes.indexOf(0, start) - start).split(" ");
  }

  set(rate: number, operationClass?: string): void {
    const classId = operationClass === undefined ? 0 : this.classes.indexOf(operationClass);
    if (classId < 0) {
      throw new EngineError(
        "INVALID_OPTION",
        "samplingRates",
        operationClass,
        `${JSON.stringify(operationClass)} is none of ${this.classes.join(", ")}`,
      );
    }
    if (!(typeof rate === "number" && rate >= 0 && rate <= 1)) {
      throw new EngineError(
        "INVALID_OPTION",
        operationClass === undefined ? "samplingRate" : `samplingRates.${operationClass}`,
        rate,
        `${String(rate)} is not a share from 0 to 1`,
      );
    }
    const { exports } = this.#instance;
    if (operationClass !== undefined) exports.setSamplingRate(classId, numeric(rate));
    else for (let id = 0; id < CLASSES; id++) exports.setSamplingRate(id, rate);
  }

  of(operationClass: string): SamplingDecision {
    const at = this.#instance.header + HEADER.thresholds + this.classes.indexOf(operationClass) * 8;
    const threshold = this.#instance.view.getBigUint64(at, true);
    if (threshold >= ALL) return { rate: 0, weight: 0 };
    const kept = Number(ALL - threshold) / Number(ALL);
    const digits = (threshold << 4n).toString(16).padStart(14, "0").replace(/0+$/, "");
    return { rate: kept, threshold: digits === "" ? "0" : digits, weight: 1 / kept };
  }
}
