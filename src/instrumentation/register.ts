// `node --import genops/register app.js`: governs a program that knows nothing of it, configured by the environment.
import "../node.js";
import { autoInstrumentMlflow, type GenOpsMlflowAdapter } from "../index.js";
import { reasonOf } from "../mlflow/errors.js";

function governed(): GenOpsMlflowAdapter | undefined {
  try {
    return autoInstrumentMlflow();
  } catch (error) {
    // Governance that cannot be set up stops nobody's program; it says so and stays away.
    console.error(`genops: MLflow is not governed: ${reasonOf(error)}`);
    return undefined;
  }
}

/** What governs this process, for a program that asks; undefined when the environment is impossible. */
export const adapter: GenOpsMlflowAdapter | undefined = governed();
