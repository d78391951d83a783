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
} as const;

export type NamedDimension = keyof typeof DIMENSION_ID;

export const HEADER = {
  today: 16,
  yesterday: 32,
  slot: 68,
  kept: 96,
  dropped: 104,
  overruns: 112,
  overflowed: 120,
  late: 128,
  names: 136,
  nodes: 148,
  operations: 152,
  meters: 156,
  lastCost: 184,
  lastReserved: 200,
} as const;
export const NODE = {
  operations: 16,
  errors: 20,
  tuple: 24,
  parent: 28,
  experiment: 32,
  name: 36,
  state: 48,
};
export const NODE_STRIDE = 64;
export const TUPLE_STRIDE = 64;
export const TUPLE_NAMES = 16;
export const OPERATION_STRIDE = 32;
export const METER_STRIDE = 32;
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
};
export const LATENCY_STRIDE = 960;
export const LATENCY_BUCKETS = 240;
export const STATE_RUN = 1;
export const STATE_FINISHED = 8;
export const TRAIT_COUNTED = 1;
export const TRAIT_PRICED = 2;
