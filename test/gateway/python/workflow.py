"""A whole workflow of the unmodified Python client; prints what it read back."""
import json
import os
import sys
import tempfile

import mlflow
from mlflow import MlflowClient

mlflow.set_tracking_uri(sys.argv[1])
name = sys.argv[2]
mlflow.set_experiment(name)
with mlflow.start_run(run_name="parent") as run:
    mlflow.log_param("depth", 3)
    mlflow.log_metric("loss", 0.5, step=1)
    mlflow.log_metrics({"a": 1.0, "b": 2.0}, step=2)
    mlflow.set_tag("stage", "try")
    mlflow.log_metric("later", 1.0, synchronous=False)
    mlflow.flush_async_logging()
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "notes.txt")
    with open(path, "w") as file:
        file.write("x" * 2048)
    mlflow.log_artifact(path, "docs")
    mlflow.log_text("hello", "a b%c/ü.txt")
    with mlflow.start_run(run_name="child", nested=True) as child:
        mlflow.log_metric("loss", 0.25)
client = MlflowClient()
client.create_registered_model(name)
version = client.create_model_version(name, f"runs:/{run.info.run_id}/docs", run.info.run_id)
client.set_registered_model_alias(name, "best", version.version)
read = client.get_run(run.info.run_id)
print(
    json.dumps(
        {
            "run": run.info.run_id,
            "child": child.info.run_id,
            "experiment": run.info.experiment_id,
            "status": read.info.status,
            "metrics": dict(sorted(read.data.metrics.items())),
            "params": read.data.params,
            "tags": {k: v for k, v in read.data.tags.items() if k.startswith("genops") or k == "stage"},
            "text": mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/a b%c/ü.txt"),
            "version": version.version,
            "alias": client.get_model_version_by_alias(name, "best").version,
            "found": len(mlflow.search_runs(experiment_names=[name], output_format="list")),
        }
    )
)
