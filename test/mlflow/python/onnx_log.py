"""Logs a small ONNX model as Python's MLflow does, and prints its URI."""

import json
import sys

import mlflow
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

uri, path, experiment = sys.argv[1:]
mlflow.set_tracking_uri(uri)
mlflow.set_experiment(experiment)
tensor = TensorSpec(np.dtype("float32"), (-1, 2), "x")
info = mlflow.onnx.log_model(
    onnx.load(path),
    name="linear",
    signature=ModelSignature(inputs=Schema([tensor])),
    # Told, so that they are not found out by loading the model.
    pip_requirements=["mlflow", "onnx", "onnxruntime"],
    metadata={"owner": "größe", "rate": 0.5, "yes": "no", "nothing": None},
)
print(
    json.dumps(
        {
            "uri": info.model_uri,
            "uuid": info.model_uuid,
            "run": info.run_id,
            "created": info.utc_time_created,
            "version": info.mlflow_version,
        }
    )
)
