// Writes audit records as fast as it can and says of each that it is written, until it is killed.
import { openAuditFile } from "../../../src/telemetry/audit/open-file.js";
import { decision } from "./decision.js";

const [path = "", count = "0", maxBytes] = process.argv.slice(2);
const write = openAuditFile({ path, maxBytes: maxBytes ? Number(maxBytes) : undefined });
process.stdout.write("ready\n");
for (let call = 1; call <= Number(count); call++) {
  write(decision(call, `writer-${process.pid}`));
  process.stdout.write(`${call}\n`);
}
