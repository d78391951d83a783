// The map of linear memory. Capacities are chosen once; memory never grows afterwards.
//
//   of fixed size: header │ form │ meters │ operations │ free name bytes │ old prices │ routes │ literal routes │ texts │
//   cells │ measures │ window
//   by capacity: nodes │ overflow nodes │ tuples │ reservations │ budgets │ links │ positions │ names │ folded amounts │
//   name bytes │ merged ledgers │ name sums │ scratch │ name index │ tuple index │ buffer
//
// Names are reached by id (entry number); nodes, reservations and budgets by handle (slot and generation).

/** Bytes that host and engine exchange: names, paths, chunks of snapshots. */
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
export const DIMENSION_BUDGET: u32 = 11;
export const DIMENSIONS: u32 = 12;
/** Names of a payer tuple: team to context. */
export const PAYER_NAMES: u32 = 6;
export const PAYER_BYTES: u32 = 24;

/** The form: words that a host fills in before a call which takes many ids, by dimension where it can. */
export const FORM_WORDS: u32 = 32;
export const F_PAYER: usize = 12;
/** Bytes of the run's name in the window, and of its parent's behind it. */
export const F_RUN_LENGTH: usize = 4;
export const F_PARENT_LENGTH: usize = 48;
export const F_UNIT: usize = 48;
export const F_PERIOD: usize = 52;
export const F_ACTION: usize = 56;
export const F_OFFSET: usize = 60;
export const F_BUDGET_NAME: usize = 64;

/** Header: the ledger's few words. Amounts are of 16 bytes, lists begin at their slot, 0 is none.
 *    0 total │ 16 total when the day began │ 32 day before │ 48 day u32 │ 52 booking slot u32 (0 day, 1 day before)
 *   56 now f64 │ 64 latest f64 (ms) │ 72 minute of the last full tick u32 │ 76 version of prices u32 │ 80 random state u64
 *   88 overruns │ 96 overflowed │ 104 late clock │ 112 late settlements │ 120 forgotten tickets │ 128 blocked
 *  136 rate limited │ 144 changes that no count of calls shows (u64 each)
 *  152 names │ 156 name bytes │ 160 tuples │ 164 nodes │ 168 operations │ 172 meters │ 176 cells (u32: used from the front)
 *  180 free name │ 184 free node │ 188 free tuple │ 192 free position │ 196 free reservation
 *  200 reservations used │ 204 open │ 208 expired │ 212 budgets used │ 216 live budgets with a period of a run
 *  220 links used │ 224 positions used │ 228 alerts not taken │ 232 old prices │ 236 tuples without nodes
 *  240 live tuples │ 244 live nodes │ 248 number of the last reservation u64 │ 256 live budgets │ 260 alerts missed
 *  264 bytes of merged ledgers │ 268 budgets that book in the period before, as the clock stepped back
 *  272 folded amounts that carry no name, by dimension │ 464 sampling thresholds by class u64
 *  From 592 on it is no state: 592 last cost │ 608 last reserved │ 624 amount in │ 640 second amount in
 *  656 slot of the budget that decided u32 │ 664 source f64 │ 672 epoch u32 │ 680 time to live of a reservation f64 (ms)
 *  688 addresses (u32) of what a host may read: by section of a snapshot, then window, sums, sizes, class names, buffer                     */
