// Where things lie in the module's memory: the byte offsets of assembly/layout.ts.

export const DIMENSION_ID = {
  run: 1,
  experiment: 2,
  team: 3,
  project: 4,
  customer: 5,
  environment: 6,
  costCenter: 7,
  context: 8,
  model: 9,
  meter: 10,
  budget: 11,
} as const;

export type NamedDimension = keyof typeof DIMENSION_ID;

/** Ids up to this one are names that always exist: "(overflow)" by dimension, and "(folded)". */
export const STANDING_NAMES = 12;
/** Words of the form. */
export const FORM = {
  runLength: 1,
  parentLength: 12,
  unit: 12,
  period: 13,
  action: 14,
  offset: 15,
  budgetName: 16,
} as const;

export const HEADER = {
  dayBase: 16,
  yesterday: 32,
  slot: 52,
  now: 56,
  latest: 64,
  overruns: 88,
  overflowed: 96,
  lateSettled: 112,
  forgotten: 120,
  blocked: 128,
  rateLimited: 136,
  names: 152,
  nameBytes: 156,
  nodes: 164,
  operations: 168,
  meters: 172,
  freeName: 180,
  freePosition: 192,
  open: 204,
  expired: 208,
  budgets: 212,
  runBudgets: 216,
  positions: 224,
  liveNodes: 244,
  missedAlerts: 260,
  sourceBytes: 264,
  thresholds: 464,
  lastCost: 592,
  lastReserved: 608,
  amount: 624,
  secondAmount: 640,
  decided: 656,
  addresses: 688,
} as const;
/** Tables in the module's memory, in the order of their addresses in the header: first the sections of a snapshot. */
export const TABLE = {
  meters: 2,
  operations: 3,
  cells: 6,
  latencies: 7,
  nodes: 8,
  tuples: 9,
  budgets: 11,
  links: 12,
  positions: 13,
  names: 14,
  folded: 15,
  nameBytes: 16,
  sources: 17,
  window: 18,
  sums: 19,
  sizes: 20,
  classes: 21,
  buffer: 22,
} as const;
/** The half of a node that every record touches. */
export const NODE = { operations: 16, generation: 20, state: 24, budgets: 28 };
/** Its other half. */
export const NODE_HALF = {
  errors: 0,
  tuple: 4,
  parent: 8,
  experiment: 12,
  name: 16,
  positions: 20,
};
/** Bytes from one half to the other: in memory, and in a row of a snapshot. */
export const NODE_APART = 4096;
export const NODE_APART_IN_ROW = 32;

/** Bytes from the first node to this one: 128 halves fill a page, their others the page behind it. */
export function nodeOffset(slot: number): number {
  return (slot + (slot & ~127)) * 32;
}

export const TUPLE_STRIDE = 64;
export const TUPLE_NAMES = 16;
export const OPERATION_STRIDE = 32;
export const METER_STRIDE = 32;
export const NAME_STRIDE = 16;
export const AMOUNT_STRIDE = 16;
export const CELL_STRIDE = 96;
/** Cells of calls, by operation id, and behind them the cells found by key. */
export const CALL_CELLS = 512;
export const CELLS = CALL_CELLS + 4096;
export const CELL = {
  quantity: 16,
  count: 32,
  items: 40,
  errors: 48,
  unpricedCount: 56,
  unpricedQuantity: 64,
  key: 80,
  dropped: 88,
};
export const LATENCY_BUCKETS = 240;
export const SIZE_BUCKETS = 208;
export const POSITION_STRIDE = 64;
export const POSITION = { held: 16, fired: 48, budget: 52, next: 60 };
/** A budget in the lower half, the next link in the upper. */
export const LINK_STRIDE = 8;
/** Of a node whose budgets are worked out each time. */
export const NO_LIST = 0xffffffff;
export const BUDGET_STRIDE = 448;
export const BUDGET = {
  limit: 128,
  names: 144,
  unit: 192,
  period: 196,
  action: 200,
  name: 216,
  alerts: 240,
  live: 244,
  shares: 376,
};
export const STATE_RUN = 1;
export const STATE_SCOPE = 2;
export const STATE_STUB = 4;
export const STATE_FINISHED = 8;
export const STATE_FAILED = 32;
export const STATE_KILLED = 64;
export const TRAIT_COUNTED = 1;
export const TRAIT_PRICED = 2;
export const TRAIT_RUN = 4;
/** A meter that counts bytes. */
export const METER_BYTES = 2;
/** How many classes of operations there can be. */
export const CLASSES = 16;
