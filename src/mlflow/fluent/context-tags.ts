// Who runs which program: the tags that tell where a run or a dataset is from.
import { currentRuntime, environmentVariable, mainScript } from "../../runtime/capabilities.js";

function userName(): string | undefined {
  for (const name of ["MLFLOW_TRACKING_USERNAME", "LOGNAME", "USER", "LNAME", "USERNAME"]) {
    const value = environmentVariable(name);
    if (value !== undefined) return value;
  }
  return currentRuntime().userName?.();
}

export function contextTags(): Record<string, string> {
  const user = userName();
  return {
    ...(user !== undefined && { "mlflow.user": user }),
    "mlflow.source.name": mainScript() ?? "<console>",
    "mlflow.source.type": "LOCAL",
  };
}