export const HEADER_BYTES: u32 = 832;
export const HEADER_STATE: u32 = 592;
export const H_DAY_BASE: usize = 16;
export const H_YESTERDAY: usize = 32;
export const H_DAY: usize = 48;
export const H_SLOT: usize = 52;
export const H_NOW: usize = 56;
export const H_LATEST: usize = 64;
export const H_MINUTE: usize = 72;
export const H_VERSION: usize = 76;
export const H_RANDOM: usize = 80;
export const H_OVERRUNS: usize = 88;
export const H_OVERFLOWED: usize = 96;
export const H_LATE: usize = 104;
export const H_LATE_SETTLED: usize = 112;
export const H_FORGOTTEN: usize = 120;
export const H_BLOCKED: usize = 128;
export const H_LIMITED: usize = 136;
export const H_CHANGES: usize = 144;
export const H_NAMES: usize = 152;
export const H_NAME_BYTES: usize = 156;
export const H_TUPLES: usize = 160;
export const H_NODES: usize = 164;
export const H_OPERATIONS: usize = 168;
export const H_METERS: usize = 172;
export const H_CELLS: usize = 176;
export const H_FREE_NAME: usize = 180;
export const H_FREE_NODE: usize = 184;
export const H_FREE_TUPLE: usize = 188;
export const H_FREE_POSITION: usize = 192;
export const H_FREE_RESERVATION: usize = 196;
export const H_RESERVATIONS: usize = 200;
export const H_OPEN: usize = 204;
export const H_EXPIRED: usize = 208;
export const H_BUDGETS: usize = 212;
export const H_RUN_BUDGETS: usize = 216;
export const H_LINKS: usize = 220;
export const H_POSITIONS: usize = 224;
export const H_ALERTS: usize = 228;
export const H_OLD_PRICES: usize = 232;
export const H_IDLE_TUPLES: usize = 236;
export const H_LIVE_TUPLES: usize = 240;
export const H_LIVE_NODES: usize = 244;
export const H_NUMBER: usize = 248;
export const H_LIVE_BUDGETS: usize = 256;
export const H_MISSED: usize = 260;
export const H_SOURCE_BYTES: usize = 264;
export const H_BACK: usize = 268;
export const H_FOLDED: usize = 272;
export const H_THRESHOLDS: usize = 464;
export const H_LAST_COST: usize = 592;
export const H_LAST_RESERVED: usize = 608;
export const H_AMOUNT: usize = 624;
export const H_AMOUNT_2: usize = 640;
export const H_DECIDED: usize = 656;
export const H_SOURCE: usize = 664;
export const H_EPOCH: usize = 672;
export const H_TTL: usize = 680;
export const H_ADDRESSES: usize = 688;

/** Name: 0 offset of bytes u32 │ 4 length u16, 6 dimension u8, 7 flags u8 │ 8 hash u32 │ 12 node of a run u32, next free */
export const NAME_STRIDE: usize = 16;
/** One amount a name. */
export const AMOUNT_STRIDE: usize = 16;
/** A budget or the configuration speaks of it: it is never given up. */
export const NAME_PINNED: u32 = 1;
/** A merged ledger speaks of it. */
export const NAME_REFERENCED: u32 = 2;

/** Tuple: 0 amount of its folded nodes │ 16 team, project, customer, environment, cost centre, context (name ids)
 *  │ 40 hash u32 │ 44 nodes u32 │ 48 next free u32 │ 52 free 12 */
export const TUPLE_STRIDE: usize = 64;
export const T_NAMES: usize = 16;
export const T_HASH: usize = 40;
export const T_NODES: usize = 44;
export const T_NEXT: usize = 48;
/** The tuple that takes what fits nowhere; it is always there. */
export const TUPLE_OVERFLOW: u32 = 0;

/** Node, in two halves: what every record touches, and the rest. Half lines lie closely together, so twice as many runs
 *  fit into a processor's caches when records come at random.
 *    0 own cost │ 16 counted operations u32 │ 20 generation u32 │ 24 state u32 │ 28 first link to its budgets u32
 *  The other half, NODE_APART behind it: 0 errors u32 │ 4 tuple u32 │ 8 parent u32 │ 12 experiment u32
 *  │ 16 name of the run, or of a scope's model u32 │ 20 first position u32 │ 24 next in a list u32 │ 28 what needs it: live
 *  children and open reservations u32; in the list of those that can be folded: the one before.
 *  128 first halves fill a page, their others the page behind it. Node 0 is the head of the list of what can be folded. */
