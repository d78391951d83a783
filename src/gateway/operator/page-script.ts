// The page's script: on each event it asks for the page anew, and puts in the sections that have changed.

export const SCRIPT = `
"use strict";
const live = document.getElementById("live");
const say = (state, text) => {
  if (live.dataset.state === state) return;
  live.dataset.state = state;
  live.lastElementChild.textContent = text;
};
let isAsking = false;
let isStale = false;
async function refresh() {
  if (isAsking) { isStale = true; return; }
  isAsking = true;
  try {
    do {
      isStale = false;
      const answer = await fetch("./", { cache: "no-store", credentials: "same-origin" });
      if (answer.status === 401) { location.reload(); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const section of page.querySelectorAll("[data-part]")) {
        const shown = document.querySelector('[data-part="' + section.dataset.part + '"]');
        if (shown && shown.outerHTML !== section.outerHTML) shown.replaceWith(document.adoptNode(section));
      }
    } while (isStale);
    say("live", "live");
  } catch {
    say("lost", "the gateway does not answer");
  } finally {
    isAsking = false;
  }
}
const events = new EventSource("events");
events.addEventListener("snapshot", refresh);
events.addEventListener("open", () => say("live", "live"));
let polling;
events.addEventListener("error", () => {
  say("lost", "connecting again");
  // A stream that was refused does not come back by itself.
  if (events.readyState === EventSource.CLOSED) polling ??= setInterval(refresh, 5000);
});
`;
