// The result of a soak as lines of text.
import picocolors from "picocolors";

const whole = (value) => value.toLocaleString("en-US");
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

function comparison(rows) {
  const cells = (values) =>
    values.map((text, at) => (at === 0 ? text.padEnd(18) : text.padStart(16)));
  const lines = [cells(["", "load was told", "ledger", "server keeps"]).join("")];
  for (const { name, load, ledger, server, uncertain } of rows) {
    const told = uncertain === 0 ? whole(load) : `${whole(load)}–${whole(load + uncertain)}`;
    const booked = ledger === undefined ? "–" : whole(ledger);
    lines.push(cells([name, told, booked, whole(server)]).join(""));
  }
  return lines;
}

function memoryLines({ judged, rss, heap, atMost, peak, samples }) {
  const last = samples.at(-1);
  const highest = peak === undefined ? "" : `, at most ${mib(peak)}`;
  const now = `resident ${mib(last.rss)}${highest}, heap ${mib(last.heap)}`;
  if (!judged) return [`Memory: ${now}; too short to say whether it is flat.`];
  return [
    `Memory: ${now}`,
    `  resident ${mib(rss.second)} in the second quarter, ${mib(rss.last)} in the last: ${rss.ratio.toFixed(3)}×, at most ${atMost}×`,
    `  heap ${mib(heap.second)} in the second quarter, ${mib(heap.last)} in the last: ${heap.ratio.toFixed(3)}×`,
  ];
}

export function report(result) {
  const paint = picocolors.createColors(
    process.stdout.isTTY === true && picocolors.isColorSupported,
  );
  const { calls, seconds, refused, malformed, vanished, problems, unexpected } = result;
  const lines = [
    `Node ${result.node}, ${result.clients} clients and one in Python for ${result.minutes} min (seed ${result.seed})`,
    `${whole(calls)} calls in ${whole(seconds)} s (${whole(Math.round(calls / seconds))} a second), ${whole(result.requests)} HTTP requests`,
    `${whole(refused)} refused by a budget, ${whole(malformed)} malformed, ${whole(vanished)} callers that went away`,
    `${whole(result.operations)} operations booked, ${whole(result.errors)} failed, ${result.totalCost} USD, ${whole(result.runsInTree)} runs in the tree`,
    "",
    ...comparison(result.compared),
    "",
    ...result.budgets.map(
      ({ name, spent, limit, action }) => `Budget ${name} (${action}): ${spent} of ${limit} USD`,
    ),
    ...memoryLines(result.memory),
  ];
  for (const [text, count] of Object.entries(unexpected)) {
    lines.push(`${count}× ${text.replace(/\s+/g, " ").slice(0, 160)}`);
  }
  lines.push("");
  if (problems.length === 0) {
    lines.push(paint.green("The ledger is what the server keeps, and every sum is right."));
  } else lines.push(...problems.map((problem) => paint.red(problem)));
  return lines;
}
