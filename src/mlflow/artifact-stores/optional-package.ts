// The cloud SDKs: loaded when an artifact is first there, so that nobody installs what they do not use.
import { MlflowError } from "../errors.js";

const MISSING = ["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND"];

/**
 * Loads an optional package. Rejects with MlflowError `MISSING_PACKAGE`, naming the command that
 * installs it.
 */
export async function loadPackage<T>(
  name: string,
  purpose: string,
  load: () => Promise<T>,
): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const { code, message = "" } = (cause ?? {}) as { code?: string; message?: string };
    if (!MISSING.includes(code ?? "") && !message.includes(name)) throw cause;
    throw new MlflowError(
      "MISSING_PACKAGE",
      `${purpose} needs the package ${name}, which is not installed. Run: npm install ${name}`,
      { cause },
    );
  }
}
