// Every difference between the two clients that is meant to be, and why. There are no others.
import type { Json } from "../run-python.js";
import type { StoreKind } from "./generator.js";
import type { Outcome, Step } from "./workflow.js";

/** Steps that the clients are meant not to do alike: workflows are played without them. */
interface Unlike {
  readonly why: string;
  isOne(step: Step, before: readonly Step[], store: StoreKind): boolean;
}

interface RunBlock {
  readonly options: { readonly tags?: Json; readonly runId?: string; readonly runName?: string };
  readonly nested?: readonly RunBlock[];
}

interface Tagged {
  readonly tags?: Json;
  readonly params?: Json;
  readonly run?: RunBlock;
  readonly datasets?: readonly { readonly tags?: Json }[];
}

const NAME_OF_A_PARAM_OR_TAG = /^(?!\/|\.\.|\.$)(?!.*(\/\/|\/$|\/\.))[/\p{L}\p{N}_.\- :]{1,250}$/u;

function hasWrongName(record: unknown): boolean {
  return Object.keys(record ?? {}).some((name) => !NAME_OF_A_PARAM_OR_TAG.test(name));
}

/** Did a step give an experiment the name that another step would give it? */
function gaveName({ call, values }: Step, { name }: Step["values"]): boolean {
  return /^(create|rename)Experiment$/.test(call) && values.name === name;
}

