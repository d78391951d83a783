// The map of linear memory. Capacities are chosen once; memory never grows afterwards.
//
//   of fixed size: header │ meters │ operations │ routes │ cells │ latencies │ window │ text of the code
//   by capacity: nodes │ overflow nodes │ tuples │ reservations │ name entries │ name totals │
//   name index │ tuple index │ name bytes
//
// Names are reached by id (entry number), nodes and reservations by handle (slot and generation).

/** Bytes that host and engine exchange: names, paths, table rows. */
export const WINDOW_BYTES: u32 = 65536;
/** Longest name, in bytes of UTF-8. */
export const NAME_BYTES_MAX: u32 = 4096;

// What a name can name. 0 is reserved everywhere; name id 0 is "(unattributed)" in all of them.
export const DIMENSION_RUN: u32 = 1;
export const DIMENSION_EXPERIMENT: u32 = 2;
export const DIMENSION_TEAM: u32 = 3;
export const DIMENSION_PROJECT: u32 = 4;
export const DIMENSION_CUSTOMER: u32 = 5;
export const DIMENSION_ENVIRONMENT: u32 = 6;
export const DIMENSION_COST_CENTER: u32 = 7;
export const DIMENSION_CONTEXT: u32 = 8;
export const DIMENSION_MODEL: u32 = 9;
export const DIMENSION_METER: u32 = 10;
export const DIMENSIONS: u32 = 11;

/** Header: the ledger's few words that every record touches, in one or two cache lines.
 *    0 total          16 current day      32 day before      48 older days    (amounts)
 *   64 current day u32  68 booking slot u32 (0 current, 1 day before)  72 now f64 (ms)
 *   80 random state u64  88 threshold u64 (52 bits)
 *   96 kept u64  104 dropped u64  112 overruns u64  120 overflowed u64  128 late clock u64
 *  136 name count u32  140 name bytes used u32  144 tuple count u32  148 node count u32
 *  152 operation count u32  156 meter count u32  160 cell count u32  164 route node count u32
 *  168 free reservation u32  172 reservation count u32  176 open reservations u32
 *  184 last cost (amount)  200 last reserved (amount)                                        */
export const HEADER_BYTES: u32 = 256;
export const H_TODAY: usize = 16;
export const H_YESTERDAY: usize = 32;
export const H_OLDER: usize = 48;
export const H_DAY: usize = 64;
export const H_SLOT: usize = 68;
export const H_NOW: usize = 72;
export const H_RANDOM: usize = 80;
export const H_THRESHOLD: usize = 88;
export const H_KEPT: usize = 96;
export const H_DROPPED: usize = 104;
export const H_OVERRUNS: usize = 112;
export const H_OVERFLOWED: usize = 120;
export const H_LATE: usize = 128;
export const H_NAMES: usize = 136;
export const H_NAME_BYTES: usize = 140;
export const H_TUPLES: usize = 144;
export const H_NODES: usize = 148;
export const H_OPERATIONS: usize = 152;
export const H_METERS: usize = 156;
export const H_CELLS: usize = 160;
export const H_ROUTES: usize = 164;
export const H_FREE_RESERVATION: usize = 168;
export const H_RESERVATIONS: usize = 172;
export const H_OPEN_RESERVATIONS: usize = 176;
export const H_LAST_COST: usize = 184;
export const H_LAST_RESERVED: usize = 200;

/** Name entry: 0 offset of bytes u32 │ 4 length u16, 6 dimension u16 │ 8 hash u32 │ 12 node of a run u32 */
export const NAME_STRIDE: usize = 16;
/** Name total: one amount, filled by a roll-up. */
export const NAME_TOTAL_STRIDE: usize = 16;

/** Tuple: 0 cost │ 16 team, 20 project, 24 customer, 28 environment, 32 cost centre, 36 context (name ids)
 *  │ 40 hash u32 │ 44 runs u32 │ 48 free 16 */
