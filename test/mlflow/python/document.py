"""Prints, as JSON, all that a store holds of one experiment and one registered model."""

import base64
import json
import math
import sys
import tempfile

from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient


def number(value):
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def files(client, run_id, path=None):
    found = []
    for info in client.list_artifacts(run_id, path):
        entry = {"path": info.path, "isDirectory": info.is_dir, "sizeBytes": None}
        if info.is_dir:
            found += [entry, *files(client, run_id, info.path)]
            continue
        with tempfile.TemporaryDirectory() as folder:
            with open(client.download_artifacts(run_id, info.path, folder), "rb") as file:
                content = base64.b64encode(file.read()).decode()
        # The server leaves the size of an empty file out.
        found.append({**entry, "sizeBytes": info.file_size or 0, "content": content})
    return sorted(found, key=lambda entry: entry["path"])


def history(client, run_id, key):
    points = [
        {
            "key": point.key,
            "value": number(point.value),
            "timestamp": point.timestamp,
            "step": point.step,
        }
        for point in client.get_metric_history(run_id, key)
    ]
    return sorted(points, key=lambda p: (p["step"], p["timestamp"], str(p["value"])))


def run(client, run_id):
    stored = client.get_run(run_id)
    info, data = stored.info, stored.data
    return {
        "info": {
            "runId": info.run_id,
            "runName": info.run_name,
            "experimentId": info.experiment_id,
            "userId": info.user_id or None,
            "status": info.status,
            "startTime": info.start_time,
            "endTime": info.end_time,
            "artifactUri": info.artifact_uri,
            "lifecycleStage": info.lifecycle_stage,
        },
        "params": data.params,
        "tags": data.tags,
        "metrics": {key: number(value) for key, value in data.metrics.items()},
        "history": {key: history(client, run_id, key) for key in data.metrics},
        "files": files(client, run_id),
    }


def version(client, name, number):
    stored = client.get_model_version(name, number)
    return {
        "name": stored.name,
        "version": str(stored.version),
        "creationTimestamp": stored.creation_timestamp,
        "lastUpdatedTimestamp": stored.last_updated_timestamp,
        "currentStage": stored.current_stage,
        "description": stored.description or "",
        "source": stored.source,
        "runId": stored.run_id or None,
        "modelId": stored.model_id or None,
        "status": stored.status,
        "statusMessage": stored.status_message or None,
        "tags": stored.tags,
        "aliases": sorted(stored.aliases),
    }


def model(client, name):
    stored = client.get_registered_model(name)
    return {
        "name": stored.name,
        "creationTimestamp": stored.creation_timestamp,
        "lastUpdatedTimestamp": stored.last_updated_timestamp,
        "description": stored.description or "",
        "tags": stored.tags,
        "aliases": {alias: str(number) for alias, number in stored.aliases.items()},
        "latestVersions": sorted(str(latest.version) for latest in stored.latest_versions),
        "versions": [
            version(client, name, found.version)
            for found in sorted(
                client.search_model_versions(f"name = '{name}'"),
                key=lambda found: int(found.version),
            )
        ],
    }


def document(client, experiment_name, model_name):
    stored = client.get_experiment_by_name(experiment_name)
    runs = client.search_runs([stored.experiment_id], run_view_type=ViewType.ALL)
    return {
        "experiment": {
            "experimentId": stored.experiment_id,
            "name": stored.name,
            "artifactLocation": stored.artifact_location,
            "lifecycleStage": stored.lifecycle_stage,
            "creationTime": stored.creation_time,
            "lastUpdateTime": stored.last_update_time,
            "tags": stored.tags,
        },
        "runs": [run(client, found.info.run_id) for found in runs],
        "model": model(client, model_name),
    }


if __name__ == "__main__":
    uri, experiment_name, model_name = sys.argv[1:]
    client = MlflowClient(uri, registry_uri=uri)
    print(json.dumps(document(client, experiment_name, model_name)))
