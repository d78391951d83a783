// Reservations: where each lies, which are open and which have expired, and what they hold on budgets.
import * as budgets from "./budgets";
import { nodeAt } from "./handles";
import * as at from "./layout";
import { operationAt } from "./pricing";

export const OPEN: u32 = 1;
export const EXPIRED: u32 = 2;
export const LEASE: u32 = 3;
/** A rate limit that does not block had no call left for it. */
export const TOKENLESS: u32 = 4;
/** A budget that does not block had no room for it. */
export const WARNED: u32 = 8;

@inline
export function reservationAt(slot: u32): usize {
  return at.reservationBase + <usize>slot * at.RESERVATION_STRIDE;
}

export function stateOf(reservation: usize): u32 {
  return load<u32>(reservation, at.R_STATE) & 3;
}

// The open and the expired are in lists from the one that was left alone for longest on; 0 and 1 are their heads.

function join(before: u32, after: u32): void {
  store<u32>(reservationAt(before), after, at.R_NEXT);
  store<u32>(reservationAt(after), before, at.R_BEFORE);
}

export function takeOut(slot: u32): void {
  join(load<u32>(reservationAt(slot), at.R_BEFORE), load<u32>(reservationAt(slot), at.R_NEXT));
}

export function putLast(head: u32, slot: u32): void {
  join(load<u32>(reservationAt(head), at.R_BEFORE), slot);
  join(slot, head);
}

/** Makes the two lists, empty. */
export function start(): void {
  join(0, 0);
  join(1, 1);
  at.setWord(at.H_RESERVATIONS, 2);
}

/** Holds what the reservation holds on its budgets, or frees it; one that expired holds nothing. */
export function holdAll(reservation: usize, free: bool): void {
  if (stateOf(reservation) != OPEN || at.word(at.H_LIVE_BUDGETS) == 0) return;
  budgets.use(
    load<u64>(reservation), load<u64>(reservation, 8), load<u64>(reservation, at.R_BYTES),
    load<u32>(operationAt(load<u32>(reservation, at.R_OPERATION)), at.O_TRAITS),
  );
  budgets.hold(load<u32>(reservation, at.R_NODE), reservation, free);
}

/** Does the same for all that are open on a node or below it, when the budgets that these count on become others. */
export function holdBelow(node: u32, free: bool): void {
  for (let slot = load<u32>(reservationAt(0), at.R_NEXT); slot != 0; slot = load<u32>(reservationAt(slot), at.R_NEXT)) {
    let below = load<u32>(reservationAt(slot), at.R_NODE);
    while (below != 0 && below != node) below = load<u32>(nodeAt(below), at.N_PARENT);
    if (below != 0) holdAll(reservationAt(slot), free);
  }
}
