// Decides which slices to take, and how large: by what is needed, what others have, and what is left of a limit.
import { smaller } from "./accumulator.js";
import { type FolderContent, usageOf } from "./folder.js";
import type { JournalAmount } from "./format.js";
import type { Accumulator, PeriodPosition } from "./position.js";

/** What is to be written, and what holds once it is. */
export interface Taking {
  readonly amounts: readonly JournalAmount[];
  readonly raised: readonly (readonly [PeriodPosition, bigint])[];
  /** A budget that blocks and has too little left for what is held. */
  readonly refused: Accumulator | undefined;
}

/** What a budget that blocks has left for us, all of ours included. */
function mostOf(limit: bigint, content: FolderContent, of: string, period: string): bigint {
  const { spent, uncertain, ahead } = usageOf(content, of, period);
  return limit - spent - uncertain - ahead;
}

/**
 * @param content what others have, read under the lock that is still held when this is written.
 * @param mayRefuse can what is held still be refused? What was spent already cannot.
 */
export function planSlices(
  accumulators: readonly Accumulator[],
  content: FolderContent,
  nowMs: number,
  mayRefuse: boolean,
): Taking {
  const amounts: JournalAmount[] = [];
  const raised: [PeriodPosition, bigint][] = [];
  let refused: Accumulator | undefined;
  for (const accumulator of accumulators) {
    const position = accumulator.position();
    for (const at of accumulator.periods()) {
      const { spent, need } = accumulator.own(at, position);
      const isCurrent = at === accumulator.current;
      const half = isCurrent ? accumulator.slice / 2n : 0n;
      // What has more than half of its slice left waits for its turn, and what nobody uses for ever.
      if (need === 0n || need + half < at.upTo) continue;
      if (isCurrent) accumulator.adapt(nowMs);
      let upTo = isCurrent ? spent + accumulator.slice : need;
      if (position.action === "block" && isCurrent) {
        const most = mostOf(position.limit, content, accumulator.key, at.period);
        if (need > most && need > at.upTo && mayRefuse) {
          refused ??= accumulator;
          continue;
        }
        // Half of what is left is left to others.
        upTo = smaller(upTo, need + (most > need ? (most - need) / 2n : 0n));
      }
      if (upTo < need) upTo = need;
      if (upTo <= at.upTo) continue;
      amounts.push({ of: accumulator.key, period: at.period, spent, upTo });
      raised.push([at, upTo]);
    }
  }
  return { amounts, raised, refused };
}
