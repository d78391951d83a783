// The one table of MLflow operations: route → operation → class and price.
//
// Source: MLflow's protobuf services (tracking, registry, artifacts, webhooks) and its server's
// hand-written routes, releases 2.9 to 3.17. Lines of the table:
//   #CLASS PRICE         begins a class; price tracking | registry | free | unknown, or look: free, not counted;
//                        or start: as tracking, and it starts a run
//   >BASE PREFIX         what the following routes share; bases are listed in routes.ts
//   METHODS ROUTE NAME   `{}` is one segment, `{*}` all that follow; a route of `-` is the prefix
// Methods: G get, P post, U put, A patch, D delete.
import * as at from "./layout";
import { ascii } from "./ascii";
import { same } from "./bytes";
import { addRoute, BASES } from "./routes";
import { operationAt } from "./pricing";

/** Class names by id; the host reads them once. */
export const CLASSES: usize = ascii(`other run-lifecycle tracking-write tracking-read experiment-write artifact-write artifact-read model-log registry-write registry-read trace-write trace-read admin`);

const TABLE: usize = ascii(`#other unknown
P - unknown_write
#other look
G - unknown_read
#run-lifecycle start
>2 runs/
P create create_run
P create-promptlab-run create_promptlab_run
#run-lifecycle tracking
P delete delete_run
P restore restore_run
#run-lifecycle look
P update update_run
#tracking-write tracking
P log-metric log_metric
P log-parameter log_param
P set-tag set_tag
P delete-tag delete_tag
P log-batch log_batch
P log-inputs log_inputs
#model-log free
P outputs log_outputs
P log-model record_logged_model
#tracking-read look
G get get_run
P search search_runs
>2 metrics/
G get-history get_metric_history
G get-history-bulk get_metric_history
G get-history-bulk-interval get_metric_history
>2 experiments/
GP search search_experiments
G list search_experiments
G get get_experiment
G get-by-name get_experiment_by_name
P search-datasets search_datasets
#experiment-write tracking
P create create_experiment
P update update_experiment
P delete delete_experiment
P restore restore_experiment
P set-experiment-tag set_experiment_tag
P delete-experiment-tag delete_experiment_tag
#artifact-read look
>2 artifacts/
G list list_artifacts
P presigned-download-url presign_download
>A artifacts
G - list_artifacts
G {*} download_artifact
>A -
G presigned/{*} presign_download
G mpd/presigned/{*} presign_download
>/ -
G get-artifact download_artifact
G model-versions/get-artifact download_artifact
#artifact-write free
>2 -
P artifacts/presigned-upload-url presign_upload
P upload-artifact log_artifact
>A -
U artifacts/{*} log_artifact
D artifacts/{*} delete_artifact
P mpu/create/{*} create_multipart_upload
P mpu/complete/{*} complete_multipart_upload
P mpu/abort/{*} abort_multipart_upload
#model-log free
>2 logged-models
P - create_logged_model
A {} finalize_logged_model
D {} delete_logged_model
A {}/tags set_logged_model_tags
D {}/tags/{} delete_logged_model_tag
P {}/params log_logged_model_params
#tracking-read look
G {} get_logged_model
P search search_logged_models
#artifact-read look
G {}/artifacts/directories list_artifacts
G {}/artifacts/files download_artifact
#registry-write free
>2 registered-models/
P create create_registered_model
#registry-write registry
P rename rename_registered_model
A update update_registered_model
D delete delete_registered_model
P alias set_registered_model_alias
D alias delete_registered_model_alias
P set-tag set_registered_model_tag
D delete-tag delete_registered_model_tag
>2 model-versions/
P create create_model_version
A update update_model_version
P transition-stage transition_model_version_stage
D delete delete_model_version
P set-tag set_model_version_tag
D delete-tag delete_model_version_tag
#registry-read look
G get get_model_version
G search search_model_versions
G get-download-uri get_model_version_download_uri
>2 registered-models/
G get get_registered_model
G search search_registered_models
GP get-latest-versions get_latest_versions
G alias get_model_version_by_alias
#trace-write unknown
>2 traces
P - start_trace
A {} end_trace
A {}/tags set_trace_tag
D {}/tags delete_trace_tag
P delete-traces delete_traces
P link-to-run link_traces_to_run
P link-prompts link_prompts_to_trace
>3 traces
P - start_trace
A {}/tags set_trace_tag
D {}/tags delete_trace_tag
P delete-traces delete_traces
P {}/assessments create_assessment
A {}/assessments/{} update_assessment
D {}/assessments/{} delete_assessment
>3 issues
P - create_issue
A {} update_issue
>/ v1/
P traces export_spans
#trace-read look
>2 traces
G - search_traces
G {}/info get_trace_info
>3 traces
G {} get_trace
G get get_trace
G batchGet get_traces
P batchGetInfos get_trace_infos
P search search_traces
P metrics query_trace_metrics
P calculate-filter-correlation query_trace_metrics
G {}/assessments/{} get_assessment
>3 issues/
G {} get_issue
P search search_issues
>2 -
G get-trace-artifact get_trace_artifact
G unified-traces search_traces
G get-online-trace-details get_trace
>3 -
G get-trace-artifact get_trace_artifact
#tracking-write tracking
>3 datasets/
P create create_dataset
D {} delete_dataset
A {}/tags set_dataset_tags
D {}/tags/{} delete_dataset_tag
P {}/records upsert_dataset_records
D {}/records delete_dataset_records
P {}/add-experiments add_dataset_experiments
P {}/remove-experiments remove_dataset_experiments
#tracking-read look
GP search search_evaluation_datasets
G {} get_dataset
G {}/records get_dataset_records
G {}/experiment-ids get_dataset_experiments
>3 scorers/
G list list_scorers
G versions list_scorer_versions
G get get_scorer
G online-configs get_online_scorers
#experiment-write tracking
P register register_scorer
D delete delete_scorer
U online-config set_online_scorer
>3 demo/
P generate generate_demo_data
P delete delete_demo_data
>3 label-schemas/
P create create_label_schema
A update update_label_schema
D delete delete_label_schema
#tracking-read look
G get get_label_schema
G get-by-name get_label_schema
G list list_label_schemas
>/ -
GP graphql query_graphql
#registry-write registry
>3 mcp-servers/
PAD {*} write_mcp_server
#registry-read look
G {*} read_mcp_server
#admin unknown
>2 users/
PAD {} write_user
>2 -
PAD experiments/permissions/{*} write_permission
PAD registered-models/permissions/{*} write_permission
PAD webhooks/{*} write_webhook
P webhooks write_webhook
>3 -
P users/permissions/{*} write_permission
PAD roles/{*} write_role
PAD workspaces/{*} write_workspace
P workspaces write_workspace
PADU gateway/{*} write_gateway
#admin look
G users/{*} read_user
G roles/{*} read_role
G workspaces read_workspace
G workspaces/{*} read_workspace
G gateway/{*} read_gateway
>2 -
G users/{} read_user
G experiments/permissions/{*} read_permission
G registered-models/permissions/{*} read_permission
G webhooks read_webhook
G webhooks/{*} read_webhook
#other look
>/ -
G health probe
G version probe
G - probe
G static-files/{*} probe
>3 -
G server-info probe
GP ui-telemetry relay_telemetry
GP prompt-optimization/jobs/search search_prompt_optimizations
G prompt-optimization/jobs/{} get_prompt_optimization
G jobs/{} get_job
G review-queues/{*} read_review_queue
#other unknown
>/ gateway/
PUAD {*} invoke_gateway
>2 -
GP gateway-proxy invoke_gateway
>3 -
P scorer/invoke invoke_scorer
P genai/evaluate/invoke invoke_scorer
P issues/invoke invoke_scorer
P prompt-optimization/jobs optimize_prompt
D prompt-optimization/jobs/{} delete_prompt_optimization
P prompt-optimization/jobs/{}/cancel cancel_prompt_optimization
A jobs/cancel/{} cancel_job
P review-queues/{*} write_review_queue
`);

