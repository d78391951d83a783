// Splits what is logged together into requests a server accepts.
// Source: limits in mlflow/utils/validation.py, order in mlflow/tracking/_tracking_service/client.py.
import type { KeyValueMessage, LogBatchRequest, MetricMessage } from "./spec.js";

/** Most params, and most tags, in one request. */
export const MAX_PARAMS_OR_TAGS_PER_BATCH = 100;
/** Most metrics in one request, and most metrics, params and tags together. */
export const MAX_ENTITIES_PER_BATCH = 1000;

export interface BatchContent {
  readonly metrics: readonly MetricMessage[];
  readonly params: readonly KeyValueMessage[];
  readonly tags: readonly KeyValueMessage[];
}

/** The requests that carry `content`, in order; none when there is nothing to log. */
export function splitIntoBatches(runId: string, content: BatchContent): LogBatchRequest[] {
  const { metrics, params, tags } = content;
  const requests: LogBatchRequest[] = [];
  let metric = 0;
  for (
    let start = 0;
    start < params.length || start < tags.length || metric < metrics.length;
    start += MAX_PARAMS_OR_TAGS_PER_BATCH
  ) {
    const end = start + MAX_PARAMS_OR_TAGS_PER_BATCH;
    const someParams = params.slice(start, end);
    const someTags = tags.slice(start, end);
    const room = MAX_ENTITIES_PER_BATCH - someParams.length - someTags.length;
    const someMetrics = metrics.slice(metric, metric + room);
    metric += someMetrics.length;
    requests.push({
      run_id: runId,
      ...(someMetrics.length > 0 && { metrics: someMetrics }),
      ...(someParams.length > 0 && { params: someParams }),
      ...(someTags.length > 0 && { tags: someTags }),
    });
  }
  return requests;
}
