// Telemetry: where events are told as log records, one is really exported to where OTEL_* says.
import { createRequire } from "node:module";
import type * as OtlpExporter from "@opentelemetry/exporter-logs-otlp-proto";
import type * as Sdk from "@opentelemetry/sdk-logs";
import { unusableEndpoint } from "../../../telemetry/otlp-endpoint.js";
import {
  hasLoggerProvider,
  wanted as logsAreWanted,
  PACKAGES,
} from "../../../telemetry/otlp-logs-node.js";
import { wanted as exportIsWanted, hasProvider } from "../../../telemetry/otlp-node.js";
import { VERSION } from "../../../version.js";
import { type Check, type Found, Skipped } from "./check.js";
import {
  checkEndpoint,
  type ExportError,
  isSameServer,
  send,
  tryEndpoint,
} from "./otlp-endpoint.js";
import { needPackages } from "./packages.js";

/** Name of the record's event: no event of the specification, so that it is nobody's decision. */
const EVENT = "genops.validate";

const SHARED = "OTEL_EXPORTER_OTLP_ENDPOINT";

async function sendRecord(timeoutMs: number): Promise<ExportError | undefined> {
  const require = createRequire(import.meta.url);
  const sdk: typeof Sdk = require(PACKAGES[0]);
  const { OTLPLogExporter }: typeof OtlpExporter = require(PACKAGES[1]);
  const finished = new sdk.InMemoryLogRecordExporter();
  const provider = new sdk.LoggerProvider({
    processors: [new sdk.SimpleLogRecordProcessor({ exporter: finished })],
  });
  provider.getLogger("genops", VERSION).emit({ eventName: EVENT, severityNumber: 9 });
  await provider.forceFlush();
  const exporter = new OTLPLogExporter({ timeoutMillis: timeoutMs });
  return send(exporter, finished.getFinishedLogRecords());
}

/** Why no log records are sent, and what mends it; undefined when they are. */
function whyNone(): { readonly cause: string; readonly fix: string } | undefined {
  const { OTEL_LOGS_EXPORTER: exporter } = process.env;
  if (hasProvider()) {
    return {
      cause: "The program has an OpenTelemetry tracer provider of its own, and no logger provider.",
      fix: "logs.setGlobalLoggerProvider(…)   // of @opentelemetry/api-logs, before the adapter is made",
    };
  }
  if (exporter && exporter !== "otlp") {
    return { cause: `OTEL_LOGS_EXPORTER is ${exporter}.`, fix: "unset OTEL_LOGS_EXPORTER" };
  }
  if (exportIsWanted() && logsAreWanted()) return undefined;
  return {
    // Log records are sent beside spans, never alone.
    cause: `${SHARED} is not set.`,
    fix: `export ${SHARED}=http://localhost:4318`,
  };
}

function tellNone(found: Found, why: { readonly cause: string; readonly fix: string }): void {
  found({
    code: "EVENTS_ON_SPANS",
    severity: "warning",
    message: "Events are told on spans, although log records are asked for.",
    ...why,
  });
}

export const logRecordsCheck: Check = {
  name: "logRecords",
  area: "telemetry",
  async run(setup, found, abort) {
    const { configuration } = setup;
    if (configuration === undefined) throw new Skipped("the options cannot be used");
    if (configuration.eventRecords !== "logs") throw new Skipped("events are told on spans");
    if (configuration.loggerProvider !== undefined)
      return "the given logger provider gets the events";
    if (hasLoggerProvider()) return "the program's own logger provider gets the events";
    if (process.env.OTEL_SDK_DISABLED?.toLowerCase() === "true") {
      throw new Skipped("OTEL_SDK_DISABLED=true");
    }
    const why = whyNone();
    if (why !== undefined) {
      tellNone(found, why);
      return "no log records are sent";
    }
    // What spans have in common with it was told there.
    if (unusableEndpoint("LOGS")?.startsWith(`${SHARED}=`)) {
      throw new Skipped(`${SHARED} is no address`);
    }
    if (!checkEndpoint("LOGS", found)) return "no address";
    if (!needPackages(PACKAGES, "Events as log records", setup, found)) {
      return "the packages that export log records cannot be used";
    }
    const sendOne = () => sendRecord(0.6 * setup.timeoutMs);
    const { shown, refusal, isSilent } = await tryEndpoint("LOGS", abort, sendOne);
    if (refusal === undefined) return `the log record ${EVENT} was taken by ${shown}`;
    // That was told of its spans.
    if (isSilent && isSameServer("LOGS", "TRACES")) {
      throw new Skipped(`nobody answers at ${shown}`);
    }
    found({ severity: "error", ...refusal });
    return `${shown} takes no log records`;
  },
};
