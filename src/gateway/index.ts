// genops/gateway: the governing reverse proxy, for Node.
import "../node-parts.js";

export { ConfigurationError } from "../governance/errors.js";
export type { TrustSource } from "./configuration/callers.js";
export type { GatewayLimits } from "./configuration/limits.js";
export type { AccessLogFormat, GatewayOptions, GrantOption, TlsOption } from "./configuration.js";
export { createGateway, type Gateway } from "./gateway.js";
