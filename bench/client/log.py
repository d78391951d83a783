"""Logs metrics with MLflow's own client for Python; tells how long it took."""
import json
import os
import sys
import time

import mlflow

run_id = os.environ["RUN"]
count = int(os.environ["COUNT"])
is_async = os.environ["CLIENT"] != "python-awaiting"

with mlflow.start_run(run_id=run_id):
    started = time.perf_counter()
    for step in range(count):
        mlflow.log_metric("loss", 1 / (step + 1), step=step, synchronous=not is_async)
    if is_async:
        mlflow.flush_async_logging()
    milliseconds = (time.perf_counter() - started) * 1000
sys.stdout.write("\n" + json.dumps({"milliseconds": milliseconds}) + "\n")