export const TUPLE_STRIDE: usize = 64;
export const T_NAMES: usize = 16;
export const T_HASH: usize = 40;
export const T_RUNS: usize = 44;
/** The tuple that takes what fits nowhere; it is always there. */
export const TUPLE_OVERFLOW: u32 = 0;

/** Node (one cache line): 0 own cost │ 16 counted operations u32, 20 errors u32 │ 24 tuple u32 │ 28 parent u32
 *  │ 32 experiment u32 │ 36 run name u32 │ 40 model u32 │ 44 generation u32 │ 48 state u32
 *  │ 52 free 4 │ 56 opened f64 (ms) */
export const NODE_STRIDE: usize = 64;
export const N_OPERATIONS: usize = 16;
export const N_ERRORS: usize = 20;
export const N_TUPLE: usize = 24;
export const N_PARENT: usize = 28;
export const N_EXPERIMENT: usize = 32;
export const N_NAME: usize = 36;
export const N_MODEL: usize = 40;
export const N_GENERATION: usize = 44;
export const N_STATE: usize = 48;
export const N_OPENED: usize = 56;
export const STATE_RUN: u32 = 1;
export const STATE_SCOPE: u32 = 2;
/** Known only because a child named it as its parent. */
export const STATE_STUB: u32 = 4;
export const STATE_FINISHED: u32 = 8;
/** Some of its detail (a name, its payer, its parent) was given up; what is booked on it is flagged. */
export const STATE_OVERFLOW: u32 = 16;

/** Operation: 0 price │ 16 class u32 │ 20 traits u32 │ 24 address of name u32 │ 28 length of name u32 */
export const OPERATION_STRIDE: usize = 32;
export const OPERATION_CAPACITY: u32 = 512;
export const O_CLASS: usize = 16;
export const O_TRAITS: usize = 20;
export const O_NAME: usize = 24;
export const O_LENGTH: usize = 28;
/** It changes something, so it counts as an operation once it succeeded. */
export const TRAIT_COUNTED: u32 = 1;
/** Its price is known (which may be nothing). */
export const TRAIT_PRICED: u32 = 2;

/** Latency histogram of one operation: 240 counts u32, eight buckets an octave of microseconds. */
export const LATENCY_BUCKETS: u32 = 240;
export const LATENCY_STRIDE: usize = 960;

/** Meter: 0 rate (two words, < 2^75) │ 16 divisor u64 │ 24 name id u32 │ 28 priced u32 */
export const METER_STRIDE: usize = 32;
export const METER_CAPACITY: u32 = 256;
export const M_DIVISOR: usize = 16;
export const M_NAME: usize = 24;
export const M_PRICED: usize = 28;

/** Cell (operation × meter; meter 0 is the call itself): the first OPERATION_CAPACITY cells are the calls,
 *  by operation id; the others are found by their key. 0 cost │ 16 quantity (two words) │ 32 count u64
 *  │ 40 items u64 │ 48 errors u64 │ 56 unpriced count u64 │ 64 unpriced quantity (two words)
 *  │ 80 key u32: operation << 16 | meter, plus one; 0 is empty │ 84 free 12 */
export const CELL_STRIDE: usize = 96;
export const CELL_CAPACITY: u32 = 4096;
export const C_QUANTITY: usize = 16;
export const C_COUNT: usize = 32;
export const C_ITEMS: usize = 40;
export const C_ERRORS: usize = 48;
export const C_UNPRICED_COUNT: usize = 56;
export const C_UNPRICED_QUANTITY: usize = 64;
export const C_KEY: usize = 80;
/** The first cell behind the calls takes what no longer fits; its key says so. */
export const CELL_OVERFLOW_KEY: u32 = 0xffffffff;

/** Reservation: 0 reserved amount │ 16 node u32 │ 20 generation u32 │ 24 operation u32 │ 28 state u32
 *  │ 32 day u32 │ 36 charges u32 │ 40 next free u32 │ 44 items u32 │ 48 meter u32 │ 56 quantity f64
 *  │ 64 six charges of 16: meter u32, free 4, quantity f64 */
