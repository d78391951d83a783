"""Adds a row to a table with MLflow's own client, and prints the table that it loads."""

import json
import sys

import mlflow
from mlflow.tracking import MlflowClient

uri, experiment_id, run_id = sys.argv[1:]
mlflow.set_tracking_uri(uri)
client = MlflowClient(uri)
client.log_table(run_id, {"a": [9], "b": ["python"]}, "eval/table.json")
table = client.load_table(experiment_id, "eval/table.json", run_ids=[run_id])
print(json.dumps(json.loads(table.to_json(orient="records"))))
