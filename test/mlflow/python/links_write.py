"""Logs datasets, a model and what ties them to a run with MLflow's own client; prints their ids."""

import json
import sys
import warnings

warnings.filterwarnings("ignore")

import mlflow
import pandas as pd
from mlflow.entities import LoggedModelOutput
from mlflow.tracking import MlflowClient

uri, experiment_name = sys.argv[1:]
mlflow.set_tracking_uri(uri)
mlflow.set_registry_uri(uri)
client = MlflowClient(uri)
experiment_id = client.create_experiment(experiment_name)
mlflow.set_experiment(experiment_name)
frame = pd.DataFrame({"a": [1, 2], "b": ["x", "größe"]})
dataset = mlflow.data.from_pandas(frame, source="https://example.com/d.csv", name="frame")
with mlflow.start_run() as run:
    mlflow.log_input(dataset, context="training: 1", tags={"yes": "no"})
model = client.create_logged_model(
    experiment_id,
    name="net",
    source_run_id=run.info.run_id,
    tags={"team": "search"},
    params={"depth": "3"},
    model_type="classifier",
)
client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, 4)])
mlflow.log_metric("loss", 0.25, step=2, run_id=run.info.run_id, model_id=model.model_id)
client.finalize_logged_model(model.model_id, "READY")
print(json.dumps({"run_id": run.info.run_id, "model_id": model.model_id}))
