// The policies of one adapter: found by operation, asked one after the other, and what they decided.
import type { EngineOperation } from "../../engine/index.js";
import { nearestName } from "../../nearest-name.js";
import type { Decision } from "../decision.js";
import { ConfigurationError } from "../errors.js";
import type { LimitAction } from "../limit-options.js";
import type { Notices } from "../notices.js";
import type { PolicyOptions, PolicyRequest } from "./options.js";
import { type Rule, rulesOf, tooLarge, type Violation } from "./rules.js";

/** @throws {ConfigurationError} for what is neither an operation nor a class: it would never be judged. */
function checkOperations({ custom = [] }: PolicyOptions, table: readonly EngineOperation[]): void {
  const known = [...table.map(({ name }) => name), ...new Set(table.map((entry) => entry.class))];
  for (const [index, { operations = [] }] of custom.entries()) {
    for (const [at, name] of operations.entries()) {
      if (known.includes(name)) continue;
      const field = `policies.custom[${index}].operations[${at}]`;
      const suggestion = nearestName(name, known);
      throw new ConfigurationError(
        "INVALID_OPTION",
        field,
        name,
        `${field}: ${JSON.stringify(name)} is neither an operation of MLflow nor a class of them${suggestion === undefined ? "" : `; did you mean ${JSON.stringify(suggestion)}?`}`,
        suggestion,
      );
    }
  }
}

export class Policies {
  /** Must the tags of runs be known? */
  readonly tracksTags: boolean;
  /** Must the stages of model versions be known? */
  readonly tracksStages: boolean;

  readonly #options: PolicyOptions;
  readonly #notices: Notices;
  /** By id of the operation; nothing at all for those that no policy judges. */
  readonly #rules: readonly (readonly Rule[] | undefined)[];

  /** @throws {ConfigurationError} for an operation that there is not. */
  constructor(options: PolicyOptions, operations: readonly EngineOperation[], notices: Notices) {
    this.#options = options;
    this.#notices = notices;
    checkOperations(options, operations);
    const rules = rulesOf(options);
    this.#rules = operations.map((entry) => {
      const judging = rules.filter((rule) => rule.judges(entry));
      return judging.length === 0 ? undefined : judging;
    });
    const hasCustom = (options.custom?.length ?? 0) > 0;
    this.tracksTags = options.requireTags !== undefined || hasCustom;
    this.tracksStages = options.stageTransitions !== undefined || hasCustom;
  }

  /** The rules that judge an operation; undefined when there is none, so that nothing is asked. */
  rulesFor(operationId: number): readonly Rule[] | undefined {
    return this.#rules[operationId];
  }

  /** Asks rules until one refuses. Answers the warnings, and the refusal as the last one. */
  judge(rules: readonly Rule[], request: PolicyRequest): readonly Decision[] {
    const decisions: Decision[] = [];
    for (const rule of rules) {
      const violation = this.#violation(rule, request);
      if (violation === undefined) continue;
      const decision = this.#decision(rule.name, rule.action, violation);
      decisions.push(decision);
      if (decision.result === "BLOCKED") break;
      const about = request.runId ?? request.operation;
      this.#notices.once(`policy ${rule.name} ${about}`, () => decision.reason ?? "");
    }
    return decisions;
  }

  /** A function of the user's that fails has not objected: what is broken must not stop the program. */
  #violation(rule: Rule, request: PolicyRequest): Violation | undefined {
    try {
      return rule.violation(request);
    } catch (error) {
      this.#notices.hookFailed(`policy ${JSON.stringify(rule.name)}`, error);
      return undefined;
    }
  }

  #decision(policy: string, action: LimitAction, violation: Violation): Decision {
    const { reasonCode, field, reason } = violation;
    const blocks = action === "block";
    return {
      result: blocks ? "BLOCKED" : "WARNING",
      reasonCode,
      policy,
      field,
      reason: this.#options.dryRun === true ? `dry run, nothing was refused: ${reason}` : reason,
    };
  }

  /** Why an artifact whose length was not known must not grow to this size; undefined when it may. */
  judgeSize(sizeBytes: number, uri: string): Decision | undefined {
    const { maxArtifactSizeMb, action = "block", actions = {}, dryRun } = this.#options;
    if (maxArtifactSizeMb === undefined) return undefined;
    const violation = tooLarge(sizeBytes, maxArtifactSizeMb, uri);
    if (violation === undefined) return undefined;
    const name = "maxArtifactSizeMb";
    const decision = this.#decision(
      name,
      dryRun === true ? "warn" : (actions[name] ?? action),
      violation,
    );
    if (decision.result === "WARNING") {
      this.#notices.once(`policy ${name} ${uri}`, () => decision.reason ?? "");
    }
    return decision;
  }
}