// Prices of the default table, in atto-USD.
const PRICE_TRACKING: u64 = 100_000_000_000_000;
const PRICE_REGISTRY: u64 = 500_000_000_000_000;

/** Ids of the two operations for what no line names. */
export const UNKNOWN_WRITE: u32 = 0;
export const UNKNOWN_READ: u32 = 1;

@inline
function charAt(text: usize, index: u32): u32 {
  return load<u8>(text + index);
}

/** End of the word that starts at `from`: the next space or line end. */
function wordEnd(text: usize, from: u32): u32 {
  let end = from;
  while (charAt(text, end) > 32) end++;
  return end;
}

/** Which word of a space-separated list this one is. */
function wordIndex(list: usize, word: usize, length: u32): u32 {
  let index: u32 = 0;
  let from: u32 = 0;
  while (charAt(list, from) != 0) {
    const end = wordEnd(list, from);
    if (end - from == length && same(list + from, word, length)) return index;
    from = charAt(list, end) == 0 ? end : end + 1;
    index++;
  }
  return 0;
}

/** Adds an operation; the name lies outside the window (static data, or the name bytes). */
export function addOperation(name: usize, length: u32, classId: u32, traits: u32): i32 {
  const id = at.word(at.H_OPERATIONS);
  if (id >= at.OPERATION_CAPACITY) return -1;
  const operation = operationAt(id);
  store<u32>(operation, classId, at.O_CLASS);
  store<u32>(operation, traits, at.O_TRAITS);
  store<u32>(operation, <u32>name, at.O_NAME);
  store<u32>(operation, length, at.O_LENGTH);
  at.setWord(at.H_OPERATIONS, id + 1);
  return id;
}

