// Policies as a user writes them: in code, in the environment or in a policy file; checked.
import { ATTRIBUTES, checkAttribute, type GovernanceAttributes } from "../attribution.js";
import { ConfigurationError } from "../errors.js";
import type { LimitAction } from "../limit-options.js";
import { isRecord, rejectUnknown } from "../option-names.js";

/** What a policy judges: one call, before it is sent. What is not known is left out. */
export interface PolicyRequest {
  /** MLflow's operation, for example `log_metric`; `update_run` ends a run. */
  readonly operation: string;
  /** Class of the operation, for example `tracking-write`. */
  readonly operationClass: string;
  /** Who pays. */
  readonly attributes: GovernanceAttributes;
  readonly runId?: string | undefined;
  readonly runName?: string | undefined;
  readonly experimentId?: string | undefined;
  readonly experimentName?: string | undefined;
  readonly modelName?: string | undefined;
  readonly modelVersion?: string | undefined;
  /** Stage that a model version is to be moved to. */
  readonly modelStage?: string | undefined;
  /** Stage that it is in. */
  readonly currentStage?: string | undefined;
  /** Name that is given to a new or renamed run, experiment or registered model. */
  readonly newName?: string | undefined;
  /** Where an artifact is written, or an experiment's artifacts are to be. */
  readonly artifactUri?: string | undefined;
  /** Bytes of an artifact. */
  readonly sizeBytes?: number | undefined;
  /** Status that a run is to end with. */
  readonly endStatus?: string | undefined;
  /** Tags that the run has so far. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

/** What is wrong with a call. A text is the reason alone. */
export interface PolicyObjection {
  /** What is wrong and what to do, for a person. */
  readonly reason: string;
  /** `x_` and lower-case letters, digits or underscores; `x_custom_policy` unless given. */
  readonly reasonCode?: string | undefined;
  /** What is at fault; the policy's name unless given. */
  readonly field?: string | undefined;
}

/** A policy of the user's own. */
export interface CustomPolicy {
  /** Unique; none of the names of the other policies. */
  readonly name: string;
  /** Operations (`log_artifact`) or classes of them (`registry-write`); all that change something unless given. */
  readonly operations?: readonly string[] | undefined;
  /**
   * Answers what is wrong, or nothing. It is asked before the call and must not wait. When it throws, or
   * answers a promise, the call goes on: that is warned of once and counted.
   */
  readonly check: (request: PolicyRequest) => PolicyObjection | string | undefined | null | false;
  /** As `policies.action` unless given. */
  readonly action?: LimitAction | undefined;
}

/** Patterns that names must match as a whole: regular expressions, as text or as such. */
export interface NamePatterns {
  readonly experiment?: string | RegExp | undefined;
  readonly run?: string | RegExp | undefined;
  readonly model?: string | RegExp | undefined;
}

/** What must hold; each is checked before anything is sent, `requireTags` when a run ends as FINISHED. */
export interface PolicyOptions {
  /** Tags that a run must have, not blank, when it ends. Without them it ends as FAILED. */
  readonly requireTags?: readonly string[] | undefined;
  /** Governance attributes that must be configured for whatever is changed. */
  readonly requireAttributes?: readonly (keyof GovernanceAttributes)[] | undefined;
  /** Environments that may change something; `dev` is `development`, `stage` `staging`, `prod` `production`. */
  readonly allowedEnvironments?: readonly string[] | undefined;
  /** MiB that one artifact may have. */
  readonly maxArtifactSizeMb?: number | undefined;
  /** Beginnings of URIs that artifacts may be written below. */
  readonly allowedArtifactLocations?: readonly string[] | undefined;
  /** Names of registered models that may be changed; `*` stands for any characters. */
  readonly allowedModels?: readonly string[] | undefined;
  /** Stage → stages that a model version may be moved to from there. */
  readonly stageTransitions?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly namePatterns?: NamePatterns | undefined;
  /** Nothing may be changed; runs that are open may end. */
  readonly readOnly?: boolean | undefined;
  readonly custom?: readonly CustomPolicy[] | undefined;
  /** What every policy does unless `actions` says otherwise; `block` unless given. */
  readonly action?: LimitAction | undefined;
  /** Policy → what it does. */
  readonly actions?: Readonly<Partial<Record<PolicyName, LimitAction>>> | undefined;
  /** Tells what would have been refused, as warnings, and refuses nothing. */
  readonly dryRun?: boolean | undefined;
}

export const POLICY_NAMES = [
  "requireTags",
  "requireAttributes",
  "allowedEnvironments",
  "maxArtifactSizeMb",
  "allowedArtifactLocations",
  "allowedModels",
  "stageTransitions",
  "namePatterns",
  "readOnly",
] as const;

export type PolicyName = (typeof POLICY_NAMES)[number];

const FIELDS = [...POLICY_NAMES, "custom", "action", "actions", "dryRun"];
const CUSTOM_FIELDS = ["name", "operations", "check", "action"];
const STAGES = ["None", "Staging", "Production", "Archived"];
const ACTIONS = ["warn", "block"];

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "object" && value !== null ? "(an object)" : String(value);
}

function invalid(field: string, value: unknown, text: string): ConfigurationError {
  return new ConfigurationError("INVALID_OPTION", field, value, `${field}: ${text}`);
}

function checkTexts(field: string, value: unknown, what: string): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw invalid(field, value, `give a list of ${what}, or leave it out`);
  }
  for (const [index, each] of value.entries()) {
    if (typeof each === "string" && each.trim() !== "") continue;
    throw invalid(`${field}[${index}]`, each, `${shown(each)} is not text; give ${what}`);
  }
  return value as string[];
}

