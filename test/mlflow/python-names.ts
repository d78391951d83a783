// What Python's client offers under a name, and what it is here: another name, or why there is none.

/** Ours: a name of `mlflow`, `mlflow.…`, or a method of `MlflowClient`. */
export type Counterpart = { readonly ours: string } | { readonly none: string };

const TRACES =
  "traces are written with OpenTelemetry, or with MLflow's own package for traces, mlflow-tracing";
const ASSESSMENTS = "assessments belong to traces, which this client does not write";
const PROMPTS = "the prompt registry is a part of MLflow's GenAI tools";
const EVALUATION = "evaluation runs Python's own models and scorers";
const EVALUATION_DATASETS = "evaluation datasets are a part of MLflow's GenAI tools";
const MCP = "the registry of MCP servers is a part of MLflow's GenAI tools";
const SYSTEM_METRICS = "system metrics come from the runtime's own tools, logged with logMetrics";
const ADMINISTRATION = "workspaces and webhooks are administered with Python or MLflow's pages";
const PYTHON = "it is about Python itself";

const none = (reason: string, ...names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, { none: reason }]));
const ours = (names: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(names).map(([name, own]) => [name, { ours: own }]));

/**
 * By module or class. A name that is not here is the same in camel case; whoever adds one to Python's
 * client is noticed because there is none of that name.
 */
export const COUNTERPARTS: Readonly<Record<string, Readonly<Record<string, Counterpart>>>> = {
  mlflow: {
    ...ours({
      MlflowException: "MlflowError",
      ActiveModel: "setActiveModel",
      ActiveRun: "startRun",
      log_stream: "logBytes",
      autolog: "tensorflow.autolog",
    }),
    ...none(
      TRACES,
      ...["add_trace", "delete_trace_tag", "flush_trace_async_logging", "get_active_trace_id"],
      ...["get_current_active_span", "get_last_active_trace_id", "get_trace", "log_trace"],
      ...["search_sessions", "search_traces", "set_trace_tag", "start_span", "trace"],
      ...["start_span_no_context", "update_current_trace", "context"],
    ),
    ...none(
      ASSESSMENTS,
      ...["delete_assessment", "get_assessment", "log_assessment", "log_expectation"],
      ...["log_feedback", "log_issue", "override_feedback", "update_assessment"],
    ),
    ...none(
      PROMPTS,
      ...["delete_prompt_alias", "load_prompt", "register_prompt", "search_prompts"],
      "set_prompt_alias",
    ),
    ...none(EVALUATION, "evaluate", "validate_evaluation_results"),
    ...none(
      SYSTEM_METRICS,
      ...["disable_system_metrics_logging", "enable_system_metrics_logging"],
      ...["set_system_metrics_node_id", "set_system_metrics_samples_before_logging"],
      "set_system_metrics_sampling_interval",
    ),
    ...none(
      ADMINISTRATION,
      ...["create_workspace", "delete_workspace", "get_workspace", "list_workspaces"],
      "update_workspace",
    ),
    ...none(PYTHON, "doctor", "pyfunc", "run", "test"),
    Image: { none: "logImage takes the bytes of a picture, so that no library is chosen for it" },
    flush_artifact_async_logging: {
      none: "what writes an artifact resolves when the store has it; nothing is left to flush",
    },
    gateway: { none: "it is the client of MLflow's AI gateway, which speaks OpenAI's language" },
    import_checkpoints: { none: "it works inside a Databricks runtime only" },
    login: { none: "it asks at a console; see DATABRICKS_HOST and ~/.databrickscfg" },
  },
  MlflowClient: {
    ...ours({ log_stream: "logBytes" }),
    ...none(
      TRACES,
      ...["delete_trace_tag", "delete_traces", "end_span", "end_trace", "get_trace"],
      ...["link_traces_to_run", "search_traces", "set_trace_tag", "start_span", "start_trace"],
      "unlink_traces_from_run",
    ),
    ...none(
      PROMPTS,
      ...["create_prompt", "create_prompt_version", "delete_prompt", "delete_prompt_alias"],
      ...["delete_prompt_tag", "delete_prompt_version", "delete_prompt_version_tag"],
      ...["detach_prompt_from_run", "get_prompt", "get_prompt_version", "load_prompt"],
      ...["get_prompt_version_by_alias", "link_prompt_version_to_model"],
      ...["link_prompt_version_to_run", "link_prompt_versions_to_trace", "list_logged_prompts"],
      ...["parse_prompt_uri", "register_prompt", "search_prompt_versions", "search_prompts"],
      ...["set_prompt_alias", "set_prompt_tag", "set_prompt_version_tag"],
    ),
    ...none(
      EVALUATION_DATASETS,
      ...["add_dataset_to_experiments", "create_dataset", "delete_dataset", "delete_dataset_tag"],
      ...["get_dataset", "remove_dataset_from_experiments", "search_datasets"],
      "set_dataset_tags",
    ),
    ...none(
      MCP,
      ...["create_mcp_access_endpoint", "create_mcp_server", "create_mcp_server_version"],
      ...["delete_mcp_access_endpoint", "delete_mcp_server", "delete_mcp_server_alias"],
      ...["delete_mcp_server_tag", "delete_mcp_server_version", "delete_mcp_server_version_tag"],
      ...["get_latest_mcp_server_version", "get_mcp_access_endpoint", "get_mcp_server"],
      ...["get_mcp_server_version", "get_mcp_server_version_by_alias"],
      ...["refresh_mcp_server_version_tools", "search_mcp_access_endpoints"],
      ...["search_mcp_server_versions", "search_mcp_servers", "set_mcp_server_alias"],
      ...["set_mcp_server_tag", "set_mcp_server_version_tag", "update_mcp_access_endpoint"],
      ...["update_mcp_server", "update_mcp_server_version"],
    ),
    ...none(
      ADMINISTRATION,
      ...["create_webhook", "delete_webhook", "get_webhook", "list_webhooks", "test_webhook"],
      ...["update_webhook", "create_workspace", "delete_workspace", "get_workspace"],
      ...["get_workspace_store_uri", "list_workspaces", "update_workspace"],
    ),
  },
  "mlflow.artifacts": {},
  "mlflow.data": {
    ...ours({
      from_pandas: "data.fromRows",
      from_numpy: "data.fromTensors",
      from_tensorflow: "data.fromTensors",
    }),
    ...none(
      "data.fromSource notes where it is; to read it is the program's own work",
      ...["from_huggingface", "from_spark", "load_delta", "get_source"],
    ),
  },
  "mlflow.config": none(
    SYSTEM_METRICS,
    ...["disable_system_metrics_logging", "enable_system_metrics_logging"],
    ...["set_system_metrics_node_id", "set_system_metrics_samples_before_logging"],
    "set_system_metrics_sampling_interval",
  ),
};