export const NODE_HALF: usize = 32;
export const NODE_BYTES: u32 = 64;
export const NODE_PAGE: u32 = 128;
export const NODE_APART: usize = 4096;
export const N_OPERATIONS: usize = 16;
export const N_GENERATION: usize = 20;
export const N_STATE: usize = 24;
export const N_BUDGETS: usize = 28;
export const N_ERRORS: usize = NODE_APART;
export const N_TUPLE: usize = NODE_APART + 4;
export const N_PARENT: usize = NODE_APART + 8;
export const N_EXPERIMENT: usize = NODE_APART + 12;
export const N_NAME: usize = NODE_APART + 16;
export const N_POSITIONS: usize = NODE_APART + 20;
export const N_NEXT: usize = NODE_APART + 24;
export const N_NEEDED: usize = NODE_APART + 28;
export const N_BEFORE: usize = NODE_APART + 28;
/** In a row of a snapshot the halves are neighbours: the others lie this much nearer. */
export const NODE_NEARER: usize = NODE_APART - NODE_HALF;
export const STATE_RUN: u32 = 1;
export const STATE_SCOPE: u32 = 2;
/** Known only because a child named it as its parent. */
export const STATE_STUB: u32 = 4;
export const STATE_FINISHED: u32 = 8;
/** Some of its detail (a name, its payer, its parent) was given up; what is booked on it is flagged. */
export const STATE_OVERFLOW: u32 = 16;
export const STATE_FAILED: u32 = 32;
export const STATE_KILLED: u32 = 64;
/** Nothing needs it any more: it can be folded. */
export const STATE_QUEUED: u32 = 128;

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
/** It starts a run. */
export const TRAIT_RUN: u32 = 4;
export const CLASSES_MAX: u32 = 16;

/** Latencies of one operation: 240 counts u32, eight buckets an octave of microseconds. */
export const LATENCY_STRIDE: usize = 960;
/** Sizes of one operation: 208 counts u32, four buckets an octave of bytes. */
export const SIZE_STRIDE: usize = 832;
/** Measures are kept in snapshots by pieces of this many bytes. */
export const MEASURE_PIECE: u32 = 32;

/** Meter: 0 rate (two words, < 2^75) │ 16 divisor u64 │ 24 name id u32 │ 28 flags u32: 1 priced, 2 counts bytes */
export const METER_STRIDE: usize = 32;
export const METER_CAPACITY: u32 = 256;
export const M_DIVISOR: usize = 16;
export const M_NAME: usize = 24;
export const M_FLAGS: usize = 28;
export const METER_PRICED: u32 = 1;
export const METER_BYTES: u32 = 2;

/** Price that was replaced while reservations need it: 0 operation, or meter + 2^16 u32 │ 4 last version u32
 *  │ 8 the operation or meter as it was (32) */
export const OLD_PRICE_STRIDE: usize = 40;
export const OLD_PRICES: u32 = 256;
export const OLD_METER: u32 = 0x10000;

/** Cell (operation × meter; meter 0 is the call itself): the first OPERATION_CAPACITY cells are the calls,
 *  by operation id; the others are found by their key. 0 cost │ 16 quantity (two words) │ 32 count u64
 *  │ 40 items u64 │ 48 errors u64 │ 56 unpriced count u64 │ 64 unpriced quantity (two words)
 *  │ 80 key u32: operation << 16 | meter, plus one; 0 is empty │ 88 dropped by sampling u64 */
export const CELL_STRIDE: usize = 96;
export const CELL_CAPACITY: u32 = 4096;
export const C_QUANTITY: usize = 16;
export const C_COUNT: usize = 32;
export const C_ITEMS: usize = 40;
export const C_ERRORS: usize = 48;
export const C_UNPRICED_COUNT: usize = 56;
export const C_UNPRICED_QUANTITY: usize = 64;
export const C_KEY: usize = 80;
export const C_DROPPED: usize = 88;
/** The first cell behind the calls takes what no longer fits; its key says so. */
export const CELL_OVERFLOW_KEY: u32 = 0xffffffff;

