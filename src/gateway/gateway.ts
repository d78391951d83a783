// The gateway: a governing reverse proxy that any MLflow client can be pointed at.
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { dirname } from "node:path";
import type { Duplex } from "node:stream";
import { attoToUsd } from "../engine/index.js";
import { ConfigurationError } from "../governance/errors.js";
import type { Governor } from "../governance/governor.js";
import { AccessLog } from "./access-log.js";
import { errorBody, sendError } from "./answer.js";
import { Callers, isRefusedCaller } from "./callers.js";
import {
  checkGatewayOptions,
  type GatewayConfiguration,
  type GatewayOptions,
} from "./configuration.js";
import { Confirmations } from "./confirmations.js";
import { Exchange } from "./exchange.js";
import { callerHeaders } from "./headers.js";
import { adjustLedger, startLedger } from "./ledger.js";
import { isOperatorPath, Operator } from "./operator/operator.js";
import { Payers } from "./payers.js";
import type { ExchangeRecord, Room } from "./room.js";
import { PayerSignatures } from "./signature.js";
import { Transfers } from "./transfers.js";
import { Upstream } from "./upstream.js";

/** A gateway that listens. */
export interface Gateway extends AsyncDisposable {
  /** What clients take as their tracking URI, `http(s)://host:port`. */
  readonly url: string;
  /** The ledger. */
  readonly governor: Governor;
  /**
   * Takes new options without dropping a request: those under way end as they began. Address and port stay, and so does
   * the ledger, which takes over the amounts of budgets; what else governs changes with a restart, and is warned of.
   * @throws {ConfigurationError} for options that cannot be; the gateway then goes on as it was.
   */
  reload(options: GatewayOptions): Promise<void>;
  /** Takes no more requests, lets those under way end for `limits.drainMs`, and writes down what was spent. */
  close(): Promise<void>;
}

/** One configuration at work. */
interface Setting {
  readonly configuration: GatewayConfiguration;
  readonly callers: Callers;
  readonly confirmations: Confirmations;
  readonly operator: Operator;
  readonly room: Room;
  readonly accessLog: AccessLog | undefined;
  /** Requests under way. */
  active: number;
  onIdle: (() => void) | undefined;
}

const NO_ATTRIBUTES = Object.freeze({});
/** How often a gateway that ends looks for connections that nobody uses any more. */
const DRAIN_LOOK_MS = 50;

function signaturesFor(governor: Governor): PayerSignatures {
  const { path } = governor.journal;
  try {
    // One key for all ledgers of this machine's user: gateways side by side believe each other.
    return new PayerSignatures(path === null ? undefined : dirname(path));
  } catch (error) {
    governor.warnOnce(
      "key",
      `runs of before this start are nobody's, as the gateway's key cannot be kept: ${(error as Error).message}`,
    );
    return new PayerSignatures(undefined);
  }
}

/** Everything goes on with the ledger of before, and with the way to the server. */
function makeSetting(configuration: GatewayConfiguration, before: Setting | undefined): Setting {
  const { adminToken, tls, upstream: url, limits, staticPrefix } = configuration;
  const isSecure = tls !== undefined;
  let first: Operator | undefined;
  const governor =
    before?.room.governor ??
    startLedger(configuration.governance, (decision) => first?.decided(decision));
  const operator =
    before !== undefined && sameOperating(before.configuration, configuration)
      ? before.operator
      : new Operator({ adminToken, isSecure, upstream: url, governor, before: before?.operator });
  // What one operator takes note of, the next one knows.
  first = operator;
  const upstream = before?.room.upstream ?? new Upstream(url, staticPrefix);
  const isTold = configuration.accessLog;
  return {
    configuration,
    callers: new Callers(configuration),
    confirmations: new Confirmations(upstream),
    operator,
    room: {
      governor,
      upstream,
      payers: before?.room.payers ?? new Payers(governor, upstream, signaturesFor(governor)),
      transfers: before?.room.transfers ?? new Transfers(governor, upstream),
      isSecure,
      tellsApart:
        !configuration.allowForeignRuns &&
        (configuration.tokens.length > 0 || configuration.users.size > 0),
      bodyBytesMax: limits.bodyBytes,
      idleTimeoutMs: limits.idleTimeoutMs,
      staticPrefix,
      storeUri: before?.room.storeUri ?? url.href,
    },
    accessLog:
      isTold &&
      new AccessLog(isTold, (error) =>
        governor.warnOnce("access log", `the access log is not written: ${error.message}`),
      ),
    active: 0,
    onIdle: undefined,
  };
}

