"""A real scikit-learn fit under autologging, a logged and registered model, and a trace; prints what is there."""
import json
import sys

import mlflow
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri(sys.argv[1])
name = sys.argv[2]
experiment = mlflow.set_experiment(name)
mlflow.sklearn.autolog(log_datasets=False)
features, labels = [[0.0], [0.2], [0.8], [1.0]], [0, 0, 1, 1]
model = LogisticRegression().fit(features, labels)
run = mlflow.last_active_run()
mlflow.sklearn.autolog(disable=True)
with mlflow.start_run(run_id=run.info.run_id):
    logged = mlflow.sklearn.log_model(model, name="again", registered_model_name=name)
with mlflow.start_span("work") as span:
    span.set_inputs({"x": 1})
    span.set_outputs({"y": 2})
mlflow.flush_trace_async_logging()
loaded = mlflow.sklearn.load_model(f"models:/{name}/1")
read = mlflow.get_run(run.info.run_id)
print(
    json.dumps(
        {
            "run": run.info.run_id,
            "metrics": sorted(read.data.metrics),
            "params": len(read.data.params),
            "team": read.data.tags.get("genops.team"),
            "predicted": [int(value) for value in loaded.predict(features)],
            "traces": len(
                mlflow.search_traces(
                    locations=[experiment.experiment_id], return_type="list"
                )
            ),
        }
    )
)
