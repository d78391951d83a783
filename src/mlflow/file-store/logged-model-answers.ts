// Endpoints of logged models, answered by a folder.
import * as spec from "../spec.js";
import { checkMaxResults } from "../validation.js";
import type { Answers } from "./answers.js";
import { filterOf } from "./filter.js";
import { LOGGED_MODEL_SCHEMA, type LoggedModels, searchableModel } from "./logged-models.js";
import { listed } from "./messages.js";
import { orderOf, pageFrom } from "./ordering.js";

const MAX_RESULTS = 50;
const NATURAL_ORDER = ["creation_timestamp DESC", "model_id ASC"];

export function answerLoggedModels(answers: Answers, models: LoggedModels): void {
  answers.on(spec.createLoggedModel, async (request) => ({
    model: await models.create({
      experimentId: request.experiment_id,
      name: request.name,
      modelType: request.model_type,
      sourceRunId: request.source_run_id,
      params: request.params ?? [],
      tags: request.tags ?? [],
    }),
  }));
  answers.on(spec.getLoggedModel, async ({ model_id }) => ({ model: await models.get(model_id) }));
  answers.on(spec.finalizeLoggedModel, async ({ model_id, status }) => ({
    model: await models.finalize(model_id, status),
  }));
  answers.onWrite(spec.deleteLoggedModel, ({ model_id }) => models.delete(model_id));
  answers.on(spec.setLoggedModelTags, async ({ model_id, tags }) => ({
    model: await models.setTags(model_id, tags),
  }));
  answers.onWrite(spec.deleteLoggedModelTag, ({ model_id, tag_key }) =>
    models.deleteTag(model_id, tag_key),
  );
  answers.onWrite(spec.logLoggedModelParams, ({ model_id, params }) =>
    models.logParams(model_id, params),
  );
  answers.on(spec.searchLoggedModels, async (request) => {
    const { experiment_ids, max_results = MAX_RESULTS, order_by = [], page_token } = request;
    checkMaxResults(max_results, MAX_RESULTS);
    const accepts = filterOf(request.filter, LOGGED_MODEL_SCHEMA);
    const clauses = order_by.map(
      ({ field_name, ascending }) => `${field_name} ${ascending ? "ASC" : "DESC"}`,
    );
    const compare = orderOf(clauses, LOGGED_MODEL_SCHEMA, NATURAL_ORDER);
    const matching = (await models.list(experiment_ids))
      .map((message) => ({ message, searchable: searchableModel(message) }))
      .filter(({ searchable }) => accepts(searchable))
      .sort((one, other) => compare(one.searchable, other.searchable))
      .map(({ message }) => message);
    const { page, next } = pageFrom(matching, max_results, page_token);
    return { ...listed("models", page), ...next };
  });
}
