// The bench itself: every promise is really judged, and wrong use is told by name.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import {
  BENCH,
  type Budget,
  type Budgets,
  benchIn,
  budgetFile,
  type Ended,
  promisedBudgets,
  type Result,
} from "./bench.js";

interface Contender {
  readonly name: string;
  book(batch: unknown): number;
}

interface Made {
  readonly contenders: readonly Contender[];
  readonly batches: readonly unknown[];
}

interface Rooms {
  makeContenders(seed: number): Promise<Made>;
  disagreements(made: Made, booked: ReadonlySet<string>): Promise<string[]>;
  ratioOf(
    times: ReadonlyMap<string, Float64Array>,
    measured: string,
    against: string,
  ): { readonly value: number; readonly low: number; readonly high: number };
  readBudgets(file: string, only: string[], contenders: string[], sizes: string[]): Budgets;
  isBroken(budget: Partial<Budget>, low: number, high: number): boolean;
}

/** A budget that only lacks its bound. */
const sound = { name: "maps", measure: "six-maps", against: "record", because: "Example." };
/** Too few to mean anything, enough to be judged. */
const QUICK = ["--rounds", "2"];

let promised: Budgets;

beforeAll(async () => {
  promised = await promisedBudgets();
});

function bench(...options: string[]): Promise<Ended> {
  return benchIn(BENCH, ...options);
}

async function room<Name extends keyof Rooms>(file: string, name: Name): Promise<Rooms[Name]> {
  const module: Rooms = await import(pathToFileURL(join(BENCH, file)).href);
  return module[name];
}

/** The promised budgets with every bound replaced. */
function withBounds(atLeast: number, atMost: number): Budgets {
  const replaced = (budget: Budget): Budget => ({
    ...budget,
    ...(budget.atLeast === undefined ? { atMost } : { atLeast }),
  });
  return { ratios: promised.ratios.map(replaced), sizes: promised.sizes.map(replaced) };
}

const names = (budgets: readonly Budget[]) => budgets.map(({ name }) => name);

