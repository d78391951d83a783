// Who is calling, and whose budget pays: read from what the configuration believes, in its order, and from nothing else.
import type { IncomingMessage } from "node:http";
import { ATTRIBUTES, type GovernanceAttributes } from "../governance/attribution.js";
import { ConfigurationError } from "../governance/errors.js";
import { type Credentials, credentialsOf, TokenBook } from "./callers/credentials.js";
import { attributesOfHeaders, isTrustedAddress } from "./callers/header-attributes.js";
import { isKnownHost, isLoopback } from "./callers/host.js";
import { withoutPrefix } from "./callers/path-prefix.js";
import type { Grant, TrustSource } from "./configuration/callers.js";
import type { GatewayConfiguration } from "./configuration.js";

/** What is read of a request to tell its caller. */
export interface CallerRequest {
  /** Path without query, as it stands in the request. */
  readonly path: string;
  readonly headers: IncomingMessage["headersDistinct"];
  /** Address of who has connected. */
  readonly remoteAddress: string | undefined;
}

/** Somebody who may call. */
export interface IdentifiedCaller {
  /** Who pays, defaults included. */
  readonly attributes: GovernanceAttributes;
  /** Path without the attributes in it; what is forwarded. */
  readonly path: string;
  /**
   * Is this a name that only the MLflow server can vouch for? Nothing may be booked under it before the server has
   * accepted the password.
   */
  readonly confirmUpstream: boolean;
  /** Is the Authorization header for the gateway alone, and not to be forwarded? */
  readonly hidesAuthorization: boolean;
  /** May it reach MLflow's administration of users and permissions? */
  readonly isAdmin: boolean;
  /** Whose credentials these are, whatever they grant by now; undefined for who has none. Not to be shown. */
  readonly identity: string | undefined;
  /** Attributes that the tags of a run may say, as nothing that counts more has said them. */
  readonly openToTags: readonly (keyof GovernanceAttributes)[];
}

/** Somebody who may not, told as MLflow tells it. */
export interface RefusedCaller {
  readonly status: 400 | 401 | 403;
  readonly errorCode: "INVALID_PARAMETER_VALUE" | "UNAUTHENTICATED" | "PERMISSION_DENIED";
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

export function isRefusedCaller(caller: IdentifiedCaller | RefusedCaller): caller is RefusedCaller {
  return "status" in caller;
}

/** Class of MLflow's administration in the table of operations, and what of it every page needs to read. */
const ADMINISTRATION = "admin";
const READ_BY_ALL = "read_workspace";

/** Is an operation one that only those who may administer can reach? */
export function isAdministration({
  name,
  class: operationClass,
}: {
  readonly name: string;
  readonly class: string;
}): boolean {
  return operationClass === ADMINISTRATION && name !== READ_BY_ALL;
}

/** What an identity that cannot administer is told. */
export const NO_ADMINISTRATION =
  "the gateway lets only administrators reach MLflow's users, permissions, webhooks and secrets; give this token or user admin: true, or set adminRoutes: true";

function unauthenticated(message: string): RefusedCaller {
  return {
    status: 401,
    errorCode: "UNAUTHENTICATED",
    message,
    // Basic comes first: it is what browsers can ask a person for.
    headers: { "www-authenticate": 'Basic realm="genops gateway", Bearer realm="genops gateway"' },
  };
}

function malformed(error: ConfigurationError): RefusedCaller {
  return {
    status: 400,
    errorCode: "INVALID_PARAMETER_VALUE",
    message: error.message,
    headers: {},
  };
}

/** What the credentials of a request stand for. */
interface Known {
  readonly identity: string | undefined;
  readonly token: Grant | undefined;
  readonly user: Grant | undefined;
}

export class Callers {
  readonly #configuration: GatewayConfiguration;
  readonly #tokens: TokenBook;
  readonly #trusted: ReadonlySet<TrustSource>;
  /** Are there credentials at all that somebody could be known by? */
  readonly #isGuarded: boolean;

  constructor(configuration: GatewayConfiguration) {
    this.#configuration = configuration;
    this.#tokens = new TokenBook(configuration.tokens);
    this.#trusted = new Set(configuration.trust);
    this.#isGuarded = configuration.tokens.length > 0 || configuration.users.size > 0;
  }

  /** Never throws, and keeps nothing of the request. */
  identify(request: CallerRequest): IdentifiedCaller | RefusedCaller {
    try {
      return this.#identify(request);
    } catch (error) {
      if (error instanceof ConfigurationError) return malformed(error);
      throw error;
    }
  }

