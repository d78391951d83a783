// Marks what one governed request makes of itself further down, so that no layer counts it a second time.
import { createAsyncContext } from "../../runtime/capabilities.js";

const below = createAsyncContext<boolean>();

/** Is this part of a request that has been governed already, or is not to be? */
export function isBelowGoverned(): boolean {
  return below.get() === true;
}

/** Makes a request, and all that it consists of, without its being governed further down. */
export function whileGoverned<T>(callback: () => T): T {
  return below.run(true, callback);
}
