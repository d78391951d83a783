// Who may call, as it is configured: access tokens, users, and which sources of a name are believed.
import { BlockList, isIP } from "node:net";
import {
  ATTRIBUTES,
  attributesOf,
  checkAttribute,
  type GovernanceAttributes,
} from "../../governance/attribution.js";
import { isRecord, rejectUnknown } from "../../governance/option-names.js";
import { nearestName } from "../../nearest-name.js";
import { HIDDEN, invalid, shown } from "./problem.js";
import { readSecretMapping } from "./secret-files.js";

/** Where the attributes of a call may come from. */
export type TrustSource = "token" | "user" | "path" | "header" | "tag";

const TRUST_SOURCES: readonly TrustSource[] = ["token", "user", "path", "header", "tag"];

/** What a token or a user stands for. */
export interface Grant {
  readonly attributes: GovernanceAttributes;
  /** May it reach MLflow's administration of users and permissions? */
  readonly isAdmin: boolean;
}

/** An access token, or what is known of it. */
export type TokenGrant = Grant & ({ readonly token: string } | { readonly sha256: string });

const GRANT_FIELDS = [...ATTRIBUTES, "admin"];
const SHA256 = /^sha256:/;
/** What fits into an Authorization header as it is. */
const HEADER_TEXT = /^[\x21-\x7e]+$/;

/** Attributes under their whole names, so that the place of one that is wrong can be told. */
function attributesAt(
  field: string,
  given: Readonly<Record<string, unknown>>,
): GovernanceAttributes {
  for (const name of ATTRIBUTES) {
    if (given[name] !== undefined) checkAttribute(`${field}.${name}`, given[name]);
  }
  return attributesOf(given);
}

function grantOf(field: string, given: unknown): Grant {
  if (!isRecord(given)) {
    throw invalid(
      field,
      HIDDEN,
      'give the attributes that it stands for, for example { team: "ml-team" }',
    );
  }
  const grant = given as Readonly<Record<string, unknown>>;
  rejectUnknown(grant, GRANT_FIELDS, field);
  const { admin = false } = grant;
  if (typeof admin !== "boolean") {
    throw invalid(`${field}.admin`, admin, `${shown(admin)} is neither true nor false`);
  }
  return { attributes: attributesAt(field, grant), isAdmin: admin };
}

/** @throws {ConfigurationError} naming the attribute at fault. */
export function checkDefaults(field: string, given: unknown): GovernanceAttributes {
  if (given === undefined) return {};
  if (!isRecord(given)) {
    throw invalid(
      field,
      given,
      `${shown(given)} is no object; give for example { team: "ml-team" }`,
    );
  }
  rejectUnknown(given as object, ATTRIBUTES, field);
  return attributesAt(field, given as Readonly<Record<string, unknown>>);
}

function tokenOf(field: string, written: string): { token: string } | { sha256: string } {
  if (!SHA256.test(written)) {
    if (HEADER_TEXT.test(written)) return { token: written };
    throw invalid(
      field,
      HIDDEN,
      "a token is printable ASCII without spaces, as it must fit into an Authorization header",
    );
  }
  const digest = written.replace(SHA256, "").toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digest)) return { sha256: digest };
  throw invalid(field, HIDDEN, "after sha256: come 64 hex digits: printf %s TOKEN | sha256sum");
}

/**
 * Tokens by their number, as a message must not show them: `tokens[0].team`.
 * @throws {ConfigurationError}
 */
export function checkTokens(field: string, given: unknown): readonly TokenGrant[] {
  if (given === undefined) return [];
  if (!isRecord(given)) {
    throw invalid(field, HIDDEN, "give an object of token → attributes");
  }
  return Object.entries(given as object).map(([written, grant], index) => {
    const at = `${field}[${index}]`;
    return { ...tokenOf(at, written), ...grantOf(at, grant) };
  });
}

/** Tokens of a file of their own. @throws {ConfigurationError} with the line at fault. */
export function readTokensFile(field: string, path: unknown): readonly TokenGrant[] {
  if (path === undefined) return [];
  const file = readSecretMapping(field, path);
  const keys = Object.keys(file.content);
  return keys.map((written, index) => {
    const at = `${file.placeOf([written])}: ${field}[${index}]`;
    return { ...tokenOf(at, written), ...grantOf(at, file.content[written]) };
  });
}