  #identify({ path, headers, remoteAddress }: CallerRequest): IdentifiedCaller | RefusedCaller {
    const misled = this.#misled(headers.host);
    if (misled !== undefined) return misled;
    const { trust, trustedAddresses, staticPrefix, defaults, forwardTokens, adminRoutes } =
      this.#configuration;
    const { authorization = [] } = headers;
    if (authorization.length > 1) {
      return unauthenticated("there are two Authorization headers; send one");
    }
    const credentials = credentialsOf(authorization[0]);
    const known = this.#known(credentials);
    if (this.#isUnknownToken(credentials, known)) {
      return unauthenticated(
        "this access token is not known to the gateway; set MLFLOW_TRACKING_TOKEN to one that is",
      );
    }
    const prefixed = withoutPrefix(path, staticPrefix);
    const isFromProxy =
      this.#trusted.has("header") && isTrustedAddress(trustedAddresses, remoteAddress);
    const told: Readonly<Partial<Record<TrustSource, GovernanceAttributes | undefined>>> = {
      token: known.token?.attributes,
      user: known.user?.attributes,
      path: prefixed.path === path ? undefined : prefixed.attributes,
      header: isFromProxy ? attributesOfHeaders(headers) : undefined,
    };
    const attributes: Partial<Record<keyof GovernanceAttributes, string>> = {};
    const openToTags: (keyof GovernanceAttributes)[] = [];
    for (const source of trust) {
      for (const name of ATTRIBUTES) {
        if (attributes[name] !== undefined) continue;
        const value = told[source]?.[name];
        if (value !== undefined) attributes[name] = value;
        else if (source === "tag") openToTags.push(name);
      }
    }
    if (!this.#isLetIn(told, known)) {
      return unauthenticated(
        "the gateway does not know who is calling; set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
      );
    }
    const all = { ...defaults, ...attributes };
    if (!this.#trusted.has("path")) {
      const contradicted = ATTRIBUTES.find(
        (name) => told.path?.[name] !== undefined && told.path[name] !== all[name],
      );
      if (contradicted !== undefined) return this.#notBelieved(contradicted);
    }
    const byToken = known.token !== undefined;
    return {
      attributes: all,
      path: prefixed.path,
      confirmUpstream: known.user !== undefined,
      hidesAuthorization: byToken && !forwardTokens,
      isAdmin: adminRoutes || known.token?.isAdmin === true || known.user?.isAdmin === true,
      identity: known.identity,
      openToTags,
    };
  }

  /**
   * A page anywhere can have its own name lead a browser to this machine, and would then be taken for a page of the
   * gateway. Where credentials are asked for, it has none.
   */
  #misled(hosts: readonly string[] = []): RefusedCaller | undefined {
    const { host, allowedHosts } = this.#configuration;
    const isOpen = allowedHosts.length === 0 && (this.#isGuarded || !isLoopback(host));
    const [given, surplus] = hosts;
    if (given === undefined || (isOpen && surplus === undefined)) return undefined;
    if (surplus === undefined && isKnownHost(given, [host, ...allowedHosts])) return undefined;
    return {
      status: 403,
      errorCode: "PERMISSION_DENIED",
      message: `the gateway is not known as ${JSON.stringify(given.slice(0, 100))}; add it to allowedHosts, or use its address`,
      headers: {},
    };
  }

  #known(credentials: Credentials | undefined): Known {
    const nobody = { identity: undefined, token: undefined, user: undefined };
    if (credentials === undefined) return nobody;
    if (this.#trusted.has("token")) {
      // As a password too: browsers can ask for nothing else, and so can some clients.
      const secret = credentials.kind === "bearer" ? credentials.token : credentials.password;
      const found = this.#tokens.find(secret);
      if (found !== undefined) {
        return { identity: found.identity, token: found.grant, user: undefined };
      }
    }
    if (credentials.kind !== "basic" || !this.#trusted.has("user")) return nobody;
    const user = this.#configuration.users.get(credentials.user);
    return { identity: user && `user ${credentials.user}`, token: undefined, user };
  }

  #isUnknownToken(credentials: Credentials | undefined, { token }: Known): boolean {
    return credentials?.kind === "bearer" && this.#trusted.has("token") && token === undefined;
  }

  #isLetIn(
    told: Readonly<Partial<Record<TrustSource, GovernanceAttributes | undefined>>>,
    { token, user }: Known,
  ): boolean {
    if (!this.#isGuarded || token !== undefined || user !== undefined) return true;
    const isNamed = (source: TrustSource) =>
      this.#trusted.has(source) && Object.keys(told[source] ?? {}).length > 0;
    // Who may say it by tags alone says it only when a run is created.
    return this.#trusted.has("tag") || isNamed("path") || isNamed("header");
  }

  #notBelieved(attribute: keyof GovernanceAttributes): RefusedCaller {
    return {
      status: 403,
      errorCode: "PERMISSION_DENIED",
      message: `the tracking URI's path names a ${attribute} that this gateway does not believe; leave /g/… out of MLFLOW_TRACKING_URI, as ${this.#configuration.trust.join(" and ")} says who pays`,
      headers: {},
    };
  }
}
