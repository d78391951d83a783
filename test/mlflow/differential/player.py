"""Plays calls with MLflow's own client: reads one as JSON a line, and answers it as JSON in a line."""

import base64
import json
import os
import sys
import tempfile
import time

import mlflow
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from told import (
    STATUS_OF_MODEL,
    experiment_of,
    file_of,
    logged_model_of,
    model_of,
    point_of,
    run_of,
    version_of,
)

# What others print must not get between the answers.
answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

uri = sys.argv[1]
mlflow.set_tracking_uri(uri)
mlflow.set_registry_uri(uri)
client = MlflowClient(uri, registry_uri=uri)
made = []


class BodyFails(Exception):
    """What the body of a run throws when it is to fail."""


def pages(search):
    """Every page of a search, as the lists that they are."""
    found, token = [], None
    while True:
        page = search(token)
        found.append(page)
        token = page.token
        if not token:
            return found


# ── experiments ───────────────────────────────────────────────────────────────────────────────────


def create_experiment(name, tags=None, artifactLocation=None):
    made.append(client.create_experiment(name, artifactLocation, tags))


def get_experiment_by_name(name):
    found = client.get_experiment_by_name(name)
    return None if found is None else experiment_of(found)


def search_experiments(filterString=None, orderBy=None, maxResults=1000, viewType="ACTIVE_ONLY"):
    view = ViewType.from_string(viewType.lower())
    return [
        [found.name for found in page]
        for page in pages(
            lambda token: client.search_experiments(view, maxResults, filterString, orderBy, token)
        )
    ]


# ── runs ──────────────────────────────────────────────────────────────────────────────────────────


def create_run(experimentId, runName=None, startTime=None, tags=None):
    run = client.create_run(experimentId, startTime, tags, runName)
    made.append(run.info.run_id)
    return run_of(run)


def metrics_of(points):
    return [
        Metric(
            point["key"],
            float(point["value"]),
            point["timestamp"],
            point.get("step", 0),
            **({"model_id": point["modelId"]} if "modelId" in point else {}),
        )
        for point in points
    ]


def log_batch(runId, metrics=(), params=None, tags=None):
    client.log_batch(
        runId,
        metrics_of(metrics),
        [Param(key, value) for key, value in (params or {}).items()],
        [RunTag(key, value) for key, value in (tags or {}).items()],
    )


def log_metric(runId, key, value, step=None, timestamp=None, modelId=None):
    more = {} if modelId is None else {"model_id": modelId}
    client.log_metric(runId, key, float(value), timestamp, step, **more)


def log_param(runId, key, value):
    client.log_param(runId, key, value)


def log_inputs(runId, datasets=(), modelIds=()):
    inputs = [
        DatasetInput(
            Dataset(
                entry["dataset"]["name"],
                entry["dataset"]["digest"],
                entry["dataset"]["sourceType"],
                entry["dataset"]["source"],
                entry["dataset"].get("schema"),
                entry["dataset"].get("profile"),
            ),
            [
                InputTag(key, value)
                for key, value in {
                    **entry.get("tags", {}),
                    **({"mlflow.data.context": entry["context"]} if "context" in entry else {}),
                }.items()
            ],
        )
        for entry in datasets
    ]
    if modelIds:
        from mlflow.entities import LoggedModelInput

        client.log_inputs(runId, inputs, [LoggedModelInput(model_id) for model_id in modelIds])
    else:
        client.log_inputs(runId, inputs)


def search_runs(
    experimentIds, filterString="", orderBy=None, maxResults=1000, viewType="ACTIVE_ONLY"
):
    view = ViewType.from_string(viewType.lower())
    return [
        [found.info.run_id for found in page]
        for page in pages(
            lambda token: client.search_runs(
                experimentIds, filterString, view, maxResults, orderBy, token
            )
        )
    ]


def get_parent_run(runId):
    parent = client.get_parent_run(runId)
    return None if parent is None else parent.info.run_id


