// Each policy as a rule: which operations it judges, and what it says of one call.
import type { EngineOperation } from "../../engine/index.js";
import { ATTRIBUTE_NAMES, type GovernanceAttributes } from "../attribution.js";
import type { LimitAction } from "../limit-options.js";
import {
  type CustomPolicy,
  POLICY_NAMES,
  type PolicyName,
  type PolicyObjection,
  type PolicyOptions,
  type PolicyRequest,
  patternOf,
} from "./options.js";

/** What a rule finds wrong. */
export interface Violation {
  readonly reasonCode: string;
  readonly field: string;
  readonly reason: string;
}

export interface Rule {
  readonly name: string;
  readonly action: LimitAction;
  /** Asked once for each operation of the table. */
  judges(entry: EngineOperation): boolean;
  violation(request: PolicyRequest): Violation | undefined;
}

type Judgement = Omit<Rule, "name" | "action">;

/** Bytes in a MB of the guide, which is a MiB. */
export const MIB = 2 ** 20;

const ENVIRONMENTS: Readonly<Record<string, string>> = {
  dev: "development",
  stage: "staging",
  prod: "production",
};

function canonicalEnvironment(name: string): string {
  const lower = name.trim().toLowerCase();
  return ENVIRONMENTS[lower] ?? lower;
}

function quoted(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(", ");
}

/** What changes something; the end of a run does not. */
function changes(entry: EngineOperation): boolean {
  return entry.counted;
}

function named(...names: readonly string[]): (entry: EngineOperation) => boolean {
  return ({ name }) => names.includes(name);
}

function requireTags(keys: readonly string[]): Judgement {
  return {
    judges: named("update_run"),
    violation({ endStatus, tags, runName, runId }) {
      // What is not known of a run cannot be held against it.
      if (endStatus !== "FINISHED" || tags === undefined) return undefined;
      const missing = keys.filter((key) => !tags[key]?.trim());
      if (missing.length === 0) return undefined;
      return {
        reasonCode: "x_required_tags_missing",
        field: missing[0] as string,
        reason: `run ${JSON.stringify(runName ?? runId)} ends without the required ${missing.length === 1 ? "tag" : "tags"} ${quoted(missing)}, so it ends as FAILED; set what is missing when the run starts or before it ends`,
      };
    },
  };
}

function requireAttributes(names: readonly (keyof GovernanceAttributes)[]): Judgement {
  return {
    judges: changes,
    violation({ operation, attributes }) {
      const missing = names.filter((name) => attributes[name] === undefined);
      if (missing.length === 0) return undefined;
      const variables = missing.map((name) => `GENOPS_${ATTRIBUTE_NAMES[name].toUpperCase()}`);
      return {
        reasonCode: "x_required_attributes_missing",
        field: missing[0] as string,
        reason: `${operation} needs ${quoted(missing)}; set ${missing.length === 1 ? "it as an option" : "them as options"}, for the run, or in ${variables.join(", ")}`,
      };
    },
  };
}

function allowedEnvironments(allowed: readonly string[]): Judgement {
  const canonical = new Set(allowed.map(canonicalEnvironment));
  return {
    judges: changes,
    violation({ operation, attributes: { environment } }) {
      // What is not configured is not judged: `requireAttributes` demands it.
      if (environment === undefined || canonical.has(canonicalEnvironment(environment))) {
        return undefined;
      }
      return {
        reasonCode: "x_environment_not_allowed",
        field: "environment",
        reason: `${operation} comes from environment ${JSON.stringify(environment)}, and allowed are ${quoted(allowed)}; run it in one of them, or allow this one`,
      };
    },
  };
}

/** Why an artifact of this size is too large; undefined when it is not. */
export function tooLarge(sizeBytes: number, maxMb: number, uri = ""): Violation | undefined {
  if (sizeBytes <= maxMb * MIB) return undefined;
  return {
    reasonCode: "x_artifact_too_large",
    field: "sizeBytes",
    reason: `artifact ${JSON.stringify(uri)} has ${sizeBytes} bytes, and ${maxMb} MiB are allowed; make it smaller, or raise maxArtifactSizeMb`,
  };
}

function maxArtifactSize(maxMb: number): Judgement {
  return {
    judges: ({ class: kind }) => kind === "artifact-write",
    violation: ({ sizeBytes, artifactUri }) =>
      sizeBytes === undefined ? undefined : tooLarge(sizeBytes, maxMb, artifactUri),
  };
}

function isBelow(uri: string, location: string): boolean {
  if (!uri.startsWith(location)) return false;
  const next = uri[location.length];
  return next === undefined || next === "/" || /[/:]$/.test(location);
}

function allowedArtifactLocations(locations: readonly string[]): Judgement {
  const writes = named("create_experiment");
  return {
    judges: (entry) => entry.class === "artifact-write" || writes(entry),
    violation({ operation, artifactUri }) {
      if (artifactUri === undefined) return undefined;
      const climbs = /(^|\/)\.\.(\/|$)/.test(artifactUri);
      if (!climbs && locations.some((location) => isBelow(artifactUri, location))) return undefined;
      return {
        reasonCode: "x_artifact_location_not_allowed",
        field: "artifactUri",
        reason: `${operation} writes to ${JSON.stringify(artifactUri)}, and allowed is what lies below ${quoted(locations)}; use an experiment whose artifacts are there`,
      };
    },
  };
}