export const RESERVATION_STRIDE: usize = 160;
export const R_NODE: usize = 16;
export const R_GENERATION: usize = 20;
export const R_OPERATION: usize = 24;
export const R_STATE: usize = 28;
export const R_DAY: usize = 32;
export const R_CHARGES: usize = 36;
export const R_NEXT: usize = 40;
export const R_METER: usize = 48;
export const R_QUANTITY: usize = 56;
export const R_CHARGE: usize = 64;
/** Distinct meters that one ticket can be charged for. */
export const CHARGES_MAX: u32 = 6;

export let nodeCapacity: u32 = 0;
export let tupleCapacity: u32 = 0;
export let nameCapacity: u32 = 0;
export let nameByteCapacity: u32 = 0;
export let reservationCapacity: u32 = 0;
export let nameIndexMask: u32 = 0;
export let tupleIndexMask: u32 = 0;

export let nameBase: usize = 0;
export let nameIndexBase: usize = 0;
export let nameTotalBase: usize = 0;
export let nameByteBase: usize = 0;
export let tupleBase: usize = 0;
export let tupleIndexBase: usize = 0;
export let nodeBase: usize = 0;
export let reservationBase: usize = 0;

/** Route node: 0 first child u32 │ 4 next sibling u32 │ 8 address of segment u32 │ 12 length u32
 *  │ 16 parameter child u32 │ 20 rest child u32 │ 24 operations of five methods u16 │ 36 hash u32 */
export const ROUTE_STRIDE: usize = 40;
export const ROUTE_CAPACITY: u32 = 1024;

// Tables of fixed size are static data, so that their addresses are constants of the code.
export const header: usize = memory.data(HEADER_BYTES, 64);
export const meterBase: usize = memory.data(METER_CAPACITY * <u32>METER_STRIDE, 64);
export const operationBase: usize = memory.data(OPERATION_CAPACITY * <u32>OPERATION_STRIDE, 64);
export const routeBase: usize = memory.data(ROUTE_CAPACITY * <u32>ROUTE_STRIDE, 64);
/** Cells of calls, by operation id, and behind them the cells found by key. */
export const callBase: usize = memory.data((OPERATION_CAPACITY + CELL_CAPACITY) * <u32>CELL_STRIDE, 64);
export const cellBase: usize = callBase + <usize>OPERATION_CAPACITY * CELL_STRIDE;
export const latencyBase: usize = memory.data(OPERATION_CAPACITY * <u32>LATENCY_STRIDE, 64);
export const windowBase: usize = memory.data(WINDOW_BYTES, 64);

function powerOfTwoAbove(value: u32): u32 {
  return (<u32>1) << (32 - clz(value));
}

/** Lays the regions of chosen size out above the fixed ones and grows memory to hold them. False when it cannot. */
export function carve(nodes: u32, tuples: u32, names: u32, nameBytes: u32, reservations: u32): bool {
  nodeCapacity = nodes;
  tupleCapacity = tuples;
  nameCapacity = names;
  nameByteCapacity = nameBytes;
  reservationCapacity = reservations;
  nameIndexMask = powerOfTwoAbove(names * 2) - 1;
  tupleIndexMask = powerOfTwoAbove(tuples * 2) - 1;

  nodeBase = (__heap_base + 63) & ~63;
  tupleBase = nodeBase + (<usize>nodes + 1 + tuples) * NODE_STRIDE;
  reservationBase = tupleBase + <usize>tuples * TUPLE_STRIDE;
  nameBase = reservationBase + <usize>reservations * RESERVATION_STRIDE;
  nameTotalBase = nameBase + <usize>names * NAME_STRIDE;
  nameIndexBase = nameTotalBase + <usize>names * NAME_TOTAL_STRIDE;
  tupleIndexBase = nameIndexBase + (<usize>nameIndexMask + 1) * 4;
  nameByteBase = tupleIndexBase + (<usize>tupleIndexMask + 1) * 4;

  const end = nameByteBase + nameBytes;
  const pages = <i32>((end + 65535) >> 16) - memory.size();
  return pages <= 0 || memory.grow(pages) >= 0;
}
