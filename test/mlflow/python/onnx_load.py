"""Loads a logged ONNX model by its URI, and prints what it is and what it predicts."""

import json
import sys

import mlflow
import numpy as np
from mlflow.models import Model
from mlflow.models.utils import load_serving_example

uri, model_uri = sys.argv[1:]
mlflow.set_tracking_uri(uri)
mlflow.set_registry_uri(uri)

loaded = mlflow.onnx.load_model(model_uri)
function = mlflow.pyfunc.load_model(model_uri)
info = mlflow.models.get_model_info(model_uri)
example = info.load_input_example() if hasattr(info, "load_input_example") else None
model = Model.load(model_uri)
local = mlflow.artifacts.download_artifacts(model_uri)
sample = np.array([[1, 2], [3, 4], [0, 0]], dtype=np.float32)
print(
    json.dumps(
        {
            "graph": loaded.graph.name,
            "predicted": function.predict({"x": sample})["y"].tolist(),
            "inputs": info.signature.inputs.to_dict(),
            "outputs": info.signature.outputs.to_dict(),
            "metadata": info.metadata,
            "model_id": model.model_id,
            "model_uuid": model.model_uuid,
            "run_id": model.run_id,
            "flavors": sorted(model.flavors),
            "size": model.model_size_bytes,
            "mlflow_version": model.mlflow_version,
            "utc_time_created": str(model.utc_time_created),
            "example": model.load_input_example(local)["x"].tolist(),
            "serving": json.loads(load_serving_example(local)),
        }
    )
)
