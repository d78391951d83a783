// The operator's page in a real browser: opened by the token, live, safe from hostile names, readable on a phone.
import { afterAll, describe, expect, it } from "vitest";
import { escaped, html } from "../../src/gateway/operator/html.js";
import { CHROMIUM } from "../runtimes/pins.js";
import { need, PATIENCE } from "../runtimes/player.js";
import { type Browser, openBrowser } from "./browser.js";
import { ADMIN_TOKEN, operating } from "./operating.js";

let browser: Browser | undefined;

afterAll(() => browser?.close());

const HOSTILE = [
  "<script>document.title='owned'</script>",
  "<img src=x onerror=\"document.title='owned'\">",
  "\"><svg onload=document.title='owned'>",
  "' onmouseover='document.title=1",
  "{{7*7}}",
  "</style></table></main>",
  "\u202egnp.exe",
];

describe("the page", () => {
  it("asks for the token, shows what happens as it happens, and runs no name", {
    timeout: PATIENCE,
  }, async (context) => {
    browser ??= await openBrowser(await need(context, CHROMIUM));
    const { tab } = browser;
    const { uri, happen, operator } = await operating({
      budgets: [
        { name: 'day "<b>x</b>"', limit: "0.001", period: "day", action: "block" },
        { name: "big", limit: 1, period: "month" },
      ],
    });
    await tab.goto(`${uri}/genops/`);
    expect(await tab.evaluate("document.body.innerText")).not.toContain("Cost by team");
    const login = (token: string) =>
      tab.evaluate(
        `document.querySelector("#token").value = ${JSON.stringify(token)}; document.querySelector("form button").click()`,
      );
    await login("not the token");
    await tab.until('document.querySelector("[role=alert]")');
    await login(ADMIN_TOKEN);
    await tab.until('document.querySelector("[data-state=live]")');
    expect(await tab.evaluate("location.href")).toBe(`${uri}/genops/`);
    // The session is no business of scripts, the MLflow page's on the same origin among them.
    expect(await tab.evaluate("document.cookie")).toBe("");
    expect(await tab.evaluate("document.body.innerText")).toContain(
      "Nothing since this gateway was started.",
    );

    for (const team of HOSTILE) happen({}, { team, project: team, customerId: team });
    for (let call = 0; call < 5; call++) happen({ name: "log_batch" }, { team: HOSTILE[0] });
    const text = (selector: string) =>
      tab.evaluate<string>(`document.querySelector('${selector}').innerText`);
    await tab.until(
      `document.querySelector('[data-part="refusals"]').innerText.includes("blocked")`,
    );
    const teams = await text('[data-part="teams"]');
    for (const team of HOSTILE.slice(0, -1)) expect(teams).toContain(team);
    expect(teams).toContain("\ufffdgnp.exe");
    expect(await text('[data-part="refusals"]')).toContain(HOSTILE[0]);
    expect(await text('[data-part="budgets"]')).toContain('day "<b>x</b>"');
    const injected =
      "document.querySelectorAll('main script, main img, main b, main [onload]').length";
    expect(await tab.evaluate(injected)).toBe(0);
    expect(await tab.evaluate("document.title")).toBe("GenOps gateway");

    // As a screen reader has it.
    const meter = await tab.evaluate(
      `(({ ariaLabel, ariaValueNow, ariaValueText, role }) => ({ ariaLabel, ariaValueNow, ariaValueText, role }))(document.querySelector("[role=meter]"))`,
    );
    expect(meter).toEqual({
      role: "meter",
      ariaLabel: 'Budget day "<b>x</b>"',
      ariaValueNow: "100",
      ariaValueText: "100 % used, passed",
    });
    expect(await tab.evaluate("document.querySelectorAll('th:not([scope])').length")).toBe(0);
    const unnamed =
      "[...document.querySelectorAll('section')].filter((each) => !document.getElementById(each.getAttribute('aria-labelledby')))";
    expect(await tab.evaluate(`${unnamed}.length`)).toBe(0);

    // Nothing is cut off or needs sideways scrolling, in either width and either scheme.
    for (const width of [1280, 390, 320]) {
      for (const isDark of [false, true]) {
        await tab.view({ width, height: 800, isDark });
        expect(await tab.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(
          width,
        );
      }
    }
    expect(await tab.evaluate("getComputedStyle(document.body).backgroundColor")).toBe(
      "rgb(18, 21, 26)",
    );
    expect(tab.complaints.filter((each) => !each.includes("401"))).toEqual([]);

    operator.drain();
    await tab.until('document.querySelector("[data-state=lost]")');
  });

  it("nothing that is not the page's own can run in it", { timeout: PATIENCE }, async (context) => {
    browser ??= await openBrowser(await need(context, CHROMIUM));
    const { tab } = browser;
    const { uri } = await operating();
    await tab.goto(`${uri}/genops/?other`);
    const before = tab.complaints.length;
    await tab.evaluate(
      `document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='document.title=1'><p style='color:red'>"); const s = document.createElement("script"); s.textContent = "document.title=2"; document.body.append(s)`,
    );
    expect(await tab.evaluate("document.title")).toBe("GenOps gateway");
    await tab.until("true");
    expect(tab.complaints.slice(before).join()).toContain("Content Security Policy");
  });
});

describe("HTML", () => {
  it("escapes what could end text or a quoted value, and nothing else", () => {
    expect(escaped(`a&b<c>"d"'e' é`)).toBe("a&amp;b&lt;c&gt;&quot;d&quot;&#39;e&#39; é");
    expect(html`<p title="${'"'}">${html`<b>${"<"}</b>`}${[html`1`, html`2`]}</p>`.text).toBe(
      '<p title="&quot;"><b>&lt;</b>12</p>',
    );
  });
});
