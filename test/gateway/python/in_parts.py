"""Logs a large file and a small one; the large one goes in parts where the server and the environment say so."""
import hashlib
import json
import os
import sys
import tempfile

import mlflow

mlflow.set_tracking_uri(sys.argv[1])
path = os.path.join(tempfile.mkdtemp(), "large.bin")
data = os.urandom(int(sys.argv[3]))
with open(path, "wb") as file:
    file.write(data)
with mlflow.start_run(experiment_id=sys.argv[2]) as run:
    mlflow.log_artifact(path, "dir")
    mlflow.log_text("small", "small.txt")
back = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="dir/large.bin")
with open(back, "rb") as file:
    same = hashlib.sha256(file.read()).digest() == hashlib.sha256(data).digest()
print(json.dumps({"run": run.info.run_id, "same": same}))