LOG = {
    "logMetric": lambda key, value, step: mlflow.log_metric(key, float(value), step),
    "logMetrics": lambda metrics, step: mlflow.log_metrics(
        {key: float(value) for key, value in metrics.items()}, step
    ),
    "logParam": mlflow.log_param,
    "logParams": mlflow.log_params,
    "setTag": mlflow.set_tag,
    "setTags": mlflow.set_tags,
    "deleteTag": mlflow.delete_tag,
    "logText": mlflow.log_text,
    "logDict": mlflow.log_dict,
}


def within_run(options, body, nested=(), fails=False, endsAs=None, isNested=False):
    arguments = {
        "run_id": options.get("runId"),
        "run_name": options.get("runName"),
        "experiment_id": options.get("experimentId"),
        "parent_run_id": options.get("parentRunId"),
        "description": options.get("description"),
        "tags": options.get("tags"),
        "nested": isNested,
    }
    with mlflow.start_run(**arguments) as run:
        made.append(run.info.run_id)
        # Two runs that begin at one moment come in any order.
        time.sleep(0.003)
        for name, *values in body:
            LOG[name](*values)
        for inner in nested:
            within_run(**inner, isNested=True)
        if fails:
            raise BodyFails("as it was asked to")
        if endsAs is not None:
            mlflow.end_run(endsAs)


def fluent_run(run):
    try:
        within_run(**run)
    except BodyFails:
        return "the body failed"
    finally:
        while mlflow.active_run() is not None:
            mlflow.end_run("KILLED")
    return "the body ended"


# ── artifacts ─────────────────────────────────────────────────────────────────────────────────────


