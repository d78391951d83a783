"""Prints what an MLflow server has kept, as its database and its artifact folder say."""
import json
import os
import sqlite3
import sys

folder = sys.argv[1]
database = sqlite3.connect(f"file:{os.path.join(folder, 'mlflow.db')}?mode=ro", uri=True)


def count(table, condition="1", *values):
    (found,) = database.execute(f"SELECT COUNT(*) FROM {table} WHERE {condition}", values).fetchone()
    return found


sizes = [
    os.path.getsize(os.path.join(below, name))
    for below, _, names in os.walk(os.path.join(folder, "artifacts"))
    for name in names
]
print(
    json.dumps(
        {
            # One is there from the beginning.
            "experiments": count("experiments") - 1,
            "runs": count("runs"),
            "endedRuns": count("runs", "status IN ('FINISHED', 'FAILED', 'KILLED')"),
            "deletedRuns": count("runs", "lifecycle_stage = 'deleted'"),
            "metrics": count("metrics"),
            "params": count("params"),
            "tags": count("tags", "key LIKE ? || '%'", sys.argv[2]),
            "registeredModels": count("registered_models"),
            "modelVersions": count("model_versions"),
            "loggedModels": count("logged_models"),
            "files": len(sizes),
            "bytes": sum(sizes),
        }
    )
)
