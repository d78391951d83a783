"""Writes an experiment and a registered model with MLflow's own client, and prints what is stored."""

import json
import os
import sys
import tempfile

from document import document
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

uri, experiment_name, model_name = sys.argv[1:]
client = MlflowClient(uri, registry_uri=uri)

experiment_id = client.create_experiment(
    experiment_name, tags={"genops.team": "search", "größe/日 本": "💡"}
)
client.set_experiment_tag(experiment_id, "later", "two\nlines")

parent = client.create_run(
    experiment_id,
    start_time=1_700_000_000_000,
    run_name="größe",
    tags={"mlflow.user": "ada", "genops.customer.id": "acme", "note": "  a\n\tb \"c\" 'd' \\ "},
)
run_id = parent.info.run_id
client.log_param(run_id, "rate", 0.01)
client.log_param(run_id, "empty", "")
client.log_param(run_id, "ü/日 本.x:y-_", "größe 💡")
client.log_param(run_id, "long", "v" * 6000)
for step, value in enumerate([0.1 + 0.2, float("nan"), float("inf"), float("-inf"), 5e-324, 1e308]):
    client.log_metric(run_id, "odd/one s", value, timestamp=1000 + step, step=step - 3)
client.log_metric(run_id, "nan", float("nan"), timestamp=5, step=0)
client.log_metric(run_id, "same step", 2.0, timestamp=5, step=1)
client.log_metric(run_id, "same step", 3.0, timestamp=4, step=1)
for start in range(0, 2500, 500):
    points = [Metric("many", i / 7, 1000 + i, i) for i in range(start, start + 500)]
    client.log_batch(run_id, points, [Param(f"p{start}", "x")], [RunTag(f"t{start}", "y")])
client.set_tag(run_id, "gone", "soon")
client.delete_tag(run_id, "gone")

with tempfile.TemporaryDirectory() as folder:
    os.makedirs(os.path.join(folder, "deep", "er"))
    with open(os.path.join(folder, "deep", "er", "all bytes.bin"), "wb") as file:
        file.write(bytes(range(256)) * 40)
    with open(os.path.join(folder, "empty.txt"), "wb"):
        pass
    client.log_artifacts(run_id, folder, "folder ü")
client.log_text(run_id, "größe\r\n", "model/weights.txt")
client.set_terminated(run_id, "FINISHED", 1_700_000_009_999)

child = client.create_run(
    experiment_id, start_time=1_700_000_000_001, tags={"mlflow.parentRunId": run_id}
)
client.set_terminated(child.info.run_id, "FAILED", 1_700_000_000_002)
open_run = client.create_run(experiment_id, start_time=1_700_000_000_003)
deleted = client.create_run(experiment_id, start_time=1_700_000_000_004)
client.delete_run(deleted.info.run_id)

client.create_registered_model(model_name, tags={"k/x": "größe"}, description="What it is")
source = f"{parent.info.artifact_uri}/model"
for note in ["first", "second", "third"]:
    client.create_model_version(
        model_name, source, run_id, tags={"note": note}, description=f"the {note}"
    )
client.transition_model_version_stage(model_name, 1, "Production")
client.transition_model_version_stage(model_name, 2, "Production", archive_existing_versions=True)
client.set_registered_model_alias(model_name, "champion", 2)
client.set_registered_model_alias(model_name, "challenger", 3)
client.set_registered_model_alias(model_name, "runner-up", 3)
client.set_model_version_tag(model_name, 3, "genops.team", "search")
client.update_model_version(model_name, 3, "changed")

print(json.dumps(document(client, experiment_name, model_name)))
