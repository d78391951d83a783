// What a call throws, for comparison with the error that it should be.
import { expect } from "vitest";
import { EngineError } from "../../src/engine/index.js";

/** The engine's error of a call that must be refused. */
export function refused(call: () => unknown): EngineError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(EngineError);
    return error as EngineError;
  }
  throw new Error("the call was not refused");
}
