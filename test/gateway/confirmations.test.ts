// Users whose password only the server behind can judge: nobody is believed before it has, and none that judges nobody is.
import { describe, expect, it } from "vitest";
import { createGateway } from "../../src/gateway/index.js";
import { answer, rawServer } from "./raw.js";

const ADA = `Basic ${Buffer.from("ada:right").toString("base64")}`;
const WRONG = `Basic ${Buffer.from("ada:wrong").toString("base64")}`;

/** A server that answers the gateway's question by who asks it, and all else with 200. */
async function inFrontOf(statusFor: (authorization: string | undefined) => number) {
  const asked: (string | undefined)[] = [];
  const server = await rawServer(({ head }, socket) => {
    if (!head.startsWith("GET /api/2.0/mlflow/experiments/search")) {
      socket.write(answer(200, { experiment_id: "7" }));
      return;
    }
    const authorization = /^authorization: (.*)$/im.exec(head)?.[1];
    asked.push(authorization);
    socket.write(answer(statusFor(authorization)));
  });
  const gateway = await createGateway({
    upstream: server.uri,
    port: 0,
    journal: false,
    users: { ada: { team: "research" } },
  });
  const create = async (authorization: string) => {
    const reply = await fetch(`${gateway.url}/api/2.0/mlflow/experiments/create`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization },
      body: JSON.stringify({ name: "x" }),
    });
    return { status: reply.status, text: await reply.text() };
  };
  const written = () => server.requests.filter(({ head }) => head.startsWith("POST ")).length;
  return { gateway, asked, create, written };
}

describe("a user", () => {
  it("is believed who alone is let in, and asked about once", async () => {
    const { gateway, asked, create } = await inFrontOf((who) => (who === ADA ? 200 : 401));
    await using _ = gateway;
    expect((await create(WRONG)).status).toBe(401);
    const all = await Promise.all([create(ADA), create(ADA), create(ADA)]);
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(asked).toEqual([WRONG, ADA, undefined]);
    expect(gateway.governor.engine.total("team", "research")).toBe(3n * 10n ** 14n);
  });

  it("is nobody before a server that asks for no passwords, where anybody could be him", async () => {
    const { gateway, create, written } = await inFrontOf(() => 200);
    await using _ = gateway;
    const refused = await create(WRONG);
    expect(refused.status).toBe(403);
    expect(refused.text).toContain("--app-name basic-auth");
    expect(written()).toBe(0);
    expect(gateway.governor.engine.summary().operations).toEqual({});
  });

  it.each([
    [302, 502],
    [404, 502],
    [429, 502],
    [503, 502],
    [401, 401],
    [403, 401],
  ])("is not believed for a status of %i", async (status, told) => {
    const { gateway, create, written } = await inFrontOf((who) => (who === ADA ? 200 : status));
    await using _ = gateway;
    expect((await create(WRONG)).status).toBe(told);
    expect(written()).toBe(0);
    expect(gateway.governor.engine.total()).toBe(0n);
  });
});