/** Reservation: 0 held amount (of a lease: what is left of it) │ 16 held bytes u64 │ 24 now, 32 latest when it was made
 *  f64 │ 40 latest when it was last touched f64 │ 48 node, or budget of a lease u32 │ 52 generation u32 │ 56 operation u32
 *  │ 60 state u32 │ 64 next u32 │ 68 before u32 │ 72 number u64 │ 80 version of prices u32 │ 84 entries u32 │ 88 charged u32
 *  │ 96 six entries of 24: meter u32, charged u32, reserved quantity f64, charged quantity f64.
 *  Reservations 0 and 1 are the heads of the lists of the open and of the expired. */
export const RESERVATION_STRIDE: usize = 240;
export const R_BYTES: usize = 16;
export const R_NOW: usize = 24;
export const R_LATEST: usize = 32;
export const R_TOUCHED: usize = 40;
export const R_NODE: usize = 48;
export const R_GENERATION: usize = 52;
export const R_OPERATION: usize = 56;
export const R_STATE: usize = 60;
export const R_NEXT: usize = 64;
export const R_BEFORE: usize = 68;
export const R_NUMBER: usize = 72;
export const R_VERSION: usize = 80;
export const R_ENTRIES: usize = 84;
export const R_CHARGED: usize = 88;
export const R_ENTRY: usize = 96;
export const ENTRY_STRIDE: usize = 24;
/** Distinct meters that one ticket can speak of. */
export const ENTRIES_MAX: u32 = 6;

/** Position of a budget in one period: 0 spent │ 16 held │ 32 mark: what spending has to reach before anything has to
 *  be said (0 for what is not money: it is always asked) │ 48 alerts fired u16, 50 taken u16 │ 52 budget u32 │ 56 run's node u32 │ 60 next position of the node u32.
 *  A rate limit keeps its level in 0 (in 1/period ms of a call), the time of that level f64 in 16, and in 64, where
 *  others have the period before, the level when it is full. */
export const POSITION_STRIDE: usize = 64;
export const P_HELD: usize = 16;
export const P_MARK: usize = 32;
export const P_FIRED: usize = 48;
export const P_TAKEN: usize = 50;
export const P_BUDGET: usize = 52;
export const P_NODE: usize = 56;
export const P_NEXT: usize = 60;
export const P_FULL: usize = 64;

/** Budget: 0 position in the period, 64 in the one before │ 128 limit │ 144 name ids of its scope by dimension (12)
 *  │ 192 unit u32 │ 196 period u32 │ 200 action u32 │ 204 offset i32 (minutes) │ 208 number of its period u32
 *  │ 212 booking slot u32 │ 216 name u32 │ 220 generation u32 │ 224 born after reservation u64 │ 232 since f64 (ms)
 *  │ 240 alerts u32 │ 244 live u32 │ 248 eight thresholds (amounts) │ 376 their shares f64 */
export const BUDGET_STRIDE: usize = 448;
export const B_LIMIT: usize = 128;
export const B_NAMES: usize = 144;
export const B_UNIT: usize = 192;
export const B_PERIOD: usize = 196;
export const B_ACTION: usize = 200;
export const B_OFFSET: usize = 204;
export const B_NUMBER: usize = 208;
export const B_SLOT: usize = 212;
export const B_NAME: usize = 216;
export const B_GENERATION: usize = 220;
export const B_BORN: usize = 224;
export const B_SINCE: usize = 232;
export const B_ALERTS: usize = 240;
export const B_LIVE: usize = 244;
export const B_THRESHOLD: usize = 248;
export const B_SHARE: usize = 376;
export const ALERTS_MAX: u32 = 8;

/** Link of a list of budgets: 0 budget u32 │ 4 next link u32. Equal lists are one. */
export const LINK_STRIDE: usize = 8;

