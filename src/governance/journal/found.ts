// What a person should know of a journal that was found at the start.
import { attoToUsd } from "../../engine/index.js";
import { DAY_KEY } from "./accumulator.js";
import type { FolderContent } from "./folder.js";

/** Sentences without an end mark; none when all is well. */
export function foundMessages(
  { owners, folded }: FolderContent,
  path: string,
  nowMs: number,
): string[] {
  const today = new Date(nowMs).toISOString().slice(0, 10);
  const left = owners
    .filter(({ isOver }) => isOver)
    .flatMap(({ amounts }) => amounts.filter(({ spent, upTo }) => upTo > spent));
  const ofDay = left.filter(({ of, period }) => of === DAY_KEY && period.startsWith(today));
  const uncertain = ofDay.reduce((sum, { spent, upTo }) => sum + upTo - spent, 0n);
  const damaged = owners.reduce((sum, file) => sum + file.damaged, folded.damaged);
  const messages: string[] = [];
  if (left.length > 0) {
    messages.push(
      `an earlier process of this ledger was stopped in the middle of its work; up to ${attoToUsd(uncertain)} USD of today may or may not have been spent, and counts as spent`,
    );
  }
  if (damaged > 0) {
    messages.push(
      `${damaged} records of the journal in ${path} are damaged; what they said is not counted, and a copy is kept`,
    );
  }
  return messages;
}