function checkOneOf(field: string, value: unknown, choices: readonly string[]): void {
  if (value === undefined || choices.includes(value as string)) return;
  throw invalid(field, value, `${shown(value)} is none of ${choices.join(", ")}`);
}

function checkBoolean(field: string, value: unknown): void {
  if (value === undefined || typeof value === "boolean") return;
  throw invalid(field, value, `${shown(value)} is neither true nor false`);
}

function checkTransitions(field: string, value: unknown): void {
  if (!isRecord(value)) {
    throw invalid(field, value, 'give for example { None: ["Staging"], Staging: ["Production"] }');
  }
  for (const [from, to] of Object.entries(value as object)) {
    checkOneOf(field, from, STAGES);
    if (!Array.isArray(to)) throw invalid(`${field}.${from}`, to, "give a list of stages");
    for (const [index, stage] of to.entries()) {
      if (stage === undefined) throw invalid(`${field}.${from}[${index}]`, stage, "is no stage");
      checkOneOf(`${field}.${from}[${index}]`, stage, STAGES);
    }
  }
}

/** Matches a whole name. @throws {ConfigurationError} for what is no regular expression. */
export function patternOf(field: string, pattern: unknown): RegExp {
  // By its class's name: a frame or a test runner has a RegExp of its own.
  if (Object.prototype.toString.call(pattern) === "[object RegExp]") {
    const { source, flags } = pattern as RegExp;
    return new RegExp(`^(?:${source})$`, flags.replace(/[gy]/g, ""));
  }
  if (typeof pattern !== "string" || pattern === "") {
    throw invalid(field, pattern, `${shown(pattern)} is no regular expression`);
  }
  try {
    return new RegExp(`^(?:${pattern})$`, "u");
  } catch (error) {
    throw invalid(field, pattern, `${shown(pattern)}: ${(error as Error).message}`);
  }
}

function checkPatterns(field: string, value: unknown): void {
  if (!isRecord(value)) throw invalid(field, value, 'give for example { run: "exp-\\\\d+" }');
  rejectUnknown(value as object, ["experiment", "run", "model"], field);
  for (const [name, pattern] of Object.entries(value as object)) {
    if (pattern !== undefined) patternOf(`${field}.${name}`, pattern);
  }
}

function checkCustom(field: string, value: unknown): void {
  if (!Array.isArray(value)) throw invalid(field, value, "give a list of { name, check }");
  const names = new Set<string>(POLICY_NAMES);
  for (const [index, policy] of value.entries()) {
    const at = `${field}[${index}]`;
    if (!isRecord(policy)) throw invalid(at, policy, "give { name, check }");
    rejectUnknown(policy, CUSTOM_FIELDS, at);
    const name = checkAttribute(`${at}.name`, policy.name);
    if (names.has(name)) throw invalid(`${at}.name`, name, `${shown(name)} is a policy already`);
    names.add(name);
    if (typeof policy.check !== "function") {
      throw invalid(`${at}.check`, policy.check, `${shown(policy.check)} is no function`);
    }
    if (policy.operations !== undefined) {
      checkTexts(`${at}.operations`, policy.operations, "operations or classes of them");
    }
    checkOneOf(`${at}.action`, policy.action, ACTIONS);
  }
}

const CHECKS: Readonly<Record<PolicyName, (field: string, value: unknown) => void>> = {
  requireTags: (field, value) => checkTexts(field, value, "keys of tags"),
  requireAttributes(field, value) {
    for (const [index, name] of checkTexts(field, value, "attributes").entries()) {
      checkOneOf(`${field}[${index}]`, name, ATTRIBUTES);
    }
  },
  allowedEnvironments: (field, value) => checkTexts(field, value, "environments"),
  maxArtifactSizeMb(field, value) {
    if (typeof value === "number" && Number.isFinite(value) && value >= 0) return;
    throw invalid(field, value, `${shown(value)} is no number of MiB from 0 up`);
  },
  allowedArtifactLocations: (field, value) => checkTexts(field, value, "beginnings of URIs"),
  allowedModels: (field, value) => checkTexts(field, value, "names of registered models"),
  stageTransitions: checkTransitions,
  namePatterns: checkPatterns,
  readOnly: checkBoolean,
};

/** @throws {ConfigurationError} naming the field at fault, for example `policies.requireTags[0]`. */
export function checkPolicies(field: string, given: unknown): PolicyOptions {
  if (!isRecord(given)) throw invalid(field, given, `${shown(given)} is no object of policies`);
  rejectUnknown(given as object, FIELDS, field);
  const policies = given as Readonly<Record<string, unknown>>;
  for (const name of POLICY_NAMES) {
    if (policies[name] !== undefined) CHECKS[name](`${field}.${name}`, policies[name]);
  }
  if (policies.custom !== undefined) checkCustom(`${field}.custom`, policies.custom);
  checkOneOf(`${field}.action`, policies.action, ACTIONS);
  checkBoolean(`${field}.dryRun`, policies.dryRun);
  const { actions } = policies;
  if (actions !== undefined) {
    if (!isRecord(actions)) throw invalid(`${field}.actions`, actions, "give policy → action");
    rejectUnknown(actions as object, POLICY_NAMES, `${field}.actions`);
    for (const [name, action] of Object.entries(actions as object)) {
      checkOneOf(`${field}.actions.${name}`, action, ACTIONS);
    }
  }
  return given as PolicyOptions;
}