def write_files(folder, files):
    for path, content in files.items():
        target = os.path.join(folder, *path.split("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(base64.b64decode(content))


def log_bytes(runId, content, artifactFile):
    """As the artifact of a file, which is how this client takes bytes."""
    folder, _, name = artifactFile.rpartition("/")
    with tempfile.TemporaryDirectory() as source:
        write_files(source, {name: content})
        client.log_artifact(runId, os.path.join(source, name), folder or None)


def log_artifacts(runId, files, artifactPath=None):
    with tempfile.TemporaryDirectory() as source:
        write_files(source, files)
        client.log_artifacts(runId, source, artifactPath)


def bytes_below(path, root):
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            full = os.path.join(folder, name)
            with open(full, "rb") as file:
                content = base64.b64encode(file.read()).decode()
            found[os.path.relpath(full, root).replace(os.sep, "/")] = content
    return found


def download_artifacts(runId, path=""):
    with tempfile.TemporaryDirectory() as target:
        local = client.download_artifacts(runId, path, target)
        if os.path.isdir(local):
            return bytes_below(local, local)
        with open(local, "rb") as file:
            return base64.b64encode(file.read()).decode()


def load_text(uri):
    return mlflow.artifacts.load_text(uri)


def load_dict(uri):
    return mlflow.artifacts.load_dict(uri)


# ── registry ──────────────────────────────────────────────────────────────────────────────────────


def create_version(
    name, source, runId=None, description=None, tags=None, runLink=None, modelId=None
):
    more = {} if modelId is None else {"model_id": modelId}
    return version_of(
        client.create_model_version(name, source, runId, tags, runLink, description, **more)
    )


def search_models(filterString=None, orderBy=None, maxResults=100):
    return [
        [found.name for found in page]
        for page in pages(
            lambda token: client.search_registered_models(filterString, maxResults, orderBy, token)
        )
    ]


def search_versions(filterString=None, orderBy=None, maxResults=1000):
    return [
        [f"{found.name} {found.version}" for found in page]
        for page in pages(
            lambda token: client.search_model_versions(filterString, maxResults, orderBy, token)
        )
    ]


# ── logged models ─────────────────────────────────────────────────────────────────────────────────


def create_logged_model(experimentId, name=None, sourceRunId=None, modelType=None, **more):
    model = client.create_logged_model(
        experimentId, name, sourceRunId, more.get("tags"), more.get("params"), modelType
    )
    made.append(model.model_id)
    return logged_model_of(model)


def finalize_logged_model(modelId, status):
    """In this client's own word for the status."""
    own = {name: own for own, name in STATUS_OF_MODEL.items()}
    return logged_model_of(client.finalize_logged_model(modelId, own.get(status, status)))


def log_outputs(runId, models):
    from mlflow.entities import LoggedModelOutput

    client.log_outputs(
        runId, [LoggedModelOutput(model["modelId"], model["step"]) for model in models]
    )


def search_logged_models(experimentIds, filterString=None, orderBy=None, maxResults=50):
    order = orderBy and [
        {"field_name": one["fieldName"], "ascending": one["ascending"]} for one in orderBy
    ]
    return [
        [found.model_id for found in page]
        for page in pages(
            lambda token: client.search_logged_models(
                experimentIds, filterString, None, maxResults, order, token
            )
        )
    ]


# ── all that a place holds ────────────────────────────────────────────────────────────────────────


def all_of(search):
    return [found for page in pages(search) for found in page]


def files_of(run_id, path=None):
    found = []
    for entry in client.list_artifacts(run_id, path):
        found.append(file_of(entry))
        if entry.is_dir:
            found += files_of(run_id, entry.path)
    return found


def whole_run(stored, has_files):
    run_id = stored.info.run_id
    files = files_of(run_id) if has_files else []
    return {
        **run_of(client.get_run(run_id)),
        "asFound": run_of(stored),
        "history": {
            key: [point_of(point) for point in client.get_metric_history(run_id, key)]
            for key in stored.data.metrics
        },
        "files": files,
        "contents": download_artifacts(run_id) if files else {},
    }


def read_all(place, runsWithFiles, hasLoggedModels):
    experiments = all_of(
        lambda token: client.search_experiments(
            ViewType.ALL, 1000, f"name LIKE '{place}%'", None, token
        )
    )
    ids = [stored.experiment_id for stored in experiments]
    runs = all_of(lambda token: client.search_runs(ids, "", ViewType.ALL, 1000, None, token))
    models = all_of(
        lambda token: client.search_registered_models(f"name LIKE '{place}%'", 100, None, token)
    )
    return {
        "experiments": [experiment_of(stored) for stored in experiments],
        "runs": [whole_run(stored, stored.info.run_id in runsWithFiles) for stored in runs],
        "models": [
            {
                **model_of(client.get_registered_model(stored.name)),
                "asFound": model_of(stored),
                "versions": [
                    version_of(found)
                    for found in client.search_model_versions(f"name = '{stored.name}'")
                ],
            }
            for stored in models
        ],
        "loggedModels": [
            logged_model_of(stored)
            for stored in all_of(
                lambda token: client.search_logged_models(ids, max_results=50, page_token=token)
            )
        ]
        if hasLoggedModels and ids
        else [],
    }


CALLS = {
    "createExperiment": create_experiment,
    "getExperiment": lambda experimentId: experiment_of(client.get_experiment(experimentId)),
    "getExperimentByName": get_experiment_by_name,
    "renameExperiment": lambda experimentId, name: client.rename_experiment(experimentId, name),
    "setExperimentTag": lambda experimentId, key, value: client.set_experiment_tag(
        experimentId, key, value
    ),
    "deleteExperimentTag": lambda experimentId, key: client.delete_experiment_tag(
        experimentId, key
    ),
    "deleteExperiment": lambda experimentId: client.delete_experiment(experimentId),
    "restoreExperiment": lambda experimentId: client.restore_experiment(experimentId),
    "searchExperiments": search_experiments,
    "createRun": create_run,
    "getRun": lambda runId: run_of(client.get_run(runId)),
    "getParentRun": get_parent_run,
    "updateRun": lambda runId, status=None, runName=None: client.update_run(
        runId, status, runName
    ),
    "setTerminated": lambda runId, status=None, endTime=None: client.set_terminated(
        runId, status, endTime
    ),
    "deleteRun": lambda runId: client.delete_run(runId),
    "restoreRun": lambda runId: client.restore_run(runId),
    "logMetric": log_metric,
    "logParam": log_param,
    "setTag": lambda runId, key, value: client.set_tag(runId, key, value),
    "deleteTag": lambda runId, key: client.delete_tag(runId, key),
    "logBatch": log_batch,
    "logInputs": log_inputs,
    "searchRuns": search_runs,
    "getMetricHistory": lambda runId, key: [
        point_of(point) for point in client.get_metric_history(runId, key)
    ],
    "fluentRun": fluent_run,
    "logText": lambda runId, text, artifactFile: client.log_text(runId, text, artifactFile),
    "logDict": lambda runId, dictionary, artifactFile: client.log_dict(
        runId, dictionary, artifactFile
    ),
    "logBytes": log_bytes,
    "logArtifacts": log_artifacts,
    "listArtifacts": lambda runId, path=None: [
        file_of(entry) for entry in client.list_artifacts(runId, path)
    ],
    "downloadArtifacts": download_artifacts,
    "loadText": load_text,
    "loadDict": load_dict,
    "createRegisteredModel": lambda name, description=None, tags=None: model_of(
        client.create_registered_model(name, tags, description)
    ),
    "getRegisteredModel": lambda name: model_of(client.get_registered_model(name)),
    # This client does not tell what it renamed.
    "renameRegisteredModel": lambda name, newName: client.rename_registered_model(name, newName)
    and None,
    "updateRegisteredModel": lambda name, description: model_of(
        client.update_registered_model(name, description)
    ),
    "deleteRegisteredModel": lambda name: client.delete_registered_model(name),
    "setRegisteredModelTag": lambda name, key, value: client.set_registered_model_tag(
        name, key, value
    ),
    "deleteRegisteredModelTag": lambda name, key: client.delete_registered_model_tag(name, key),
    "setRegisteredModelAlias": lambda name, alias, version: client.set_registered_model_alias(
        name, alias, version
    ),
    "deleteRegisteredModelAlias": lambda name, alias: client.delete_registered_model_alias(
        name, alias
    ),
    "getModelVersionByAlias": lambda name, alias: version_of(
        client.get_model_version_by_alias(name, alias)
    ),
    "getLatestVersions": lambda name, stages=None: [
        version_of(found) for found in client.get_latest_versions(name, stages)
    ],
    "createModelVersion": create_version,
    "registerModel": lambda modelUri, name, tags=None: version_of(
        mlflow.register_model(modelUri, name, tags=tags)
    ),
    "copyModelVersion": lambda modelUri, newName: version_of(
        client.copy_model_version(modelUri, newName)
    ),
    "getModelVersion": lambda name, version: version_of(client.get_model_version(name, version)),
    "getModelVersionDownloadUri": lambda name, version: client.get_model_version_download_uri(
        name, version
    ),
    "updateModelVersion": lambda name, version, description: version_of(
        client.update_model_version(name, version, description)
    ),
    "transitionModelVersionStage": lambda name, version, stage, archive: version_of(
        client.transition_model_version_stage(name, version, stage, archive)
    ),
    "deleteModelVersion": lambda name, version: client.delete_model_version(name, version),
    "setModelVersionTag": lambda name, version, key, value: client.set_model_version_tag(
        name, version, key, value
    ),
    "deleteModelVersionTag": lambda name, version, key: client.delete_model_version_tag(
        name, version, key
    ),
    "searchRegisteredModels": search_models,
    "searchModelVersions": search_versions,
    "createLoggedModel": create_logged_model,
    "getLoggedModel": lambda modelId: logged_model_of(client.get_logged_model(modelId)),
    "finalizeLoggedModel": finalize_logged_model,
    "deleteLoggedModel": lambda modelId: client.delete_logged_model(modelId),
    "setLoggedModelTags": lambda modelId, tags: client.set_logged_model_tags(modelId, tags),
    "deleteLoggedModelTag": lambda modelId, key: client.delete_logged_model_tag(modelId, key),
    "logModelParams": lambda modelId, params: client.log_model_params(modelId, params),
    "logOutputs": log_outputs,
    "searchLoggedModels": search_logged_models,
    "readAll": read_all,
}


def perform(call, values):
    made.clear()
    try:
        return {"answer": CALLS[call](**values), "made": list(made)}
    except MlflowException as error:
        return {"error": error.error_code, "message": str(error), "made": list(made)}
    except Exception as error:  # Told apart from MLflow's own, and judged by whoever compares.
        name = type(error).__name__
        return {"error": f"Python's {name}", "message": str(error), "made": list(made)}


for line in sys.stdin:
    answers.write(json.dumps(perform(**json.loads(line)), default=str) + "\n")
    answers.flush()
