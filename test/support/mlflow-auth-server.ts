// A real MLflow server with its basic-auth app: users with passwords, who may do what they were granted.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type MlflowServer, startMlflowServer } from "./mlflow-server.js";
import { MLFLOW_VERSION } from "./python.js";
import { preparePythonOverlay } from "./python-overlay.js";

/** Of the extra `auth` of MLflow. */
const PACKAGES = ["Flask-WTF==1.3.0"];

export interface MlflowAuthServer extends MlflowServer {
  readonly admin: { readonly user: string; readonly password: string };
}

/** The Python that has MLflow and what its basic-auth app needs. */
export function preparePythonAuth(python: string): Promise<string> {
  return preparePythonOverlay({
    name: `auth-mlflow-${MLFLOW_VERSION}`,
    python,
    packages: PACKAGES,
    modules: ["mlflow", "flask_wtf"],
  });
}

/** Starts a server whose users may do nothing that they were not granted. `python`: see {@link preparePythonAuth}. */
export async function startMlflowAuthServer(python: string): Promise<MlflowAuthServer> {
  const folder = await mkdtemp(join(tmpdir(), "genops-mlflow-auth-"));
  const admin = { user: "admin", password: "password-of-the-admin" };
  const configuration = join(folder, "basic_auth.ini");
  const lines = [
    "[mlflow]",
    "default_permission = NO_PERMISSIONS",
    `database_uri = sqlite:///${join(folder, "basic_auth.db")}`,
    `admin_username = ${admin.user}`,
    `admin_password = ${admin.password}`,
    // Checking a password takes long by design; one that has changed is checked anew all the same.
    "auth_cache_ttl_seconds = 300",
  ];
  await writeFile(configuration, `${lines.join("\n")}\n`);
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const server = await startMlflowServer(python, {
      flags: ["--app-name", "basic-auth"],
      environment: {
        MLFLOW_AUTH_CONFIG_PATH: configuration,
        MLFLOW_FLASK_SERVER_SECRET_KEY: "secret-key-of-the-tests",
      },
    });
    return { ...server, admin, stop: () => server.stop().then(remove) };
  } catch (error) {
    await remove();
    throw error;
  }
}
