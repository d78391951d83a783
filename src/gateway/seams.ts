// What the gateway's parts promise one another: the server to who starts it, and who starts it to the server.
import type { AccessLog } from "./access-log.js";
import type { GatewayConfiguration } from "./configuration.js";

/** What a server writes to and reports to. */
export interface GatewaySetup {
  readonly configuration: GatewayConfiguration;
  /** Absent when access is not logged. */
  readonly accessLog?: AccessLog | undefined;
}

/** A gateway that listens. */
export interface Gateway {
  /** Where it listens, without a slash at its end: what clients set as MLFLOW_TRACKING_URI. */
  readonly uri: string;
  /**
   * Goes on with another configuration: who is known and believed, defaults, the admin token, limits. Requests that are
   * under way end as they began. Answers the options that differ and need a restart.
   */
  reload(configuration: GatewayConfiguration): readonly string[];
  /** Takes no more requests, and resolves when those under way have ended, or the time for that is over. */
  close(): Promise<void>;
}

/** Starts to listen. Rejects when the address is taken. */
export type OpenGateway = (setup: GatewaySetup) => Promise<Gateway>;
