"""A client of the soak in Python, unmodified: works until standard input ends, then prints what it did."""
import json
import random
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

uri, seed, tag_prefix = sys.argv[1], int(sys.argv[2]), sys.argv[3]
draw = random.Random(seed)
acknowledged, unexpected = Counter(), Counter()
calls = 0
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()


def did(count=1, **writes):
    global calls
    calls += count
    acknowledged.update(writes)


def work(folder, serial):
    with mlflow.start_run(run_name=f"python-{serial}") as run:
        did(runs=1)
        mlflow.log_params({f"p{index}": index for index in range(5)})
        did(params=5)
        for step in range(8):
            mlflow.log_metric("loss", draw.random(), step=step)
            did(metrics=1)
            mlflow.log_metrics({"a": draw.random(), "b": draw.random()}, step=step)
            did(metrics=2)
        mlflow.set_tag(f"{tag_prefix}single", "yes")
        did(tags=1)
        mlflow.set_tags({f"{tag_prefix}a": 1, f"{tag_prefix}b": 2})
        did(tags=2)
        for step in range(5):
            mlflow.log_metric("later", step, step=step, synchronous=False)
        mlflow.flush_async_logging()
        did(metrics=5)
        file = Path(folder) / f"file-{serial}.bin"
        file.write_bytes(draw.randbytes(draw.randrange(1024, 300_000)))
        mlflow.log_artifact(str(file), "python")
        did(files=1, bytes=file.stat().st_size)
        file.unlink()
        with mlflow.start_run(run_name="child", nested=True):
            did(runs=1)
            mlflow.log_metric("loss", 0.25)
            did(metrics=1)
            mlflow.log_text("hello", "notes.txt")
            did(files=1, bytes=5)
        did(endedRuns=1)
        mlflow.search_runs(max_results=5, output_format="list")
        did()
    did(endedRuns=1)
    if serial % 5 == 0:
        client = MlflowClient()
        name = f"python-{serial}"
        client.create_registered_model(name)
        did(registeredModels=1)
        client.create_model_version(name, f"runs:/{run.info.run_id}/python", run.info.run_id)
        did(modelVersions=1)


mlflow.set_tracking_uri(uri)
mlflow.set_experiment("soak-python")
did(experiments=1)
serial = 0
with tempfile.TemporaryDirectory() as folder:
    # However short the soak is, it has been done once.
    while serial == 0 or not over.is_set():
        try:
            work(folder, serial)
        except MlflowException as error:
            unexpected[f"Python: {error.error_code}: {error.message}"[:300]] += 1
        serial += 1
print(json.dumps({"acknowledged": acknowledged, "unexpected": unexpected, "calls": calls}))
