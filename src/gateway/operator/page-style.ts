// The style of the operator's page: one column on a phone, two on a desk; light and dark as the system has it.

export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #fff; --ink: #1a1f27; --soft: #5a6472; --line: #dfe3e8;
  --bar: #3d6fd9; --bar-ground: #e6eaf0; --warn: #a35d00; --warn-bar: #d98a1c; --bad: #b3261e; --bad-bar: #d0443c;
  --good: #1f7a3f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12151a; --card: #1b2027; --ink: #e7eaee; --soft: #9aa5b3; --line: #2e353f;
    --bar: #6f9bf5; --bar-ground: #2a313b; --warn: #f0b45b; --warn-bar: #d99534; --bad: #ff8f86; --bad-bar: #e2635a;
    --good: #6fcf8f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
header, main, footer { max-width: 72rem; margin: 0 auto; padding: 0 1rem; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1rem; padding-top: 1.1rem; }
h1 { font-size: 1.1rem; margin: 0; }
h2 { font-size: 1rem; margin: 0 0 .6rem; }
header .upstream { color: var(--soft); overflow-wrap: anywhere; }
header .live { margin-left: auto; color: var(--soft); font-size: .87rem; display: flex; align-items: center; gap: .4rem; }
.dot { width: .6rem; height: .6rem; border-radius: 50%; background: var(--soft); flex: none; }
.live[data-state="live"] .dot { background: var(--good); }
.live[data-state="lost"] .dot { background: var(--bad); }
button {
  font: inherit; color: inherit; background: transparent; border: 1px solid var(--line); border-radius: .4rem;
  padding: .25rem .7rem; cursor: pointer; min-height: 2rem;
}
button:hover { border-color: var(--soft); }
:focus-visible { outline: 2px solid var(--bar); outline-offset: 2px; }
main { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem; padding-top: 1rem; padding-bottom: 1rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem; min-width: 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem 1.5rem; margin: 0; }
.figures div { min-width: 0; }
dt { color: var(--soft); font-size: .87rem; }
dd { margin: 0; font-size: 1.45rem; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; line-height: 1.25; }
dd small { display: block; font-size: .8rem; font-weight: 400; color: var(--soft); }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: .87rem; padding: 0 .5rem .35rem 0; }
td { padding: .35rem .5rem .35rem 0; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; overflow-wrap: normal; }
.name { min-width: 6rem; }
.none { color: var(--soft); margin: 0; }
.quiet { color: var(--soft); }
.whole { white-space: nowrap; }
.bar { height: .55rem; margin: .3rem 0; }
.bar svg { display: block; width: 100%; height: 100%; border-radius: .3rem; overflow: hidden; }
.bar .ground { fill: var(--bar-ground); }
.bar .fill { fill: var(--bar); }
.bar.near .fill { fill: var(--warn-bar); }
.bar.over .fill { fill: var(--bad-bar); }
.share { height: .3rem; margin-bottom: 0; }
.budgets { list-style: none; margin: 0; padding: 0; display: grid; gap: .9rem; }
.budgets .line { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; }
.budgets .quiet { font-size: .87rem; }
.budgets .line > *, .refusals .line > :not(.tag, time) { min-width: 0; overflow-wrap: anywhere; }
.budgets .amount { font-variant-numeric: tabular-nums; }
.tag {
  display: inline-block; font-size: .78rem; border: 1px solid currentColor; border-radius: .3rem; padding: 0 .35rem;
  white-space: nowrap;
}
.tag.over, .tag.blocked { color: var(--bad); }
.tag.near, .tag.limited { color: var(--warn); }
.tag.plain { color: var(--soft); }
.refusals { list-style: none; margin: 0; padding: 0; }
.refusals li { border-top: 1px solid var(--line); padding: .6rem 0; }
.refusals li:first-child { border-top: 0; padding-top: 0; }
.refusals li:last-child { padding-bottom: 0; }
.refusals .line { display: flex; flex-wrap: wrap; gap: .1rem .7rem; align-items: baseline; }
.refusals time { margin-left: auto; color: var(--soft); font-size: .87rem; white-space: nowrap; }
.refusals p { margin: .2rem 0 0; color: var(--soft); overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: .87rem; padding-bottom: 1.5rem; overflow-wrap: anywhere; }
.login { max-width: 26rem; margin: 12vh auto 0; padding: 0 1rem; }
.login form { display: grid; gap: .7rem; }
.login label { font-weight: 500; }
.login input {
  font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--line); border-radius: .4rem;
  padding: .5rem .6rem; width: 100%;
}
.login button { background: var(--bar); color: #fff; border-color: transparent; padding: .5rem .7rem; }
@media (prefers-color-scheme: dark) { .login button { color: #10141a; } }
.login p { margin: 0 0 .7rem; }
.login .wrong { color: var(--bad); }
code { font-size: .92em; overflow-wrap: anywhere; }
/* The bar below a name says its share as well. */
@media (max-width: 27rem) { table .part { display: none; } }
@media (min-width: 54rem) {
  main { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .wide { grid-column: 1 / -1; }
}
`;