describe("the budgets", () => {
  it("promise something about every other way and every size", () => {
    const measured = promised.ratios.flatMap(({ measure, against }) => [measure, against]);
    expect(new Set(measured)).toEqual(
      new Set([
        "record",
        "record-by-name",
        "record-in-turn",
        "crowd-in-turn",
        "crowd-at-random",
        "roll-up",
        "classify",
        "classify-bytes",
        "map-of-strings",
        "typed-doubles",
        "bigint-arrays",
        "six-maps",
        "six-bigint-maps",
        "span",
        "counter",
        "start",
        "open-telemetry-sdk",
        "governed",
        "governed-limits",
        "governed-and-told",
        "span-by-hand",
        "bare-client",
        "idle-client",
        "released-client",
        "bare-fetch",
        "idle-fetch",
        "released-fetch",
      ]),
    );
    expect(names(promised.sizes)).toEqual([
      "engine.wasm",
      "engine.wasm.br",
      "live-run",
      "portable.js.br",
    ]);
    for (const { because } of [...promised.ratios, ...promised.sizes]) {
      expect(because).toMatch(/^[A-Z][^.]* [^.]*.*\.$/);
    }
  });

  it("are all judged, and hold when nothing is asked of them", async () => {
    const file = await budgetFile("easy", withBounds(1e-9, 1e9));
    const { code, stdout } = await bench("--json", "--budgets", file, ...QUICK);
    expect(code).toBe(0);
    const result: Result = JSON.parse(stdout);
    expect(names(result.ratios)).toEqual(names(promised.ratios));
    expect(names(result.sizes)).toEqual(names(promised.sizes));
    expect([...result.ratios, ...result.sizes].every(({ value }) => value > 0)).toBe(true);
    expect(result.disagreements).toEqual([]);
    expect(result.attempts).toBe(1);
  });

  it("fail after three attempts when they ask the impossible", async () => {
    const file = await budgetFile("impossible", withBounds(1e9, 1e-9));
    const asked = ["six-maps", "typed-doubles", "live-run", "engine.wasm"];
    const { code, stdout } = await bench(
      ...["--check", "--json", "--budgets", file, ...QUICK],
      ...asked.flatMap((name) => ["--only", name]),
    );
    expect(code).toBe(1);
    const result: Result = JSON.parse(stdout);
    const broken = [...result.ratios, ...result.sizes].filter((budget) => budget.broken);
    expect(names(broken).sort()).toEqual([...asked].sort());
    expect(result.attempts).toBe(3);
  });

  it("fail one by one, and say why they were promised", async () => {
    const file = await budgetFile("one", withBounds(1e9, 1e-9));
    const { code, stdout } = await bench("--budgets", file, "--only", "engine.wasm");
    expect(code).toBe(1);
    const budget = promised.sizes.find(({ name }) => name === "engine.wasm");
    expect(stdout.replace(/\s+/g, " ")).toContain(budget?.because);
    expect(stdout).toContain("1 of 1 promises are broken.");
  });

  it("are shown in 80 columns without colours", async () => {
    const file = await budgetFile("table", withBounds(1e6, 1e-9));
    const row = ({ measure, against = "" }: Budget) => `${measure} ÷ ${against}`;
    const byLength = [...promised.ratios].sort((a, b) => row(b).length - row(a).length);
    const widest = byLength.slice(0, 3);
    const { code, stdout } = await bench(
      ...["--budgets", file, ...QUICK],
      ...["six-maps", ...names(widest)].flatMap((name) => ["--only", name]),
    );
    expect(code).toBe(1);
    expect(stdout).toContain("six-maps ÷ record ");
    for (const each of widest) expect(stdout).toContain(row(each));
    expect(stdout).not.toContain("\u001b");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});

describe("wrong use ends with 2", () => {
  it.each([
    [["--chek"], 'unknown option "--chek"; did you mean "--check"?'],
    [["--json=yes"], '--json takes no value, but was given "yes"'],
    [["--rounds", "many"], '--rounds: "many" is not a whole number from 1 to 100000'],
    [["--rounds"], "--rounds needs a value"],
    [["check"], '"check" is no option; see --help'],
    [["--only", "six-map"], 'unknown budget "six-map"; did you mean "six-maps"?'],
    [["--budgets", "nowhere.json"], 'budgets "nowhere.json" cannot be read'],
  ])("%j", async (options, message) => {
    const { code, stdout, stderr } = await bench(...options);
    expect(stderr).toContain(`bench: ${message}`);
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });

  it("a budgets file with a name that nobody measures", async () => {
    const file = await budgetFile("wrong", {
      ratios: [{ ...sound, measure: "six-mapz", atLeast: 1 }],
      sizes: [],
    });
    const { code, stderr } = await bench("--budgets", file, ...QUICK);
    expect(stderr).toContain(
      'bench: unknown "measure" of budget "maps": "six-mapz"; did you mean "six-maps"?',
    );
    expect(code).toBe(2);
  });

  const [once, empty] = [{ ...sound, atLeast: 1 }, { sizes: [] }];
  const ratio = (budget: object) => ({ ...empty, ratios: [budget] });
  it.each([
    [ratio({ ...once, against: "six-maps" }), 'budget "maps" compares "six-maps" with itself'],
    [ratio({ ...sound, atLest: 1 }), 'key of budget "maps": "atLest"; did you mean "atLeast"?'],
    [ratio(sound), 'budget "maps" needs one bound above 0'],
    [ratio({ ...once, atMost: 2 }), 'budget "maps" needs one bound above 0'],
    [ratio({ ...sound, atLeast: 0 }), 'budget "maps" needs one bound above 0'],
    [ratio({ ...once, because: "" }), 'budget "maps" needs a sentence in "because"'],
    [ratio({ measure: "record" }), 'an entry of "ratios" has no name'],
    [{ ...empty, ratios: [once, once] }, 'budget "maps" is there twice'],
    [{ ...empty, ratio: [] }, '"ratio"; did you mean "ratios"?'],
    [{ ratios: [once] }, 'needs a list "sizes"'],
    ["{", "is not JSON"],
  ])("budgets like %j", async (budgets, message) => {
    const readBudgets = await room("budgets.mjs", "readBudgets");
    const file = await budgetFile("wrong", budgets);
    expect(() => readBudgets(file, [], ["six-maps", "record"], [])).toThrow(message);
  });

  it("while asking for help is right", async () => {
    const { code, stdout } = await bench("--help");
    expect(code).toBe(0);
    for (const option of ["--check", "--only", "--budgets", "--rounds", "--json", "--help"]) {
      expect(stdout).toContain(option);
    }
  });
});

describe("what is concluded", () => {
  it("breaks a budget only when the whole interval does", async () => {
    const isBroken = await room("budgets.mjs", "isBroken");
    expect(isBroken({ atLeast: 5 }, 4.8, 5.2)).toBe(false);
    expect(isBroken({ atLeast: 5 }, 4.6, 4.9)).toBe(true);
    expect(isBroken({ atMost: 2 }, 1.9, 2.1)).toBe(false);
    expect(isBroken({ atMost: 2 }, 2.1, 2.2)).toBe(true);
  });

  it("takes the median of ratios, whatever a few rounds did", async () => {
    const ratioOf = await room("measure.mjs", "ratioOf");
    const rounds = 101;
    // Both slow down together by up to ten times, and nine rounds hit only one of them.
    const base = Float64Array.from({ length: rounds }, (_, i) => 1000 * (1 + (i % 10)));
    const other = base.map((time, i) => time * (i < 9 ? 500 : 3 + (i % 3) / 100));
    const { value, low, high } = ratioOf(
      new Map([
        ["record", base],
        ["other", other],
      ]),
      "other",
      "record",
    );
    expect(value).toBeCloseTo(3.01, 6);
    expect(low).toBeGreaterThanOrEqual(3);
    expect(high).toBeLessThanOrEqual(3.02);
    expect(low).toBeLessThan(high);
  });

  it("sees an account that is off by one batch", async () => {
    const makeContenders = await room("contenders.mjs", "makeContenders");
    const disagreements = await room("contenders.mjs", "disagreements");
    const made = await makeContenders(1);
    const booked = new Set(["record", "six-bigint-maps", "six-maps"]);
    const book = (name: string) =>
      made.contenders.find((contender) => contender.name === name)?.book(made.batches[0]);
    for (const name of booked) book(name);
    expect(await disagreements(made, booked)).toEqual([]);
    book("six-maps");
    expect(await disagreements(made, booked)).toEqual([
      expect.stringMatching(/^six-maps: [\d.]+ USD, exact [\d.]+ USD$/),
    ]);
    book("record");
    expect(await disagreements(made, booked)).toContainEqual(
      expect.stringMatching(/^total: engine \d+, BigInt \d+$/),
    );
  });
});
