// How long the client waits before it asks again.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { connectionSettings } from "../../src/mlflow/connection.js";
import { delayBeforeRetry, type Failure } from "../../src/mlflow/retry.js";

const settings = connectionSettings({});
const status = (code: number, retryAfter: string | null = null): Failure => ({
  kind: "status",
  status: code,
  retryAfter,
});
const MAY_BE_REPEATED = [true, "by name"] as const;

describe("the delay before another attempt", () => {
  it("doubles from the factor, and is never the same for many clients", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.double({ min: 0, max: 120, noNaN: true }),
        fc.double({ min: 0, max: 120, noNaN: true }),
        (attempt, backoffFactorSeconds, backoffJitterSeconds) => {
          const own = { maxRetries: 10, backoffFactorSeconds, backoffJitterSeconds };
          const delay = delayBeforeRetry(
            { kind: "broken" },
            attempt,
            true,
            connectionSettings(own),
          );
          const grown = attempt === 1 ? 0 : backoffFactorSeconds * 2 ** (attempt - 1);
          const least = Math.min(120_000, 1000 * grown);
          const most = Math.min(120_000, 1000 * (grown + backoffJitterSeconds));
          expect(delay).toBeGreaterThanOrEqual(least - 1e-6);
          expect(delay).toBeLessThanOrEqual(most + 1e-6);
        },
      ),
    );
  });

  it("is about four minutes in all by default, as long as rate limits last", () => {
    let total = 0;
    for (let attempt = 1; attempt <= 8; attempt++) {
      total += delayBeforeRetry(status(429), attempt, false, settings) ?? 0;
    }
    expect(total).toBeGreaterThanOrEqual(240_000);
    expect(total).toBeLessThanOrEqual(260_000);
  });

  it.each([408, 429, 500, 502, 503, 504])(
    "is there after %i when a call may be repeated",
    (code) => {
      for (const repeatable of MAY_BE_REPEATED) {
        expect(delayBeforeRetry(status(code), 1, repeatable, settings)).toBeTypeOf("number");
      }
      const isRefusal = code === 429 || code === 503;
      const delay = delayBeforeRetry(status(code), 1, false, settings);
      expect(delay).toBeTypeOf(isRefusal ? "number" : "undefined");
    },
  );

  it.each([400, 401, 403, 404, 409, 501, 505])("is none after %i", (code) => {
    expect(delayBeforeRetry(status(code), 1, true, settings)).toBeUndefined();
  });

  it("is what the server asks for, up to five minutes", () => {
    const asked = (header: string) => delayBeforeRetry(status(429, header), 1, true, settings);
    expect(asked("0")).toBe(0);
    expect(asked(" 300 ")).toBe(300_000);
    expect(asked("301")).toBeUndefined();
    expect(asked(new Date(0).toUTCString())).toBe(0);
    expect(asked(new Date(Date.now() + 3_600_000).toUTCString())).toBeUndefined();
    // The server's clock may be another one than ours.
    const hour = 3_600_000;
    for (const skew of [-hour, 0, hour]) {
      const serverDate = new Date(Date.now() + skew).toUTCString();
      const retryAfter = new Date(Date.parse(serverDate) + 5000).toUTCString();
      const failure = { ...status(429, retryAfter), serverDate } as Failure;
      expect(delayBeforeRetry(failure, 1, true, settings)).toBe(5000);
    }
    // What cannot be read is no request.
    expect(asked("soon")).toBeLessThanOrEqual(1000);
    const deaf = connectionSettings({ respectRetryAfter: false });
    expect(delayBeforeRetry(status(429, "300"), 1, true, deaf)).toBeLessThanOrEqual(1000);
  });

  it("is none after the last retry", () => {
    const last = settings.maxRetries;
    expect(delayBeforeRetry(status(503), last, true, settings)).toBeTypeOf("number");
    expect(delayBeforeRetry(status(503), last + 1, true, settings)).toBeUndefined();
  });
});
