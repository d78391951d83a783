// Why a call to MLflow failed, in the words of somebody who wants to mend it.
import { MlflowError, reasonOf } from "../../../mlflow/errors.js";
import type { ValidationIssue } from "./result.js";

export type Failure = Pick<ValidationIssue, "code" | "message" | "cause" | "fix">;

/** Who failed. */
export interface Place {
  /** How a sentence begins, for example `The tracking server`. */
  readonly subject: string;
  /** Beginning of the codes, for example `TRACKING`. */
  readonly prefix: string;
  /** Without credentials. */
  readonly uri: string;
  /** Variable that says where it is. */
  readonly variable: string;
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

function startCommand(uri: string): string {
  const { hostname, port, protocol } = new URL(uri);
  return protocol === "http:" && LOOPBACK.test(hostname)
    ? `mlflow server --host 127.0.0.1 --port ${port || "80"}`
    : `curl -sS ${uri}/version   # from this machine; then start the server or open the way to it`;
}

function hasCredentials(): boolean {
  const { MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_TOKEN } = process.env;
  return Boolean(MLFLOW_TRACKING_USERNAME || MLFLOW_TRACKING_TOKEN);
}

function causedBy(error: unknown, code: RegExp): boolean {
  let current = error;
  for (let depth = 0; depth < 10 && typeof current === "object" && current !== null; depth++) {
    const { code: found, cause } = current as { code?: unknown; cause?: unknown };
    if (typeof found === "string" && code.test(found)) return true;
    current = cause;
  }
  return false;
}

function unreachable(error: MlflowError, { subject, prefix, uri, variable }: Place): Failure {
  const cause = error.message;
  if (causedBy(error, /^(ENOTFOUND|EAI_AGAIN)$/)) {
    return {
      code: `${prefix}_HOST_UNKNOWN`,
      message: `${subject} has a name that nobody knows.`,
      cause,
      fix: `export ${variable}=http://localhost:5000   # or a host that this machine can look up`,
    };
  }
  if (/no trust/.test(cause)) {
    return {
      code: `${prefix}_TLS_UNTRUSTED`,
      message: `${subject} shows a certificate that is not trusted here.`,
      cause,
      fix: "export MLFLOW_TRACKING_SERVER_CERT_PATH=/path/to/authority.pem",
    };
  }
  if (/does not speak TLS/.test(cause)) {
    return {
      code: `${prefix}_NO_TLS`,
      message: `${subject} does not speak TLS.`,
      cause,
      fix: `export ${variable}=${uri.replace(/^https:/, "http:")}`,
    };
  }
  return {
    code: `${prefix}_SERVER_DOWN`,
    message: `${subject} does not answer.`,
    cause,
    fix: startCommand(uri),
  };
}

/** The way out for somebody whom a server does not know, or does not let. */
const CREDENTIALS_FIX =
  "export MLFLOW_TRACKING_USERNAME=… MLFLOW_TRACKING_PASSWORD=…   # or MLFLOW_TRACKING_TOKEN=…";

function refusal(error: MlflowError, { subject, prefix, uri }: Place): Failure {
  const cause = error.message;
  if (/Invalid Host header|DNS rebinding/i.test(cause)) {
    const { host } = new URL(uri);
    return {
      code: `${prefix}_HOST_REFUSED`,
      message: `${subject} does not want to be called by this host name.`,
      cause,
      fix: `mlflow server --allowed-hosts "${host}"`,
    };
  }
  if (error.status === 401 || error.code === "UNAUTHENTICATED") {
    return {
      code: `${prefix}_UNAUTHENTICATED`,
      message: hasCredentials()
        ? `${subject} does not accept these credentials.`
        : `${subject} wants to know who is there.`,
      cause,
      fix: CREDENTIALS_FIX,
    };
  }
  return {
    code: `${prefix}_FORBIDDEN`,
    message: `${subject} knows who is there, and does not allow it.`,
    cause,
    fix: `ask who runs ${uri} for permission, or ${CREDENTIALS_FIX}`,
  };
}

/** What an error of the client means for its set-up. */
export function failureOf(error: unknown, place: Place): Failure {
  const { subject, prefix, uri, variable } = place;
  const cause = reasonOf(error);
  const install = /npm install \S+/.exec(cause)?.[0]?.replace(/[.,;]$/, "");
  if (install !== undefined) {
    return {
      code: "PACKAGE_MISSING",
      message: `${subject} cannot be reached without a package that is not installed.`,
      cause,
      fix: install,
    };
  }
  if (error instanceof MlflowError) {
    if (error.code === "SERVER_UNREACHABLE") return unreachable(error, place);
    if (error.code === "TIMEOUT") {
      return {
        code: `${prefix}_TIMEOUT`,
        message: `${subject} takes a connection and does not answer in time.`,
        cause,
        fix: `curl -sS -m 60 ${uri}/version   # is it busy? genops validate --timeout 60 waits longer`,
      };
    }
    if (error.status === 401 || error.status === 403) return refusal(error, place);
    const isOther =
      error.code === "INVALID_RESPONSE" ||
      (error.code === "ENDPOINT_NOT_FOUND" && error.errorCode === undefined);
    if (isOther) {
      return {
        code: `${prefix}_NOT_MLFLOW`,
        message: `Something answers at ${uri}, and it is no MLflow server.`,
        cause,
        fix: `export ${variable}=http://localhost:5000   # the address, with its path prefix, whose /version tells MLflow's version`,
      };
    }
  }
  return {
    code: `${prefix}_FAILED`,
    message: `${subject} answered with an error.`,
    cause,
    fix: /^https?:/.test(uri)
      ? "look into the log of the MLflow server"
      : `ls -ld ${uri.replace(/^file:\/\//, "")}   # it must be a folder that you may write to`,
  };
}
