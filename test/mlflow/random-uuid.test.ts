// Random UUIDs in pages that are not secure.
import { afterEach, expect, it, vi } from "vitest";
import { randomUuid } from "../../src/mlflow/random-uuid.js";

afterEach(() => vi.unstubAllGlobals());

it("need no randomUUID, and are version 4 and different", () => {
  const { getRandomValues } = crypto;
  vi.stubGlobal("crypto", { getRandomValues: getRandomValues.bind(crypto) });
  const made = Array.from({ length: 1000 }, randomUuid);
  expect(new Set(made).size).toBe(1000);
  for (const uuid of made) {
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
});

it("are what the portable client uses", async () => {
  const { readFile, readdir } = await import("node:fs/promises");
  const root = new URL("../../src/mlflow/", import.meta.url);
  const files = (await readdir(root, { recursive: true })).filter((file) => file.endsWith(".ts"));
  for (const file of files) {
    const text = await readFile(new URL(file, root), "utf8");
    if (!text.includes('from "node:'))
      expect([file, text]).not.toEqual([file, expect.stringContaining("crypto.randomUUID(")]);
  }
});
