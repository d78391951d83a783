// MLflow governance as an OpenTelemetry instrumentation, with everything that Node has.
import "../node.js";

export {
  MlflowInstrumentation,
  type MlflowInstrumentationConfig,
} from "./mlflow-instrumentation.js";