export let nodeCapacity: u32 = 0;
export let tupleCapacity: u32 = 0;
export let nameCapacity: u32 = 0;
export let nameByteCapacity: u32 = 0;
export let reservationCapacity: u32 = 0;
export let budgetCapacity: u32 = 0;
export let linkCapacity: u32 = 0;
export let positionCapacity: u32 = 0;
export let sourceCapacity: u32 = 0;
export let nameIndexMask: u32 = 0;
export let tupleIndexMask: u32 = 0;
/** Slot of the last overflow node. */
export let lastNode: u32 = 0;

export let tupleBase: usize = 0;
export let reservationBase: usize = 0;
export let budgetBase: usize = 0;
export let linkBase: usize = 0;
export let positionBase: usize = 0;
export let nameBase: usize = 0;
/** Amount of each name, filled by a roll-up. */
export let sumBase: usize = 0;
/** Amount of each name from nodes and tuples that were folded. */
export let foldedBase: usize = 0;
/** Parent of each run's name, and amount of each tuple: filled by a roll-up. */
export let parentBase: usize = 0;
export let tupleSumBase: usize = 0;
export let nameIndexBase: usize = 0;
export let tupleIndexBase: usize = 0;
export let nameByteBase: usize = 0;
export let sourceBase: usize = 0;
/** Where a host puts requests that are looked at as they came. */
export let bufferBase: usize = 0;

/** Route node: 0 first child u32 │ 4 next sibling u32 │ 8 address of segment u32 │ 12 length u32
 *  │ 16 parameter child u32 │ 20 rest child u32 │ 24 operations of five methods u16 │ 36 hash u32 */
export const ROUTE_STRIDE: usize = 40;
export const ROUTE_CAPACITY: u32 = 1024;
/** Routes without parameters, found by the hash of their text (one cache line): 0 end of the text u32 │ 4 its length × 256
 *  + root × 8 + method u32 │ 8 operation u32 │ 16 and 24 which bits of its last word but two and but three are the route's
 *  │ 32 its last word, 40 the one before, 48 and 56 those before that. Their texts lie one behind the other, each behind
 *  a prefix. */
export const LITERAL_STRIDE: usize = 64;
export const LITERAL_CAPACITY: u32 = 1024;
export const LITERAL_BYTES: u32 = 16384;
/** Free blocks of name bytes by their number of 16 bytes. */
export const BLOCK_SIZES: u32 = 258;

// Tables of fixed size are static data, so that their addresses are constants of the code.
export const header: usize = memory.data(HEADER_BYTES, 64);
export const form: usize = memory.data(FORM_WORDS * 4, 64);
export const meterBase: usize = memory.data(METER_CAPACITY * <u32>METER_STRIDE, 64);
export const operationBase: usize = memory.data(OPERATION_CAPACITY * <u32>OPERATION_STRIDE, 64);
export const blockBase: usize = memory.data(BLOCK_SIZES * 4, 64);
export const oldPriceBase: usize = memory.data(OLD_PRICES * <u32>OLD_PRICE_STRIDE, 64);
export const routeBase: usize = memory.data(ROUTE_CAPACITY * <u32>ROUTE_STRIDE, 64);
export const literalBase: usize = memory.data(LITERAL_CAPACITY * <u32>LITERAL_STRIDE, 64);
export const literalTextBase: usize = memory.data(LITERAL_BYTES, 64);
/** Names of added operations and the static prefix: they are no state, so no snapshot brings or changes them. */
export const TEXT_BYTES: u32 = 65536;
export const textBase: usize = memory.data(TEXT_BYTES, 64);
/** Cells of calls, by operation id, and behind them the cells found by key. */
export const callBase: usize = memory.data((OPERATION_CAPACITY + CELL_CAPACITY) * <u32>CELL_STRIDE, 64);
export const cellBase: usize = callBase + <usize>OPERATION_CAPACITY * CELL_STRIDE;
/** Latencies of all operations, and behind them their sizes. */
export const measureBase: usize = memory.data(OPERATION_CAPACITY * <u32>(LATENCY_STRIDE + SIZE_STRIDE), 64);
export const sizeBase: usize = measureBase + <usize>OPERATION_CAPACITY * LATENCY_STRIDE;
export const windowBase: usize = memory.data(WINDOW_BYTES, 64);

