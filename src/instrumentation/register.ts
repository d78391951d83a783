// `node --import genops/register app.js`: governs a program that knows nothing of it, configured by the environment.
import "../node.js";
import { autoInstrumentMlflow } from "../index.js";
import { reasonOf } from "../mlflow/errors.js";

try {
  autoInstrumentMlflow();
} catch (error) {
  // Governance that cannot be set up stops nobody's program; it says so and stays away.
  console.error(`genops: MLflow is not governed: ${reasonOf(error)}`);
}