function sameOperating(one: GatewayConfiguration, other: GatewayConfiguration): boolean {
  return (
    one.adminToken === other.adminToken && (one.tls === undefined) === (other.tls === undefined)
  );
}

/** Answers what is no HTTP request that anybody may send. */
function onClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, text] =
    error.code === "HPE_HEADER_OVERFLOW"
      ? ["431 Request Header Fields Too Large", "the headers are too large"]
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? ["408 Request Timeout", "the headers took too long"]
        : ["400 Bad Request", "this is no HTTP request"];
  const body = errorBody({ errorCode: "BAD_REQUEST", message: `genops: ${text}` });
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** Websockets and tunnels would pass everything by. */
function refuseUpgrade(_request: IncomingMessage, socket: Duplex): void {
  const body = errorBody({
    errorCode: "NOT_IMPLEMENTED",
    message: "genops: the gateway passes no websockets and no tunnels",
  });
  socket.on("error", () => socket.destroy());
  socket.end(
    `HTTP/1.1 501 Not Implemented\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

class ListeningGateway implements Gateway {
  #setting: Setting;
  readonly #server: Server | HttpsServer;
  #port = 0;
  #closing: Promise<void> | undefined;

  constructor(options: GatewayOptions) {
    this.#setting = makeSetting(checkGatewayOptions(options), undefined);
    const { tls, limits } = this.#setting.configuration;
    const serverOptions = {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      // Uploads may take as long as they like, as long as bytes come.
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, limits.headersTimeoutMs),
    };
    this.#server =
      tls === undefined
        ? createHttpServer(serverOptions)
        : createHttpsServer({ ...serverOptions, ...tls });
    this.#server.maxConnections = limits.connections;
    this.#server.timeout = limits.idleTimeoutMs;
    this.#server.on("request", (request, response) => this.#take(request, response, false));
    this.#server.on("checkContinue", (request, response) => this.#take(request, response, true));
    this.#server.on("upgrade", refuseUpgrade);
    this.#server.on("connect", refuseUpgrade);
    this.#server.on("clientError", onClientError);
  }

  async listen(): Promise<void> {
    const { host, port } = this.#setting.configuration;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
    this.#server.on("error", (error) => this.governor.contain(error));
  }

  get url(): string {
    const { host, tls } = this.#setting.configuration;
    const shown = host.includes(":") ? `[${host}]` : host;
    return `${tls === undefined ? "http" : "https"}://${shown}:${this.#port}`;
  }

  get governor(): Governor {
    return this.#setting.room.governor;
  }

  #take(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const setting = this.#setting;
    setting.active++;
    const startMs = Date.now();
    const startMark = performance.now();
    const read = request.socket.bytesRead;
    const record: ExchangeRecord = {};
    response.once("close", () => {
      setting.active--;
      setting.operator.answered(response.headersSent ? response.statusCode : 0);
      if (setting.active === 0) setting.onIdle?.();
      this.#log(setting, request, response, record, startMs, startMark, read);
    });
    // A connection that breaks is no fault of ours.
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    this.#handle(setting, request, response, record, expectsContinue).catch((error: unknown) => {
      setting.room.governor.contain(error);
      sendError(response, {
        status: 500,
        errorCode: "INTERNAL_ERROR",
        message: "genops: the gateway failed at this request; its log says why",
      });
    });
  }

  async #handle(
    setting: Setting,
    request: IncomingMessage,
    response: ServerResponse,
    record: ExchangeRecord,
    expectsContinue: boolean,
  ): Promise<void> {
    const { callers, confirmations, operator, room } = setting;
    const target = request.url ?? "/";
    if (!target.startsWith("/")) {
      sendError(response, {
        status: 400,
        errorCode: "BAD_REQUEST",
        message: "genops: the gateway takes paths, not whole URLs",
      });
      return;
    }
    const mark = target.indexOf("?");
    const path = mark < 0 ? target : target.slice(0, mark);
    if (isOperatorPath(path)) {
      await operator.handle(request, response);
      return;
    }
    const caller = callers.identify({
      path,
      headers: callerHeaders(request.rawHeaders),
      remoteAddress: request.socket.remoteAddress,
    });
    if (isRefusedCaller(caller)) {
      record.decision = "REFUSED";
      operator.refused({
        result: "BLOCKED",
        reasonCode: caller.status === 401 ? "x_unknown_caller" : "x_caller_refused",
        policy: "callers",
        operation: `${request.method} ${path.slice(0, 100)}`,
        reason: caller.message,
      });
      if (!request.complete) response.shouldKeepAlive = false;
      sendError(response, { ...caller, message: `genops: ${caller.message}` });
      return;
    }
    record.attributes = caller.attributes;
    if (caller.confirmUpstream) {
      const denied = await confirmations.denial(request.headers.authorization ?? "");
      if (denied !== undefined) {
        record.decision = "REFUSED";
        record.attributes = NO_ATTRIBUTES;
        if (!request.complete) response.shouldKeepAlive = false;
        sendError(response, denied);
        return;
      }
    }
    const query = mark < 0 ? "" : target.slice(mark);
    const exchange = new Exchange(
      room,
      request,
      response,
      caller,
      `${caller.path}${query}`,
      record,
      expectsContinue,
    );
    await exchange.run();
  }

  #log(
    { accessLog }: Setting,
    request: IncomingMessage,
    response: ServerResponse,
    record: ExchangeRecord,
    startMs: number,
    startMark: number,
    readBefore: number,
  ): void {
    if (accessLog === undefined) return;
    const { socket } = request;
    const length = response.getHeader("content-length");
    accessLog.write({
      startMs,
      durationMs: performance.now() - startMark,
      remoteAddress: socket.remoteAddress ?? "-",
      method: request.method ?? "-",
      path: (request.url ?? "-").split("?", 1)[0] ?? "-",
      httpVersion: request.httpVersion,
      status: response.headersSent ? response.statusCode : 0,
      // What was read of the connection tells nothing of a body that came with its headers.
      requestBytes: Number(request.headers["content-length"] ?? socket.bytesRead - readBefore),
      responseBytes: record.responseBytes ?? Number(length ?? 0),
      userAgent: request.headers["user-agent"],
      operation: record.operation,
      attributes: record.attributes ?? NO_ATTRIBUTES,
      decision: record.decision,
      reasonCode: record.reasonCode,
      cost: record.cost === undefined ? undefined : attoToUsd(record.cost),
    });
  }

  async reload(options: GatewayOptions): Promise<void> {
    const before = this.#setting;
    const { host, port, tls } = before.configuration;
    for (const [name, is, wanted] of [
      ["host", host, options.host ?? host],
      ["port", port, options.port ?? port],
    ] as const) {
      // A port that the system chose may be named as well.
      if (is === wanted || wanted === this.#port) continue;
      throw new ConfigurationError(
        "INVALID_OPTION",
        name,
        wanted,
        `${name}: ${wanted} is not ${is}; a gateway that listens keeps its place, so start another one`,
      );
    }
    const configuration = checkGatewayOptions({ ...options, host, port });
    if ((tls === undefined) !== (configuration.tls === undefined)) {
      throw new ConfigurationError(
        "INVALID_OPTION",
        "tls",
        undefined,
        "tls: a gateway that listens keeps its protocol; start another one",
      );
    }
    adjustLedger(this.governor, before.configuration, configuration);
    const { upstream, staticPrefix, governance } = before.configuration;
    const setting = makeSetting({ ...configuration, upstream, staticPrefix, governance }, before);
    if (setting.configuration.tls !== undefined) {
      (this.#server as HttpsServer).setSecureContext(setting.configuration.tls);
    }
    this.#server.maxConnections = setting.configuration.limits.connections;
    this.#server.timeout = setting.configuration.limits.idleTimeoutMs;
    this.#server.keepAliveTimeout = setting.configuration.limits.keepAliveTimeoutMs;
    this.#setting = setting;
    if (setting.operator !== before.operator) before.operator.drain();
    void this.#retire(before);
  }

  /** Ends a configuration when its last request has. */
  async #retire(before: Setting): Promise<void> {
    if (before.active > 0) {
      await new Promise<void>((resolve) => {
        before.onIdle = resolve;
      });
    }
    await before.accessLog?.close();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { operator, configuration, accessLog, room } = this.#setting;
    operator.drain();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // What is kept alive after its last answer would hold up the end until its time is over.
    const idle = setInterval(() => this.#server.closeIdleConnections(), DRAIN_LOOK_MS);
    this.#server.closeIdleConnections();
    const late = setTimeout(() => this.#server.closeAllConnections(), configuration.limits.drainMs);
    await closed;
    clearInterval(idle);
    clearTimeout(late);
    await room.transfers.close();
    room.governor.closeJournal();
    room.upstream.close();
    await accessLog?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Starts a gateway in front of an MLflow server.
 * @throws {ConfigurationError} for an unknown option or an impossible value; an `Error` with `code` `EADDRINUSE` or
 *   `EACCES` where it cannot listen.
 */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const gateway = new ListeningGateway(options);
  await gateway.listen();
  return gateway;
}
