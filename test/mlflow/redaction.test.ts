// What lets one in is never shown: not by an error, not by its causes that are ours, not in a call.
import { inspect } from "node:util";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { resolveArtifactUri } from "../../src/mlflow/artifact-stores/read.js";
import { MlflowError } from "../../src/mlflow/errors.js";
import { addInterceptor, type StoreCall } from "../../src/mlflow/interceptor.js";
import * as mlflow from "../../src/mlflow/node.js";
import { withoutCredentials, withoutSecrets } from "../../src/mlflow/redaction.js";
import { answerLikeMlflow, faultyServer, type Reaction } from "./faulty-server.js";

const SECRET = "hunter2hunter2";

beforeEach(() => vi.stubEnv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0"));
afterEach(() => vi.unstubAllEnvs());

async function failureOf(work: () => unknown): Promise<MlflowError> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(MlflowError);
    return error as MlflowError;
  }
  throw new Error("no error");
}

/** With all that printing an error shows: its causes and properties. */
async function shown(work: () => unknown): Promise<string> {
  return inspect(await failureOf(work), { depth: 10 });
}

describe("a URI that is shown", () => {
  it.each([
    [`https://ada:${SECRET}@host:5000/x`, "https://host:5000/x"],
    [`https://ada:a/${SECRET}@host/x`, "https://host/x"],
    [`postgresql+psycopg2://ada:${SECRET}@host/db`, "postgresql+psycopg2://host/db"],
    ["http://localhost:5000/mail@example.com", "http://localhost:5000/mail@example.com"],
    ["abfss://container@account.dfs.core.windows.net/a", undefined],
    [`wasbs://container:${SECRET}@account/a`, "wasbs://container@account/a"],
    [
      `https://b/o?X-Amz-Date=1&X-Amz-Signature=${SECRET}`,
      "https://b/o?X-Amz-Date=1&X-Amz-Signature=***",
    ],
    [`https://b/o?sv=2020&sig=${SECRET}&se=1`, "https://b/o?sv=2020&sig=***&se=1"],
    [`https://b/o?X-Goog-Credential=${SECRET}`, "https://b/o?X-Goog-Credential=***"],
    [
      `http://h/mlflow?access_token=${SECRET}#id_token=${SECRET}`,
      "http://h/mlflow?access_token=***#id_token=***",
    ],
    ["./mlruns", undefined],
  ])("of %s", (uri, expected = uri) => {
    expect(withoutCredentials(uri)).toBe(expected);
    const sentence = (text: string) => `See '${text}' and a@b.c, or ${text} there.`;
    expect(withoutSecrets(sentence(uri))).toBe(sentence(expected));
  });

  it("has no user's password, whatever that is", () => {
    const safe = fc.stringMatching(/^[a-zA-Z0-9!$%^&*()_+.,~-]{1,20}$/);
    fc.assert(
      fc.property(safe, safe, (user, password) => {
        const marked = `<${password}`;
        const uri = `http://${user}:${marked}@host:5000/path`;
        expect(withoutCredentials(uri)).toBe("http://host:5000/path");
      }),
    );
  });
});

describe("a long text of a server", () => {
  it.each(["?sig", "a.", "a://", "x://:", ":", "?a", "a://a:", "@"])(
    "of %s is searched in no time",
    (part) => {
      const text = `${part.repeat(10_000)}://${part.repeat(10_000)}`;
      // Quadratic time would be minutes.
      expect(withoutSecrets(text).length).toBeGreaterThan(0);
    },
  );
});

