"""Writes and reads a run's artifacts with Python's own client: write|read <tracking uri> <run id> <folder>."""

import hashlib
import json
import os
import sys

import mlflow

action, tracking_uri, run_id, folder = sys.argv[1:]
client = mlflow.MlflowClient(tracking_uri)
mlflow.set_tracking_uri(tracking_uri)

if action == "write":
    client.log_artifacts(run_id, folder, "from python")
    client.log_text(run_id, "größe\n", "text ü.txt")
    print(json.dumps({}))
else:
    local = client.download_artifacts(run_id, "", folder)
    sums = {}
    for root, _, names in os.walk(local):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                content = file.read()
            sums[os.path.relpath(path, local)] = [len(content), hashlib.sha256(content).hexdigest()]
    listed = [[f.path, f.is_dir, f.file_size] for f in client.list_artifacts(run_id, "from typescript")]
    one = mlflow.artifacts.load_text(f"runs:/{run_id}/from typescript/note.txt")
    print(json.dumps({"sums": sums, "listed": listed, "one": one}))
