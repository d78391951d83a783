// The compiled module: compiled once, from text inside this file's bundle or from what the host gives.
import { instantiateSync } from "@assemblyscript/loader";
import packaged from "../../build/engine-text.js";
import { EngineError } from "./errors.js";

/** Exports of the module; their units are documented in assembly/index.ts. */
export interface EngineExports {
  readonly memory: WebAssembly.Memory;
  abiMajor(): number;
  header(): number;
  form(): number;
  init(): number;
  intern(length: number, dimension: number): number;
  pin(length: number, dimension: number): number;
  openRun(): number;
  openScope(parent: number): number;
  findRun(address: number, length: number): number;
  finishRun(node: number, how: number): number;
  oldestFinished(): number;
  fold(): number;
  addOperation(length: number, classId: number, traits: number): number;
  beginPrices(changes: number): number;
  setOperationPrice(id: number): number;
  addMeter(name: number, flags: number): number;
  setMeterRate(id: number): number;
  price(operation: number, meter: number, quantity: number): number;
  setStaticPrefix(length: number): number;
  classify(address: number, length: number): number;
  scan(address: number, length: number): number;
  tick(now: number): number;
  setTimeToLive(ms: number): number;
  setSamplingRate(classId: number, rate: number): number;
  record(node: number, operation: number, meter: number, quantity: number, items: number): number;
  recordTimed(
    node: number,
    operation: number,
    meter: number,
    quantity: number,
    items: number,
    latency: number,
  ): number;
  reserve(node: number, operation: number, meter: number, quantity: number): number;
  assign(ticket: number, node: number): number;
  extend(ticket: number, meter: number, quantity: number): number;
  charge(ticket: number, meter: number, quantity: number): number;
  settle(ticket: number, failed: number, items: number, latencyMs: number): number;
  release(ticket: number): number;
  addBudget(): number;
  removeBudget(budget: number): number;
  setLimit(budget: number, alerts: number): number;
  setAlert(budget: number, index: number, share: number): number;
  budgetSlot(budget: number): number;
  budgetHandle(slot: number): number;
  takeAlert(): number;
  grant(budget: number): number;
  spend(lease: number): number;
  giveBack(lease: number): number;
  rollUp(dimension: number, inclusive: number): number;
  setSource(source: number, epoch: number): number;
  snapshotBegin(): number;
  snapshotChunk(): number;
  restoreBegin(): number;
  restoreChunk(length: number, apply: number): number;
  restoreEnd(apply: number): number;
  mergeBegin(): number;
  mergeChunk(length: number): number;
  mergeEnd(): number;
}

/** The ABI this binding speaks. */
const ABI_MAJOR = 2;

/** Which letter of a packaged text this is, from 0; as in assembly/build.mjs. */
function letterAt(text: string, index: number): number {
  const code = text.charCodeAt(index);
  if (code >= 161) return code - 68;
  return code - 32 - (code > 34 ? 1 : 0) - (code > 92 ? 1 : 0);
}

/** The module that a text stands for: 256 letters that say which byte each letter is, then one letter a byte. */
export function moduleBytes(text: string): Uint8Array<ArrayBuffer> {
  const known = Uint8Array.from({ length: 256 }, (_, letter) => letterAt(text, letter));
  const bytes = new Uint8Array(text.length - 256);
  for (let at = 0; at < bytes.length; at++) bytes[at] = known[letterAt(text, at + 256)] as number;
  return bytes;
}

let embedded: WebAssembly.Module | undefined;

/**
 * The module inside the package, compiled at the first call.
 * @throws {EngineError} `INCOMPATIBLE_RUNTIME` where compiling is forbidden.
 */
export function embeddedModule(): WebAssembly.Module {
  if (embedded !== undefined) return embedded;
  // Where compiling is forbidden the build leaves the import in place, and the runtime gives the module.
  if (typeof packaged !== "string") return packaged;
  const bytes = moduleBytes(packaged);
  try {
    embedded = new WebAssembly.Module(bytes);
  } catch (error) {
    throw notCompiled(error, undefined);
  }
  return embedded;
}

/** The smallest module: whatever does not compile this compiles nothing. */
const EMPTY = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** Why bytes were not compiled: they are no module, or this runtime compiles none. */
function notCompiled(error: unknown, source: unknown): EngineError {
  const reason = error instanceof Error ? error.message : String(error);
  try {
    new WebAssembly.Module(EMPTY);
  } catch {
    return new EngineError(
      "INCOMPATIBLE_RUNTIME",
      "runtime",
      undefined,
      `this runtime does not compile WebAssembly here (${reason}); in a page allow 'wasm-unsafe-eval' in script-src, in an edge worker import genops/engine.wasm as a module and give it to loadEngine`,
    );
  }
  return new EngineError(
    "INCOMPATIBLE_MODULE",
    "source",
    source,
    `it is no WebAssembly module (${reason}); give the genops/engine.wasm of the same release`,
  );
}

/** A compiled `WebAssembly.Module`; typed loosely, as the types of not every host know its name. */
export type CompiledModule = object;

/** What an engine can be loaded from: a compiled module, a response, a URL, or bytes in a buffer or a view of one. */
export type EngineSource = CompiledModule | Response | URL | ArrayBuffer | ArrayBufferView;

/**
 * Compiles the module from where the host keeps it.
 * @throws {EngineError} `INCOMPATIBLE_MODULE` when it cannot be had, `INCOMPATIBLE_RUNTIME` where compiling is forbidden.
 */
export async function compile(source: EngineSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  const response = source instanceof URL ? await fetch(source) : source;
  let bytes = response as BufferSource;
  if (typeof Response !== "undefined" && response instanceof Response) {
    if (!response.ok) {
      throw new EngineError(
        "INCOMPATIBLE_MODULE",
        "source",
        response.url,
        `the server answered ${response.status}; serve genops/engine.wasm there`,
      );
    }
    bytes = await response.arrayBuffer();
  }
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw notCompiled(error, source);
  }
}

/** A fresh instance, its memory not sized yet. */
export function instantiate(module: WebAssembly.Module): EngineExports {
  // The loader's own wrappers count arguments on every call; the raw exports do not.
  const exports = instantiateSync(module, {}).instance.exports as unknown as EngineExports;
  const major = typeof exports.abiMajor === "function" ? exports.abiMajor() : 0;
  if (major !== ABI_MAJOR) {
    throw new EngineError(
      "INCOMPATIBLE_MODULE",
      "source",
      major,
      `the module speaks ABI ${major}, this binding ${ABI_MAJOR}; use the genops/engine.wasm of the same release`,
    );
  }
  return exports;
}
