// Keeps suites from writing journals into anybody's home, and from counting what other suites spent.
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Environment of suites and of the programs they start; a suite that is about journals turns them on itself. */
export const noJournal = {
  GENOPS_JOURNAL: "off",
  GENOPS_STATE_DIR: join(tmpdir(), `genops-test-state-${process.pid}`),
};
