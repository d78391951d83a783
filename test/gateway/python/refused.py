"""Starts a run that is refused, and tells how."""
import json
import sys
import time

import mlflow
from mlflow.exceptions import MlflowException

mlflow.set_tracking_uri(sys.argv[1])
mlflow.MlflowClient().search_experiments(max_results=1)
began = time.monotonic()
try:
    mlflow.start_run(experiment_id=sys.argv[2])
    told = None
except MlflowException as error:
    told = {"type": type(error).__name__, "message": str(error), "code": error.error_code}
print(json.dumps({"told": told, "seconds": time.monotonic() - began}))
