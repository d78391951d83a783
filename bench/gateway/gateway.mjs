// The gateway of the built package, its journal at its default, with two budgets.
import { createGateway } from "../../dist/node/gateway.js";

const [upstream] = process.argv.slice(2);
const budget = { limit: 1e6, period: "day" };
const gateway = await createGateway({
  upstream,
  port: 0,
  defaults: { team: "search", project: "ranking" },
  budgets: [
    { ...budget, name: "all" },
    { ...budget, name: "team", scope: { team: "search" }, action: "block" },
  ],
});
console.log(new URL(gateway.url).port);
process.once("SIGTERM", async () => {
  await gateway.close();
  process.exit();
});
