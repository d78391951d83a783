// What an export may answer: statuses a caller can cause (negative) and the flags of a record.
// Traps are kept for faults of the engine itself.

/** Raised when an export changes its meaning; the host refuses another major. */
export const ABI_MAJOR: i32 = 2;
/** Raised when exports are added. */
export const ABI_MINOR: i32 = 1;

export const OK: i32 = 0;
/** The handle was never given out, is of another kind, or its slot has been given to another. */
export const HANDLE: i32 = -1;
/** No operation has this id. */
export const OPERATION: i32 = -2;
/** No meter has this id. */
export const METER: i32 = -3;
/** A quantity must be a whole number from 0 to 2^53 - 1. */
export const QUANTITY: i32 = -4;
/** One operation may cost less than 2^96 atto-USD (79 billion USD). */
export const AMOUNT: i32 = -5;
/** The sum of everything would leave 128 bits. */
export const OVERFLOW: i32 = -6;
/** A named capacity is used up. */
export const CAPACITY: i32 = -7;
/** A node's attribution never changes after it was opened. */
export const IMMUTABLE: i32 = -8;
/** A run may not be its own ancestor. */
export const CYCLE: i32 = -9;
/** Time must be finite, after 1970, and must not leap more than 400 days ahead of the latest. */
export const CLOCK: i32 = -10;
/** A name is longer than the window, or an id names another dimension. */
export const NAME: i32 = -11;
/** The ticket was settled or released before; nothing changed. */
export const SETTLED: i32 = -12;
/** A rate's or price's terms are outside their bounds. */
export const RATE: i32 = -13;
/** The payer of an open reservation never changes. */
export const PAYER: i32 = -14;
/** `init` was called twice, or its capacities are out of range. */
export const CONFIGURATION: i32 = -15;

/** Of two handles, the node's is of no use (the other one answers HANDLE). */
export const NODE: i32 = -16;
/** A budget has no room for it; its slot is in the header. */
export const BLOCKED: i32 = -17;
/** A rate limit has no call left; its slot is in the header. */
export const LIMITED: i32 = -18;
/** No budget has this handle. */
export const BUDGET: i32 = -19;
/** These bytes are no snapshot, or not all of one, or they contradict themselves. */
export const CORRUPT: i32 = -20;
/** The snapshot is of an engine with other capacities, operations or another format. */
export const INCOMPATIBLE: i32 = -21;
/** A ledger can only be merged from an engine that has a source of its own. */
export const SOURCE: i32 = -22;

/** Keep the telemetry of this operation. */
export const FLAG_SAMPLED: i32 = 1;
/** A price is unknown: quantity and count are kept apart, the cost is not guessed. */
export const FLAG_UNPRICED: i32 = 2;
/** It was booked to an overflow bucket: the total is right, the detail is not. */
export const FLAG_OVERFLOWED: i32 = 4;
/** The call failed: counted as an error, costs nothing. */
export const FLAG_ERROR: i32 = 8;
/** More was charged than reserved. */
export const FLAG_OVERRUN: i32 = 16;
/** A budget is above its limit, or a rate limit had no call left; neither blocks. */
export const FLAG_WARNED: i32 = 32;
/** A budget came to one of its alerts; take it. */
export const FLAG_ALERT: i32 = 64;
/** The reservation had expired; it was booked all the same. */
export const FLAG_LATE: i32 = 128;
