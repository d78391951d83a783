"""Prints how much MLflow's own client finds in a folder that others have written to."""

import json
import sys

from mlflow.tracking import MlflowClient

uri, experiment_id, run_id = sys.argv[1:]
client = MlflowClient(uri, registry_uri=uri)
run = client.get_run(run_id)
models = []
token = None
while True:
    page = client.search_logged_models([experiment_id], max_results=50, page_token=token)
    models.extend(page)
    token = page.token
    if not token:
        break
print(
    json.dumps(
        {
            "runs": len(client.search_runs([experiment_id])),
            "params": len(run.data.params),
            "points": len(client.get_metric_history(run_id, "shared")),
            "versions": len(client.search_model_versions("name = 'm'")),
            "models": len(models),
            "inputs": len(run.inputs.dataset_inputs),
        }
    )
)