const UNLIKE: readonly Unlike[] = [
  {
    why: "Stores check the name of a tag or param that is set later, and some do not where it comes with what is created. TypeScript checks it everywhere.",
    isOne: ({ call, values }) => {
      if (/^log(Batch|Param)$/.test(call)) return false;
      const { tags, params, run, datasets = [] } = values as Tagged;
      const blocks = run === undefined ? [] : [run, ...(run.nested ?? [])];
      const inside = [...blocks.map(({ options }) => options), ...datasets].map(
        (part) => part.tags,
      );
      return [tags, params, ...inside].some(hasWrongName);
    },
  },
  {
    why: "Python writes an artifact where a path leads that is not in its plain form, a server where it can. TypeScript refuses such paths.",
    isOne: ({ values }, _before, { isFolder }) => {
      const words = JSON.stringify(values);
      return words.includes("a//b.txt") || (isFolder && /a#b\.txt|x\/\.\.\/y\.txt/.test(words));
    },
  },
  {
    why: "Python's folder has tags of any length of name that its files can have. TypeScript's has those of a server.",
    isOne: ({ values }, _before, { isFolder }) =>
      isFolder && JSON.stringify(values).includes("k".repeat(251)),
  },
  {
    why: "A run that is ended with a status that is no end stays open, and has an end. TypeScript refuses it.",
    isOne: ({ call, values }) =>
      call === "setTerminated" && /^(RUNNING|SCHEDULED)$/.test(String(values.status)),
  },
  {
    why: "Python, since MLflow 3, looks for the files of a run's model before it registers it. TypeScript registers the place, as Python did before.",
    isOne: ({ call, values }, _before, { major }) =>
      call === "registerModel" && major > 2 && String(values.modelUri).startsWith("runs:"),
  },
  {
    why: "Python asks for a logged model before it changes it, and does not see a deleted one, which a store lets be changed.",
    isOne: ({ call, values }, before) =>
      /^(logModelParams|setLoggedModelTags)$/.test(call) &&
      before.some(
        (one) => one.call === "deleteLoggedModel" && one.values.modelId === values.modelId,
      ),
  },
  {
    why: "To change nothing of a run Python does not ask the store, which may refuse it.",
    isOne: ({ call, values }) =>
      call === "updateRun" && values.status === undefined && values.runName === undefined,
  },
  {
    why: "MLflow 2 lets registered models have names that MLflow 3 refuses, and so does TypeScript.",
    isOne: ({ call, isWrong }, _before, { major }) =>
      major < 3 && isWrong && call === "createRegisteredModel",
  },
  {
    why: "Python before MLflow 3 leaves a run that it resumes the name it had, whatever it is told.",
    isOne: ({ call, values }, _before, { major }) => {
      const run = values.run as RunBlock | undefined;
      const { runId, runName } = run?.options ?? {};
      return call === "fluentRun" && major < 3 && runId !== undefined && runName !== undefined;
    },
  },
  {
    why: "Python's folder refuses to give what it names the name it has. TypeScript's takes it, as a server does.",
    isOne: ({ call, values }, before, { isFolder }) =>
      isFolder &&
      (call === "renameRegisteredModel"
        ? values.name === values.newName
        : call === "renameExperiment" && before.some((one) => gaveName(one, values))),
  },
  {
    why: "Python's folder reads a carriage return as the end of a line. TypeScript reads what was written.",
    isOne: ({ values }, _before, { isFolder }) =>
      isFolder && JSON.stringify(values).includes("\\r"),
  },
  {
    why: "Python's folder writes the part of a batch that comes before a param it refuses. TypeScript's writes all or nothing, as a server does.",
    isOne: ({ call, values }, before, { isFolder }) =>
      isFolder &&
      call === "logBatch" &&
      Object.keys(values.params ?? {}).some((key) =>
        before.some((one) => JSON.stringify(one.values).includes(JSON.stringify(key))),
      ),
  },
  {
    why: "Python's folder notes a metric of a logged model that is not there, and does not see one that is deleted, or whose experiment is. TypeScript's does as a server does.",
    isOne: ({ call, values }, before, { isFolder }) =>
      isFolder &&
      JSON.stringify(values).includes("$logged") &&
      (call === "logMetric" ||
        before.some((one) => /^delete(Experiment|LoggedModel)$/.test(one.call))),
  },
  {
    why: "Python's folder forgets the run of a version that is registered once more. TypeScript's keeps it, as a server does.",
    isOne: ({ call, values }, _before, { isFolder }) =>
      isFolder && call === "registerModel" && String(values.modelUri).startsWith("models:/@"),
  },
  {
    why: "Python's folder breaks when it renames a model that has tags or aliases.",
    isOne: ({ call }, before, { isFolder }) =>
      isFolder &&
      call === "renameRegisteredModel" &&
      before.some((one) => /setRegisteredModel/.test(one.call) || one.values.tags !== undefined),
  },
];

/** The steps of a workflow without those that are meant not to be done alike. */
export function comparable(steps: readonly Step[], store: StoreKind): Step[] {
  return steps.filter(
    (step, index) => !UNLIKE.some(({ isOne }) => isOne(step, steps.slice(0, index), store)),
  );
}

/** Steps that the clients refuse with different codes; where they only read, one may answer. */
interface OtherwiseCalled {
  readonly why: string;
  isOne(step: Step, typescript: string, python: string, store: StoreKind): boolean;
}

const MISSING = "RESOURCE_DOES_NOT_EXIST";
const INVALID = "INVALID_PARAMETER_VALUE";
const UNSAID = "INTERNAL_ERROR";
/** In place of Python's code: its connection broke on the status, whatever came with it. */
const UNREAD = "unread";
/** In place of a code: the call was carried out. */
const ANSWERED = "";

const OTHERWISE_CALLED: readonly OtherwiseCalled[] = [
  {
    why: "What can be seen to be wrong TypeScript refuses before anything is sent, so it is what it says where a step is wrong in two ways, or where a store breaks on it.",
    isOne: ({ isWrong }, typescript, python) =>
      isWrong && typescript === INVALID && python !== ANSWERED,
  },
  {
    why: "Nothing is found of a name that nothing can have, and nothing removed, where a store does not look at the name. TypeScript refuses it.",
    isOne: ({ call, isWrong }, typescript, python) =>
      isWrong &&
      /^(getMetricHistory|delete\w*Tag)$/.test(call) &&
      typescript === INVALID &&
      python === ANSWERED,
  },
  {
    why: "What Python's own code refuses has often no code, which reads as an internal error.",
    isOne: ({ call }, typescript, python) =>
      /^(copyModelVersion|createModelVersion|fluentRun)$/.test(call) &&
      typescript !== ANSWERED &&
      python === UNSAID,
  },
  {
    why: "Python gives up on an answer of status 500 without reading what the server says. TypeScript reads it, or has looked up before what it is to read.",
    isOne: (_step, typescript, python) => typescript !== ANSWERED && python === UNREAD,
  },
  {
    why: "Python breaks on the artifacts of a run that has none, on a server before MLflow 3.",
    isOne: ({ call, values }, typescript, python, { major }) =>
      major < 3 &&
      call === "downloadArtifacts" &&
      values.path === "" &&
      typescript === ANSWERED &&
      python === UNREAD,
  },
  {
    why: "Python asks for a logged model before it changes it, and calls one that is missing a wrong parameter.",
    isOne: ({ call }, typescript, python) =>
      /^(logModelParams|setLoggedModelTags)$/.test(call) &&
      typescript === MISSING &&
      python === INVALID,
  },
  {
    why: "A folder refuses with the codes of a server in TypeScript, and with codes of its own, or none, in Python.",
    isOne: (_step, typescript, python, { isFolder }) =>
      isFolder &&
      /^(INVALID_PARAMETER_VALUE|INVALID_STATE)$/.test(typescript) &&
      /^(INVALID_STATE|INTERNAL_ERROR|Python's Exception)$/.test(python),
  },
  {
    why: "Python's folder does not look at the size of a page, nor at whether a number is compared with one.",
    isOne: ({ call, isWrong }, typescript, python, { isFolder }) =>
      isFolder && /^search/.test(call) && isWrong && typescript === INVALID && python === ANSWERED,
  },
  {
    why: "A metric that was never logged has no points; TypeScript's folder says so of a run that is not there, as a server does.",
    isOne: ({ call }, typescript, python, { isFolder }) =>
      isFolder && call === "getMetricHistory" && typescript === ANSWERED && python === MISSING,
  },
];

/** Is it meant that the two clients refuse a step with different codes? */
export function areMeantToDiffer(
  step: Step,
  typescript: Outcome,
  python: Outcome,
  store: StoreKind,
): boolean {
  const isUnread = python.message?.includes("too many 500 error responses") === true;
  const one = typescript.error ?? ANSWERED;
  const other = isUnread ? UNREAD : (python.error ?? ANSWERED);
  return OTHERWISE_CALLED.some(({ isOne }) => isOne(step, one, other, store));
}

/** Tags that name the program that wrote them, which is another one in each language. */
const OF_THE_PROGRAM = /^mlflow\.source\.(name|git\..*)$/;

/** Python notes a version that it registers although the server did, with its number as a text. */
function versionsOnce(noted: string): Json {
  const versions = JSON.parse(noted) as { name: string; version: number | string }[];
  return [...new Set(versions.map(({ name, version }) => `${name} ${version}`))];
}

/** What is told, without what is meant to differ in it. */
export function settled(told: Json, store: StoreKind): Json {
  const inside = (part: Json, name: string): Json => {
    if (name === "mlflow.modelVersions") return versionsOnce(String(part));
    if (Array.isArray(part)) return part.map((item: Json) => inside(item, ""));
    if (typeof part !== "object" || part === null) return part;
    const fields = Object.entries(part).filter(([key]) => !OF_THE_PROGRAM.test(key));
    return Object.fromEntries(fields.map(([key, field]) => [key, inside(field, key)]));
  };
  return inside(store.isFolder ? ofFolder(told) : told, "");
}

/**
 * TypeScript's folder answers as a server does: the points of a metric come in the order of time,
 * and a version that is made of a registered model changes the model.
 */
function ofFolder(told: Json): Json {
  if (Array.isArray(told)) {
    const items = told.map(ofFolder);
    const isHistory = items.every(
      (item) => typeof item === "object" && item !== null && "timestamp" in item && "step" in item,
    );
    return isHistory ? items.sort((one, other) => (orderOf(one) < orderOf(other) ? -1 : 1)) : items;
  }
  if (typeof told !== "object" || told === null) return told;
  const isModel = "latestVersions" in told;
  const fields = Object.entries(told).filter(
    ([name]) => !(isModel && name === "lastUpdatedTimestamp"),
  );
  return Object.fromEntries(fields.map(([name, field]) => [name, ofFolder(field)]));
}

function orderOf(point: Json): string {
  return JSON.stringify(point);
}
