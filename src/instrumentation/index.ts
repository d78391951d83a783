// MLflow governance as an OpenTelemetry instrumentation, where there is fetch alone.
import { fetchSeam } from "./http/fetch.js";
import { useSeam } from "./scopes.js";

useSeam(fetchSeam);

export {
  MlflowInstrumentation,
  type MlflowInstrumentationConfig,
} from "./mlflow-instrumentation.js";
