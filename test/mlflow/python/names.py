"""Tells the names that Python's client offers, by the module or class that has them."""
import json

import mlflow
import mlflow.artifacts
import mlflow.config
import mlflow.data
from mlflow import MlflowClient


def functions_of(module):
    """What a module without `__all__` defines itself."""
    return [
        name
        for name, value in vars(module).items()
        if callable(value)
        and not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
    ]


print(
    json.dumps(
        {
            "mlflow": sorted(set(mlflow.__all__)),
            "MlflowClient": sorted(name for name in dir(MlflowClient) if not name.startswith("_")),
            "mlflow.artifacts": sorted(functions_of(mlflow.artifacts)),
            "mlflow.data": sorted(mlflow.data.__all__),
            "mlflow.config": sorted(mlflow.config.__all__),
        }
    )
)
