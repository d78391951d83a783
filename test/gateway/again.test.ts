// A gateway that is closed, and another that is begun in the same process after it, on the same journal.
import { expect, it } from "vitest";
import { createGateway } from "../../src/gateway/index.js";
import { temporaryFolder } from "../adapter/workplace.js";
import { answer, exchange, logMetric, rawServer } from "./raw.js";

const RUN = { run: { info: { run_id: "abc", experiment_id: "7" }, data: {} } };
const whole = (text: string) => text.includes("\r\n\r\n") && text.trimEnd().endsWith("}");

it("what one has spent, the next one knows as spent, and blocks by it", async () => {
  const { uri, requests } = await rawServer(({ head }, socket) => {
    socket.write(answer(200, head.startsWith("GET") ? RUN : {}));
  });
  const path = await temporaryFolder();
  const begin = () =>
    createGateway({
      upstream: uri,
      port: 0,
      journal: { path },
      defaults: { team: "t" },
      budgets: [{ name: "all", limit: "0.0003", period: "day", action: "block" }],
    });
  const statuses: string[] = [];
  for (let round = 0; round < 2; round++) {
    await using gateway = await begin();
    expect(gateway.governor.limits.statuses()[0]?.spent).toBe(round === 0 ? "0" : "0.0002");
    expect(gateway.governor.journal).toMatchObject({ state: "active" });
    for (let call = 0; call < 2; call++) {
      const text = await exchange(gateway.url, logMetric("abc"), whole);
      statuses.push(text.split(" ")[1] ?? "");
    }
  }
  expect(statuses).toEqual(["200", "200", "200", "403"]);
  expect(requests.filter(({ head }) => head.startsWith("POST"))).toHaveLength(3);
});
