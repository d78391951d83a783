// The files that tell Python what a model needs to run.
// Source: mlflow/utils/environment.py (3.17).
import { yamlText } from "../artifacts.js";

const REQUIREMENTS_FILE = "requirements.txt";
const CONDA_FILE = "conda.yaml";
const PYTHON_ENV_FILE = "python_env.yaml";
/** A release that every package in question supports; another one loads the model with a warning. */
const PYTHON_VERSION = "3.11.11";

export interface PythonEnvironment {
  /** Texts by file name. */
  readonly files: Readonly<Record<string, string>>;
  /** What the `python_function` flavour says of them. */
  readonly flavorFields: Readonly<Record<string, unknown>>;
}

export function pythonEnvironment(requirements: readonly string[]): PythonEnvironment {
  const conda = {
    channels: ["conda-forge"],
    dependencies: [`python=${PYTHON_VERSION}`, "pip", { pip: requirements }],
    name: "mlflow-env",
  };
  const virtual = {
    python: PYTHON_VERSION,
    build_dependencies: ["pip", "setuptools", "wheel"],
    dependencies: [`-r ${REQUIREMENTS_FILE}`],
  };
  return {
    files: {
      [REQUIREMENTS_FILE]: `${requirements.join("\n")}\n`,
      [CONDA_FILE]: yamlText(conda),
      [PYTHON_ENV_FILE]: yamlText(virtual),
    },
    flavorFields: {
      env: { conda: CONDA_FILE, virtualenv: PYTHON_ENV_FILE },
      python_version: PYTHON_VERSION,
    },
  };
}