/** Where the regions of chosen size begin, with the nodes: a constant of the code as well. */
export const nodeBase: usize = (__heap_base + NODE_APART - 1) & ~(NODE_APART - 1);

/** Bytes of the pages that hold all nodes. */
export function nodesEnd(): usize {
  return nodeBase + <usize>(lastNode / NODE_PAGE + 1) * 2 * NODE_APART;
}

@inline
export function word(offset: usize): u32 {
  return load<u32>(header + offset);
}

@inline
export function setWord(offset: usize, value: u32): void {
  store<u32>(header + offset, value);
}

/** Adds to a count of 64 bits. */
export function count(address: usize, by: u64): void {
  store<u64>(address, load<u64>(address) + by);
}

let end: usize = 0;

function take(records: u32, stride: usize): usize {
  const base = end;
  end = (end + <usize>records * stride + 63) & ~63;
  return base;
}

function maskFor(records: u32): u32 {
  return ((<u32>1) << (32 - clz(records * 2))) - 1;
}

/** Lays the regions of chosen size out above the fixed ones and grows memory to hold them. False when it cannot. */
export function carve(): bool {
  nodeCapacity = load<u32>(form);
  tupleCapacity = load<u32>(form, 4);
  nameCapacity = load<u32>(form, 8);
  nameByteCapacity = load<u32>(form, 12) & ~63;
  // The heads of its two lists are reservations too.
  reservationCapacity = load<u32>(form, 16) + 2;
  // Budget 0 is none.
  budgetCapacity = load<u32>(form, 20) + 1;
  linkCapacity = budgetCapacity * 4 + 64;
  positionCapacity = load<u32>(form, 24) + 1;
  sourceCapacity = load<u32>(form, 28);
  nameIndexMask = maskFor(nameCapacity);
  tupleIndexMask = maskFor(tupleCapacity);

  lastNode = nodeCapacity + tupleCapacity;
  end = nodesEnd();
  tupleBase = take(tupleCapacity, TUPLE_STRIDE);
  reservationBase = take(reservationCapacity, RESERVATION_STRIDE);
  budgetBase = take(budgetCapacity, BUDGET_STRIDE);
  linkBase = take(linkCapacity, LINK_STRIDE);
  positionBase = take(positionCapacity, POSITION_STRIDE);
  nameBase = take(nameCapacity, NAME_STRIDE);
  foldedBase = take(nameCapacity, AMOUNT_STRIDE);
  nameByteBase = take(nameByteCapacity, 1);
  sourceBase = take(sourceCapacity, 1);
  sumBase = take(nameCapacity, AMOUNT_STRIDE);
  parentBase = take(nameCapacity, 4);
  tupleSumBase = take(tupleCapacity, AMOUNT_STRIDE);
  nameIndexBase = take(nameIndexMask + 1, 4);
  tupleIndexBase = take(tupleIndexMask + 1, 4);
  const bufferBytes = load<u32>(form, 40);
  bufferBase = take(bufferBytes, 1);
  // Wider than memory can ever be: the sizes alone may be more than 32 bits can say.
  const bytes =
    <u64>(nodeCapacity + tupleCapacity) * 160 + <u64>nameCapacity * 68 + nameByteCapacity + sourceCapacity + bufferBytes +
    <u64>reservationCapacity * 240 + <u64>budgetCapacity * 480 + <u64>positionCapacity * 64;
  if (bytes > 0xf0000000) return false;
  const pages = <i32>((<u64>end + 65535) >> 16) - memory.size();
  return pages <= 0 || memory.grow(pages) >= 0;
}
