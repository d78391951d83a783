// The compiled module: compiled once, from text inside this file's bundle or from what the host gives.
import { instantiateSync } from "@assemblyscript/loader";
import base64 from "../../build/engine.wasm";
import { EngineError } from "./errors.js";

/** Exports of the module; their units are documented in assembly/index.ts. */
export interface EngineExports extends Record<string, unknown> {
  readonly memory: WebAssembly.Memory;
  abiMajor(): number;
  init(
    nodes: number,
    tuples: number,
    names: number,
    nameBytes: number,
    reservations: number,
    seedLow: number,
    seedHigh: number,
  ): number;
  windowAddress(): number;
  windowBytes(): number;
  headerAddress(): number;
  nameAddress(): number;
  nameByteAddress(): number;
  nameTotalAddress(): number;
  tupleAddress(): number;
  nodeAddress(): number;
  operationAddress(): number;
  latencyAddress(): number;
  meterAddress(): number;
  cellAddress(): number;
  classNames(): number;
  intern(length: number, dimension: number): number;
  openRun(
    run: number,
    parent: number,
    experiment: number,
    team: number,
    project: number,
    customer: number,
    environment: number,
    costCenter: number,
    context: number,
  ): number;
  openScope(
    parent: number,
    experiment: number,
    model: number,
    team: number,
    project: number,
    customer: number,
    environment: number,
    costCenter: number,
    context: number,
  ): number;
  finishRun(node: number): number;
  addOperation(length: number, classId: number, counted: number): number;
  setOperationPrice(id: number, w0: number, w1: number, w2: number): number;
  addMeter(name: number): number;
  setMeterRate(id: number, n0: number, n1: number, n2: number, d0: number, d1: number): number;
  price(operation: number, meter: number, quantity: number): number;
  setStaticPrefix(length: number): number;
  classify(address: number, length: number): number;
  tick(now: number): number;
  setSamplingRate(rate: number): number;
  record(node: number, operation: number, meter: number, quantity: number, items: number): number;
  reserve(node: number, operation: number, meter: number, quantity: number): number;
  assign(ticket: number, node: number): number;
  extend(ticket: number, meter: number, quantity: number): number;
  charge(ticket: number, meter: number, quantity: number): number;
  settle(ticket: number, failed: number, items: number, latencyMs: number): number;
  release(ticket: number): number;
  rollUp(dimension: number, inclusive: number): number;
}

/** The ABI this binding speaks. */
const ABI_MAJOR = 1;

let embedded: WebAssembly.Module | undefined;

/** The module inside the package, compiled at the first call. */
export function embeddedModule(): WebAssembly.Module {
  embedded ??= new WebAssembly.Module(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)));
  return embedded;
}

/** What an engine can be loaded from. */
export type EngineSource = WebAssembly.Module | Response | URL | BufferSource;

/** Compiles the module from where the host keeps it. @throws `INCOMPATIBLE_MODULE` when it cannot be had. */
export async function compile(source: EngineSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  const response = source instanceof URL ? await fetch(source) : source;
  if (typeof Response !== "undefined" && response instanceof Response) {
    if (!response.ok) {
      throw new EngineError(
        "INCOMPATIBLE_MODULE",
        "source",
        response.url,
        `the server answered ${response.status}; serve genops/engine.wasm there`,
      );
    }
    return WebAssembly.compile(await response.arrayBuffer());
  }
  return WebAssembly.compile(response as BufferSource);
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
