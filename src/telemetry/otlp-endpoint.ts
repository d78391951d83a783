// Which address the environment names for a signal, and whether it is one.

/** As OpenTelemetry's variables name them. */
export type Signal = "TRACES" | "LOGS";

function protocolOf(value: string): string {
  try {
    return new URL(value).protocol;
  } catch {
    return "";
  }
}

/** `NAME=value` of what the exporter would quietly replace by its default. */
export function unusableEndpoint(signal: Signal): string | undefined {
  for (const name of [`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`, "OTEL_EXPORTER_OTLP_ENDPOINT"]) {
    const value = process.env[name];
    if (value && !/^https?:$/.test(protocolOf(value))) return `${name}=${value}`;
  }
  return undefined;
}
