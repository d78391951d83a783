// What requests are worked on with and in: the gateway's parts, what was let in, and how it went.
import type { GovernanceAttributes } from "../governance/attribution.js";
import type { Governor, Pending } from "../governance/governor.js";
import type { WireReading } from "../instrumentation/wire/request.js";
import type { Payers } from "./payers.js";
import type { Transfers } from "./transfers.js";
import type { Upstream } from "./upstream.js";

/** What an exchange works with; the same for all until the gateway is configured anew. */
export interface Room {
  readonly governor: Governor;
  readonly upstream: Upstream;
  readonly payers: Payers;
  readonly transfers: Transfers;
  readonly isSecure: boolean;
  /** Are callers told apart by credentials, so that a run can be somebody else's? */
  readonly tellsApart: boolean;
  readonly bodyBytesMax: number;
  readonly idleTimeoutMs: number;
  readonly staticPrefix: string;
  readonly storeUri: string;
}

/** How an exchange went, for the access log. */
export interface ExchangeRecord {
  operation?: string;
  attributes?: GovernanceAttributes;
  /** Atto-USD. */
  cost?: bigint;
  decision?: string;
  reasonCode?: string;
  responseBytes?: number;
}

/** A request that is one of MLflow's operations. */
export type Operative = Extract<WireReading, { readonly kind: "operation" }>;

/** A call that was let in. */
export interface Admitted {
  readonly reading: Operative;
  readonly pending: Pending | undefined;
  readonly body: Uint8Array | undefined;
  /** Whose credentials the caller has; see `IdentifiedCaller`. */
  readonly identity?: string | undefined;
}