/** @throws {ConfigurationError} naming the user at fault: `users.ada.team`. */
export function checkUsers(field: string, given: unknown): ReadonlyMap<string, Grant> {
  if (given === undefined) return new Map();
  if (!isRecord(given)) throw invalid(field, given, "give an object of user → attributes");
  const users = Object.entries(given as object).map(([name, grant]) => {
    const at = `${field}.${name}`;
    if (name === "" || name.includes(":")) {
      throw invalid(at, name, `${shown(name)} can be no user: basic auth ends a name at its colon`);
    }
    return [name, grantOf(at, grant)] as const;
  });
  return new Map(users);
}

/** What of it is configured decides what may be trusted. */
export interface TrustSetup {
  readonly hasTokens: boolean;
  readonly hasUsers: boolean;
  readonly hasAddresses: boolean;
}

const NEEDS: Readonly<Partial<Record<TrustSource, [keyof TrustSetup, string]>>> = {
  token: ["hasTokens", "configure tokens or tokensFile"],
  user: ["hasUsers", "configure users"],
  header: ["hasAddresses", "configure trustedAddresses, the addresses of the proxy that sets them"],
};

/**
 * Without `trust`, the credentials that are configured are believed, and where there are none the path.
 * @throws {ConfigurationError} for an unknown source, and one that has nothing to go by.
 */
export function checkTrust(
  field: string,
  given: unknown,
  setup: TrustSetup,
): readonly TrustSource[] {
  if (given === undefined) {
    const credentials: TrustSource[] = [];
    if (setup.hasTokens) credentials.push("token");
    if (setup.hasUsers) credentials.push("user");
    return credentials.length > 0 ? credentials : ["path"];
  }
  if (!Array.isArray(given) || given.length === 0) {
    throw invalid(
      field,
      given,
      `give a list of ${TRUST_SOURCES.join(", ")}, what counts most first`,
    );
  }
  for (const [index, source] of given.entries()) {
    const at = `${field}[${index}]`;
    if (!TRUST_SOURCES.includes(source)) {
      const near = typeof source === "string" ? nearestName(source, TRUST_SOURCES) : undefined;
      const hint = near === undefined ? `one of ${TRUST_SOURCES.join(", ")}` : JSON.stringify(near);
      throw invalid(at, source, `${shown(source)} is no source; give ${hint}`);
    }
    if (given.indexOf(source) !== index) throw invalid(at, source, `${source} is there twice`);
    const [needed, fix] = NEEDS[source as TrustSource] ?? [];
    if (needed !== undefined && !setup[needed]) {
      throw invalid(at, source, `${source} has nothing to go by; ${fix}`);
    }
  }
  for (const [source, is] of [
    ["token", setup.hasTokens],
    ["user", setup.hasUsers],
  ] as const) {
    if (!is || given.includes(source)) continue;
    throw invalid(field, given, `${source}s are configured and not trusted; add ${source}`);
  }
  return given as TrustSource[];
}

/** @throws {ConfigurationError} for what is neither an address nor a network. */
export function checkAddresses(field: string, given: unknown): BlockList {
  const addresses = new BlockList();
  if (given === undefined) return addresses;
  if (!Array.isArray(given)) throw invalid(field, given, "give a list of addresses or networks");
  for (const [index, each] of given.entries()) {
    const [address = "", bits, surplus] = String(each).split("/");
    const version = isIP(address);
    const family = version === 6 ? "ipv6" : "ipv4";
    const most = version === 6 ? 128 : 32;
    const isNetwork = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
    if (version === 0 || !isNetwork || surplus !== undefined) {
      throw invalid(
        `${field}[${index}]`,
        each,
        `${shown(each)} is no address; give for example 10.0.0.7, 10.0.0.0/8 or ::1`,
      );
    }
    if (bits === undefined) addresses.addAddress(address, family);
    else addresses.addSubnet(address, Number(bits), family);
  }
  return addresses;
}
