"""Prints what MLflow's own client knows of a run's inputs and outputs, and of a logged model."""

import json
import sys

from mlflow.tracking import MlflowClient

uri, run_id, model_id = sys.argv[1:]
client = MlflowClient(uri)
run = client.get_run(run_id)
model = client.get_logged_model(model_id)
found = client.search_logged_models([model.experiment_id], filter_string="name = 'net'")
print(
    json.dumps(
        {
            "inputs": [
                {
                    "dataset": {
                        "name": one.dataset.name,
                        "digest": one.dataset.digest,
                        "sourceType": one.dataset.source_type,
                        "source": one.dataset.source,
                        "schema": one.dataset.schema,
                        "profile": one.dataset.profile,
                    },
                    "tags": {tag.key: tag.value for tag in one.tags},
                }
                for one in run.inputs.dataset_inputs
            ],
            "outputs": [
                {"modelId": one.model_id, "step": one.step} for one in run.outputs.model_outputs
            ],
            "model": {
                "modelId": model.model_id,
                "name": model.name,
                "status": str(model.status),
                "sourceRunId": model.source_run_id,
                "modelType": model.model_type,
                "artifactLocation": model.artifact_location,
                "params": model.params,
                "team": model.tags.get("team"),
                "metrics": [[m.key, m.value, m.step, m.run_id] for m in model.metrics or []],
            },
            "found": [one.model_id for one in found],
        }
    )
)