function operationNamed(name: usize, length: u32): i32 {
  const count = at.word(at.H_OPERATIONS);
  for (let id: u32 = 0; id < count; id++) {
    const operation = operationAt(id);
    if (load<u32>(operation, at.O_LENGTH) != length) continue;
    if (same(load<u32>(operation, at.O_NAME), name, length)) return id;
  }
  return -1;
}

/** Reads the table into operations and routes. */
export function start(): void {
  const text = TABLE;
  let from: u32 = 0;
  let classId: u32 = 0;
  let traits: u32 = 0;
  let price: u64 = 0;
  let base: u32 = 0;
  let prefix: usize = 0;
  let prefixLength: u32 = 0;
  while (charAt(text, from) != 0) {
    const first = charAt(text, from);
    const end = wordEnd(text, from);
    const second = end + 1;
    const secondEnd = wordEnd(text, second);
    let lineEnd = secondEnd;
    if (first == 0x23 /* # */) {
      classId = wordIndex(CLASSES, text + from + 1, end - from - 1);
      const key = charAt(text, second);
      price = key == 0x74 /* t */ || key == 0x73 /* s */ ? PRICE_TRACKING : key == 0x72 /* r */ ? PRICE_REGISTRY : 0;
      traits = key == 0x75 /* u */ ? 0 : at.TRAIT_PRICED;
      if (key != 0x6c /* l */) traits |= at.TRAIT_COUNTED;
      if (key == 0x73) traits |= at.TRAIT_RUN;
    } else if (first == 0x3e /* > */) {
      base = wordIndex(BASES, text + from + 1, 1);
      prefix = text + second;
      prefixLength = charAt(text, second) == 0x2d /* - */ ? 0 : secondEnd - second;
    } else {
      const nameStart = secondEnd + 1;
      lineEnd = wordEnd(text, nameStart);
      const name = text + nameStart;
      let id = operationNamed(name, lineEnd - nameStart);
      if (id < 0) {
        id = addOperation(name, lineEnd - nameStart, classId, traits);
        store<u64>(operationAt(id), price);
      }
      // The first two lines are the operations that no route leads to.
      if (prefix != 0) {
        const bare = charAt(text, second) == 0x2d;
        const route = text + second;
        for (let m = from; m < end; m++) {
          addRoute(charAt(text, m), base, prefix, prefixLength, route, bare ? 0 : secondEnd - second, id);
        }
      }
    }
    from = lineEnd + 1;
  }
}