describe("an error says nothing of what lets one in", () => {
  it("in a tracking or registry URI that cannot be used", async () => {
    const bad = [
      `postgresql://ada:${SECRET}@host/db`,
      `http://ada:${SECRET}@exa mple/`,
      `http://ada:%${SECRET}@host/`,
      `ftp://ada:${SECRET}@host`,
      `file://ada:${SECRET}@host/x`,
      `file://ada:${SECRET}@ho st/x`,
      `databricks://a:${SECRET}@b`,
    ];
    for (const uri of bad) {
      expect(await shown(() => mlflow.setTrackingUri(uri))).not.toContain(SECRET);
      expect(await shown(() => mlflow.setRegistryUri(uri))).not.toContain(SECRET);
      expect(await shown(() => new mlflow.MlflowClient({ trackingUri: uri }))).not.toContain(
        SECRET,
      );
    }
  });

  it("in an option of another type", async () => {
    for (const name of ["password", "token"]) {
      const options = { trackingUri: "http://h", [name]: 271_828_182 } as never;
      const said = await shown(() => new mlflow.MlflowClient(options));
      expect(said).toContain(name);
      expect(said).not.toContain("271828182");
    }
  });

  it("of a host from the environment", async () => {
    vi.stubEnv("DATABRICKS_HOST", `https://ada:${SECRET}@host`);
    expect(await shown(() => mlflow.setTrackingUri("databricks"))).not.toContain(SECRET);
  });

  it("in an artifact URI", async () => {
    const client = new mlflow.MlflowClient({ trackingUri: "http://127.0.0.1:9" });
    for (const uri of [
      `sftp://ada:${SECRET}@host/x/y`,
      `https://ada:${SECRET}@host/x/y?sig=${SECRET}`,
      `wasbs://ada:${SECRET}@host/x/y`,
      `models:/a/b/c://u:${SECRET}@h`,
    ]) {
      const said = await shown(() => resolveArtifactUri(uri, client.artifactContext));
      expect(said, uri).not.toContain(SECRET);
    }
  });

  it("in what a server says, or where it sends one", async () => {
    const location = `https://ada:${SECRET}@login/?access_token=${SECRET}`;
    const answers: Reaction[] = [
      { status: 308, headers: { location } },
      {
        status: 400,
        body: JSON.stringify({ error_code: "BAD", message: `no bucket ${location}` }),
      },
      { status: 418, body: `see ${location}` },
      { status: 200, body: location },
    ];
    for (const answer of answers) {
      const { uri } = await faultyServer(() => answer);
      const trackingUri = uri.replace("://", `://ada:${SECRET}@`);
      const client = new mlflow.MlflowClient({ trackingUri });
      const said = await shown(() => client.logMetric("abc", "m", 1));
      expect(said).not.toContain(SECRET);
    }
  });
});

describe("an artifact root with a password", () => {
  const root = (host: string, scheme = "mlflow-artifacts") =>
    `${scheme}://ada:${SECRET}@${host}${scheme === "http" ? "/api/2.0/mlflow-artifacts/artifacts" : ""}/7/abc`;

  it.each(["mlflow-artifacts", "http"])(
    "lets one in, and is not told to anybody: %s",
    async (scheme) => {
      const artifacts = await faultyServer(() => ({ status: 200, body: "{}" }));
      const host = artifacts.uri.replace("http://", "");
      const server = await faultyServer((request) =>
        request.path.endsWith("/runs/get")
          ? {
              status: 200,
              body: JSON.stringify({
                run: {
                  info: { run_id: "abc", experiment_id: "7", artifact_uri: root(host, scheme) },
                },
              }),
            }
          : answerLikeMlflow(request),
      );
      const seen: StoreCall[] = [];
      const remove = addInterceptor((call, proceed) => {
        seen.push(call);
        return proceed(call);
      });
      try {
        const client = new mlflow.MlflowClient({ trackingUri: server.uri });
        await client.logText("abc", "x", "a.txt");
        vi.stubEnv("MLFLOW_TRACKING_URI", server.uri);
        await mlflow.artifacts.listArtifacts({ artifactUri: root(host, scheme) });
      } finally {
        remove();
      }
      expect(inspect(seen, { depth: 10 })).not.toContain(SECRET);
      const [put] = artifacts.requests;
      expect(put?.path).toBe("/api/2.0/mlflow-artifacts/artifacts/7/abc/a.txt");
      expect(put?.headers.authorization).toBe(`Basic ${btoa(`ada:${SECRET}`)}`);
    },
  );
});
