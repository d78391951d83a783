// What the path of a request says beside its operation: the route that it is one of, and what is kept where.
const ARTIFACTS = /^\/(?:ajax-)?api\/2\.0\/mlflow-artifacts\/(artifacts|mpu\/\w+)\/(.+)$/;
const FAMILY = /^\/ajax-api\//;
const ID = /^[a-zA-Z0-9][\w-]{0,255}$/;
/** As MLflow's servers make the ids of runs. */
const RUN_ID = /^[0-9a-f]{32}$/;

/** Routes with parameters, of which a message needs the values. */
const TEMPLATES: readonly (readonly [RegExp, string])[] = [
  [/\/logged-models\/(?!search$)(?<model_id>[^/]+)/, "/logged-models/{model_id}"],
  [/\/traces\/(?<trace_id>tr-[^/]+)/, "/traces/{trace_id}"],
  [/\/datasets\/(?<dataset_id>d-[^/]+)/, "/datasets/{dataset_id}"],
];

export interface Route {
  /** As the proto files name it, below `/api`. */
  readonly route: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The route of a canonical path. */
export function routeOf(path: string): Route {
  const own = path.replace(FAMILY, "/api/");
  const artifact = ARTIFACTS.exec(own);
  if (artifact !== null) {
    const [, kind, rest = ""] = artifact;
    const route = `/api/2.0/mlflow-artifacts/${kind}/{path}`;
    return { route, parameters: { path: rest } };
  }
  for (const [pattern, template] of TEMPLATES) {
    const found = pattern.exec(own);
    if (found === null) continue;
    return { route: own.replace(pattern, () => template), parameters: { ...found.groups } };
  }
  return { route: own, parameters: {} };
}

/** Whose an artifact is, by where it lies on the server. */
export interface ArtifactPlace {
  readonly experimentId?: string | undefined;
  readonly runId?: string | undefined;
  readonly modelId?: string | undefined;
  /** Below the artifacts of its owner. */
  readonly artifactPath: string;
}

/**
 * Reads MLflow's layout, `<experiment>/<run>/artifacts/…` and `<experiment>/models/<model>/artifacts/…`;
 * below a root of somebody's own choice a run is known by its id alone.
 */
export function placeOfArtifact(path: string): ArtifactPlace {
  const segments = path.split("/");
  const at = segments.indexOf("artifacts", 2);
  const owner = segments[at - 1];
  if (at < 0 || owner === undefined || at === segments.length - 1) return { artifactPath: path };
  const artifactPath = segments.slice(at + 1).join("/");
  const kind = segments[at - 2];
  if (kind === "models" || kind === "traces") {
    const experimentId = at === 3 ? segments[0] : undefined;
    return { experimentId, ...(kind === "models" && { modelId: owner }), artifactPath };
  }
  const isOwn = at === 2 && kind !== undefined && ID.test(kind) && ID.test(owner);
  if (isOwn) return { experimentId: kind, runId: owner, artifactPath };
  return { runId: RUN_ID.test(owner) ? owner : undefined, artifactPath };
}

/** Folders of an experiment that hold what is no run's. */
const KINDS: readonly string[] = ["models", "traces"];
const EXPERIMENT = /^\d+$/;

/** Whose a file or a folder is, also where it lies beside the artifacts of its owner, or above them. */
export function ownerOfFolder(path: string): Pick<ArtifactPlace, "runId" | "modelId"> {
  const segments = path.split("/").filter((segment) => segment !== "");
  const own = segments.join("/");
  for (const each of [own, `${own}/any`]) {
    const { runId, modelId } = placeOfArtifact(each);
    if (runId !== undefined || modelId !== undefined) return { runId, modelId };
  }
  const [experiment = "", second = "", third] = segments;
  if (EXPERIMENT.test(experiment) && KINDS.includes(second)) {
    return second === "models" ? { modelId: third } : {};
  }
  return { runId: segments.findLast((segment) => RUN_ID.test(segment)) };
}

/** Is a folder one of MLflow's that hold what belongs to many? A file of that name is in the way of them all. */
export function isOfMany(path: string): boolean {
  const [first = "", second, ...rest] = path.split("/").filter((segment) => segment !== "");
  if (second === undefined) return true;
  return EXPERIMENT.test(first) && KINDS.includes(second) && rest.length === 0;
}
