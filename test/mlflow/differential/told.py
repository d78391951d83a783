"""What MLflow's own client reads, in the words of TypeScript's."""

import math


def number(value):
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def experiment_of(stored):
    return {
        "experimentId": stored.experiment_id,
        "name": stored.name,
        "artifactLocation": stored.artifact_location,
        "lifecycleStage": stored.lifecycle_stage,
        "creationTime": stored.creation_time,
        "lastUpdateTime": stored.last_update_time,
        "tags": stored.tags,
    }


def dataset_input_of(entry):
    dataset = entry.dataset
    return {
        "dataset": {
            "name": dataset.name,
            "digest": dataset.digest,
            "sourceType": dataset.source_type,
            "source": dataset.source,
            "schema": dataset.schema or None,
            "profile": dataset.profile or None,
        },
        "tags": {tag.key: tag.value for tag in entry.tags},
    }


def run_of(stored):
    info, data = stored.info, stored.data
    # What holds nothing may be missing.
    inputs, outputs = stored.inputs, getattr(stored, "outputs", None)
    return {
        "info": {
            "runId": info.run_id,
            "runName": info.run_name or None,
            "experimentId": info.experiment_id,
            "userId": info.user_id or None,
            "status": info.status,
            "startTime": info.start_time or 0,
            "endTime": info.end_time,
            "artifactUri": info.artifact_uri,
            "lifecycleStage": info.lifecycle_stage,
        },
        "data": {
            "metrics": {key: number(value) for key, value in data.metrics.items()},
            "params": data.params,
            "tags": data.tags,
        },
        "inputs": {
            "datasetInputs": [
                dataset_input_of(entry) for entry in (inputs.dataset_inputs if inputs else [])
            ],
            "modelInputs": [
                {"modelId": model.model_id}
                for model in (getattr(inputs, "model_inputs", None) or [])
            ],
        },
        "outputs": {
            "modelOutputs": [
                {"modelId": model.model_id, "step": model.step}
                for model in (outputs.model_outputs if outputs else [])
            ],
        },
    }


def point_of(point):
    return {
        "key": point.key,
        "value": number(point.value),
        "timestamp": point.timestamp,
        "step": point.step,
    }


def file_of(entry):
    return {
        "path": entry.path,
        "isDirectory": entry.is_dir,
        # The server leaves the size of an empty file out.
        "sizeBytes": None if entry.is_dir else entry.file_size or 0,
    }


def version_of(stored):
    return {
        "name": stored.name,
        "version": str(stored.version),
        "creationTimestamp": stored.creation_timestamp,
        "lastUpdatedTimestamp": stored.last_updated_timestamp,
        "currentStage": stored.current_stage,
        "description": stored.description or "",
        "source": stored.source,
        "runId": stored.run_id or None,
        "modelId": getattr(stored, "model_id", None) or None,
        "status": stored.status,
        "statusMessage": stored.status_message or None,
        "tags": stored.tags,
        "aliases": sorted(stored.aliases),
    }


def model_of(stored):
    return {
        "name": stored.name,
        "creationTimestamp": stored.creation_timestamp,
        "lastUpdatedTimestamp": stored.last_updated_timestamp,
        "description": stored.description or "",
        "tags": stored.tags,
        "aliases": {alias: str(version) for alias, version in stored.aliases.items()},
        "latestVersions": [version_of(latest) for latest in stored.latest_versions],
    }


# As MLflow's messages call them.
STATUS_OF_MODEL = {"FAILED": "UPLOAD_FAILED"}


def logged_model_of(stored):
    return {
        "modelId": stored.model_id,
        "experimentId": stored.experiment_id,
        "name": stored.name,
        "artifactLocation": stored.artifact_location,
        "creationTimestamp": stored.creation_timestamp,
        "lastUpdatedTimestamp": stored.last_updated_timestamp,
        "sourceRunId": stored.source_run_id or None,
        "status": STATUS_OF_MODEL.get(str(stored.status), str(stored.status)),
        "statusMessage": stored.status_message or None,
        "modelType": stored.model_type or None,
        "tags": stored.tags,
        "params": stored.params,
        "metrics": [
            {
                **point_of(metric),
                "runId": metric.run_id or None,
                "datasetName": metric.dataset_name or None,
                "datasetDigest": metric.dataset_digest or None,
            }
            for metric in stored.metrics or []
        ],
        "modelUri": stored.model_uri,
    }
