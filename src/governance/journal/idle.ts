// Notices that nothing is spent for a while, so that what was taken ahead can be given back.
import type { Accumulator } from "./position.js";

/** Without spending for so long, nothing is. Milliseconds. */
const IDLE_MS = 10_000;

export interface IdleParts {
  readonly accumulators: readonly Accumulator[];
  /** Is something under way that is no spending? */
  readonly isBusy: () => boolean;
  readonly onIdle: () => void;
}

/** Never keeps the process at work. */
export class IdleWatch {
  readonly #parts: IdleParts;
  #timer: ReturnType<typeof setInterval> | undefined;
  #lastRooms = "";

  constructor(parts: IdleParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#look(), IDLE_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const { accumulators, isBusy, onIdle } = this.#parts;
    const rooms = accumulators.map(({ room }) => room).join();
    const isUntouched = rooms === this.#lastRooms;
    this.#lastRooms = rooms;
    if (isBusy() || !isUntouched) return;
    const isUnderWay = accumulators.some((accumulator) => {
      const { spent, need } = accumulator.own(accumulator.current);
      return need > spent;
    });
    if (!isUnderWay) onIdle();
  }
}
