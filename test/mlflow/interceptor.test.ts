// The seam of the client: who makes a call, who only watches it, and that both can be inside each other.
import { afterEach, expect, it } from "vitest";
import {
  addInterceptor,
  type CallWatch,
  type Interceptor,
  type StoreCall,
  throughInterceptors,
} from "../../src/mlflow/interceptor.js";

const CALL: StoreCall = {
  method: "POST",
  route: "/api/2.0/mlflow/runs/log-metric",
  path: "/api/2.0/mlflow/runs/log-metric",
  body: { key: "loss" },
  storeUri: "http://localhost:1",
};

const removals: (() => void)[] = [];

afterEach(() => {
  for (const remove of removals.splice(0)) remove();
});

function install(interceptor: Interceptor): void {
  removals.push(addInterceptor(interceptor));
}

/** Watches calls, tells `told` of them, and marks them as its own. */
function watcher(name: string, told: string[]): Interceptor {
  return (call): CallWatch => ({
    call: { ...call, body: { ...call.body, [name]: true } },
    answered: (reply) => told.push(`${name} answered ${JSON.stringify(reply)}`),
    failed: (error) => told.push(`${name} failed ${String(error)}`),
  });
}

it("a call that is watched is made as the watcher has it, and the watcher is told first", async () => {
  const told: string[] = [];
  install(watcher("outer", told));
  const reply = await throughInterceptors(CALL, async ({ body }) => body);
  told.push("caller");
  expect(reply).toEqual({ key: "loss", outer: true });
  expect(told).toEqual(['outer answered {"key":"loss","outer":true}', "caller"]);
});

it("watchers inside each other, and inside what makes its calls itself, are all told", async () => {
  const told: string[] = [];
  install(watcher("inner", told));
  install(async (call, proceed) => {
    told.push("middle");
    return await proceed(call);
  });
  install(watcher("outer", told));
  await throughInterceptors(CALL, async () => ({}));
  expect(told).toEqual(["middle", "inner answered {}", "outer answered {}"]);
  told.length = 0;
  const failing = throughInterceptors(CALL, async () => {
    throw new Error("down");
  });
  await expect(failing).rejects.toThrow("down");
  expect(told).toEqual(["middle", "inner failed Error: down", "outer failed Error: down"]);
});

it("what a watcher throws, the caller gets; one that throws at once keeps the call from being made", async () => {
  let made = 0;
  const perform = async () => ++made;
  install((call) => ({
    call,
    answered: () => {
      throw new Error("told too much");
    },
    failed: () => {},
  }));
  await expect(throughInterceptors(CALL, perform)).rejects.toThrow("told too much");
  expect(made).toBe(1);
  install(() => {
    throw new Error("not this one");
  });
  await expect(throughInterceptors(CALL, perform)).rejects.toThrow("not this one");
  expect(made).toBe(1);
});
