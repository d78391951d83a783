"""Ends two runs when nothing is left of a budget: one by itself, one by the exception that a refusal is."""
import json
import sys

import mlflow
from mlflow.exceptions import MlflowException

mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient()
first, second = (client.create_run(sys.argv[2]).info.run_id for _ in range(2))
caught = raised = None
with mlflow.start_run(run_id=first):
    mlflow.log_metric("a", 1)
    try:
        mlflow.log_metric("b", 2)
    except MlflowException as error:
        caught = error.error_code
try:
    with mlflow.start_run(run_id=second):
        mlflow.log_metric("c", 3)
except MlflowException as error:
    raised = error.error_code
print(json.dumps({"first": first, "second": second, "caught": caught, "raised": raised}))