function wildcard(name: string): RegExp {
  const source = name.split("*").map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${source.join("[^]*")}$`);
}

function allowedModels(names: readonly string[]): Judgement {
  const patterns = names.map(wildcard);
  return {
    judges: ({ class: kind }) => kind === "registry-write",
    violation({ operation, modelName, newName }) {
      for (const name of [modelName, newName]) {
        if (name === undefined || patterns.some((pattern) => pattern.test(name))) continue;
        return {
          reasonCode: "POLICY_DENY_MODEL",
          field: "modelName",
          reason: `${operation} would change registered model ${JSON.stringify(name)}, and allowed are ${quoted(names)}; use one of them, or allow this one`,
        };
      }
      return undefined;
    },
  };
}

function stageTransitions(rules: Readonly<Record<string, readonly string[]>>): Judgement {
  return {
    judges: named("transition_model_version_stage"),
    violation({ modelName, modelVersion, modelStage, currentStage }) {
      // What is not known of a version cannot be held against it.
      if (modelStage === undefined || currentStage === undefined) return undefined;
      const allowed = rules[currentStage] ?? [];
      if (modelStage === currentStage || allowed.includes(modelStage)) return undefined;
      const way = allowed.length === 0 ? "nowhere" : `to ${quoted(allowed)}`;
      return {
        reasonCode: "x_stage_transition_not_allowed",
        field: "modelStage",
        reason: `version ${modelVersion} of ${JSON.stringify(modelName)} may not go from ${currentStage} to ${modelStage}; from there it may go ${way}`,
      };
    },
  };
}

/** Operations that give a name, and to what. */
const NAMING: Readonly<Record<string, "experiment" | "run" | "model">> = {
  create_experiment: "experiment",
  update_experiment: "experiment",
  create_run: "run",
  update_run: "run",
  create_registered_model: "model",
  rename_registered_model: "model",
};

function namePatterns(options: NonNullable<PolicyOptions["namePatterns"]>): Judgement {
  const patterns = new Map(
    Object.entries(options).flatMap(([kind, pattern]) =>
      pattern === undefined ? [] : [[kind, patternOf(`namePatterns.${kind}`, pattern)] as const],
    ),
  );
  return {
    judges: ({ name }) => patterns.has(NAMING[name] ?? ""),
    violation({ operation, newName }) {
      const kind = NAMING[operation] ?? "";
      const pattern = patterns.get(kind);
      // Only what makes a run can leave its name to MLflow, which invents one.
      if (pattern === undefined || (newName === undefined && operation !== "create_run")) {
        return undefined;
      }
      if (newName !== undefined && pattern.test(newName)) return undefined;
      const found = newName === undefined ? "has no name" : `is called ${JSON.stringify(newName)}`;
      const asked = String(options[kind as keyof typeof options]);
      return {
        reasonCode: "x_name_not_allowed",
        field: `${kind}Name`,
        reason: `the ${kind} of ${operation} ${found}, and its name must match ${asked}; choose one that does`,
      };
    },
  };
}

function readOnly(): Judgement {
  return {
    judges: changes,
    violation: ({ operation }) => ({
      reasonCode: "x_read_only",
      field: "readOnly",
      reason: `${operation} would change something while readOnly is set; try again when it is not`,
    }),
  };
}

const RULES: {
  readonly [Name in PolicyName]: (value: NonNullable<PolicyOptions[Name]>) => Judgement;
} = {
  requireTags,
  requireAttributes,
  allowedEnvironments,
  maxArtifactSizeMb: maxArtifactSize,
  allowedArtifactLocations,
  allowedModels,
  stageTransitions,
  namePatterns,
  readOnly,
};

const EXTENSION_CODE = /^x_[a-z0-9_]+$/;

/** @throws what the user's function throws, and for an answer that is none. */
function objection(policy: CustomPolicy, request: PolicyRequest): Violation | undefined {
  const answer: unknown = policy.check(request);
  if (answer === undefined || answer === null || answer === false) return undefined;
  const said = typeof answer === "string" ? { reason: answer } : (answer as PolicyObjection);
  const { reason, reasonCode = "x_custom_policy", field = policy.name } = said;
  if (typeof reason !== "string" || reason === "") {
    throw new TypeError("it must answer a reason at once: a text, { reason }, or nothing");
  }
  if (!EXTENSION_CODE.test(reasonCode)) {
    throw new TypeError(
      `reasonCode ${JSON.stringify(reasonCode)} is not x_ and lower-case letters, digits or underscores`,
    );
  }
  return { reason, reasonCode, field };
}

function customRule(policy: CustomPolicy): Judgement {
  const { operations } = policy;
  return {
    judges: (entry) =>
      operations === undefined
        ? changes(entry)
        : operations.includes(entry.name) || operations.includes(entry.class),
    violation: (request) => objection(policy, request),
  };
}

/** The rules of a set of policies that was checked. */
export function rulesOf(options: PolicyOptions): Rule[] {
  const { action = "block", actions = {}, custom = [], dryRun = false } = options;
  const standing = POLICY_NAMES.flatMap((name): Rule[] => {
    const value = options[name];
    if (value === undefined || value === false) return [];
    const make = RULES[name] as (value: unknown) => Judgement;
    return [{ name, action: dryRun ? "warn" : (actions[name] ?? action), ...make(value) }];
  });
  const own = custom.map((policy) => ({
    name: policy.name,
    action: dryRun ? "warn" : (policy.action ?? action),
    ...customRule(policy),
  }));
  return [...standing, ...own];
}
