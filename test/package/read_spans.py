"""Prints, as JSON, the spans that an MLflow server holds in one experiment."""

import json
import sys

from mlflow.tracking import MlflowClient

client = MlflowClient(sys.argv[1])
spans = []
for trace in client.search_traces(locations=[sys.argv[2]], include_spans=True):
    for span in trace.data.spans:
        spans.append(
            {
                "name": span.name,
                "id": span.span_id,
                "parent": span.parent_id,
                "attributes": span.attributes,
                "events": [event.name for event in span.events],
            }
        )
print(json.dumps(spans))
