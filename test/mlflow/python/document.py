"""Prints, as JSON, all that a store holds of one experiment and one registered model."""

import base64
import json
import os
import sys
import tempfile

from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "differential"))
from told import experiment_of, file_of, model_of, point_of, run_of, version_of  # noqa: E402


def files(client, run_id, path=None):
    found = []
    for info in client.list_artifacts(run_id, path):
        if info.is_dir:
            found += [file_of(info), *files(client, run_id, info.path)]
            continue
        with tempfile.TemporaryDirectory() as folder:
            with open(client.download_artifacts(run_id, info.path, folder), "rb") as file:
                content = base64.b64encode(file.read()).decode()
        found.append({**file_of(info), "content": content})
    return sorted(found, key=lambda entry: entry["path"])


def history(client, run_id, key):
    points = map(point_of, client.get_metric_history(run_id, key))
    return sorted(points, key=lambda p: (p["step"], p["timestamp"], str(p["value"])))


def run(client, run_id):
    stored = run_of(client.get_run(run_id))
    return {
        "info": stored["info"],
        **stored["data"],
        "history": {key: history(client, run_id, key) for key in stored["data"]["metrics"]},
        "files": files(client, run_id),
    }


def model(client, name):
    stored = model_of(client.get_registered_model(name))
    found = client.search_model_versions(f"name = '{name}'")
    return {
        **stored,
        "latestVersions": sorted(latest["version"] for latest in stored["latestVersions"]),
        "versions": [
            version_of(client.get_model_version(name, one.version))
            for one in sorted(found, key=lambda one: int(one.version))
        ],
    }


def document(client, experiment_name, model_name):
    stored = client.get_experiment_by_name(experiment_name)
    runs = client.search_runs([stored.experiment_id], run_view_type=ViewType.ALL)
    return {
        "experiment": experiment_of(stored),
        "runs": [run(client, found.info.run_id) for found in runs],
        "model": model(client, model_name),
    }


if __name__ == "__main__":
    uri, experiment_name, model_name = sys.argv[1:]
    client = MlflowClient(uri, registry_uri=uri)
    print(json.dumps(document(client, experiment_name, model_name)))
