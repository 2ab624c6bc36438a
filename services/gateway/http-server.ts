// The public listener with its limits. Node's defaults let a slow sender hold a socket for minutes,
// and answer what they refuse themselves without the envelope.
import { randomUUID } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { Duplex } from "node:stream";
import { ERROR_CATALOGUE, type ErrorSlug } from "../contracts/errors.ts";
import { errorBody } from "./http-errors.ts";
import { METHODS, SECURITY_HEADERS } from "./preflight.ts";
import {
  CONNECTIONS_CHECK_INTERVAL_MS,
  CONNECTIONS_MAX,
  HEADER_BYTES_MAX,
  HEADERS_TIMEOUT_MS,
  KEEP_ALIVE_TIMEOUT_MS,
  LISTEN_BACKLOG,
  REQUEST_TIMEOUT_MS,
  REQUESTS_PER_SOCKET_MAX,
} from "./limits.ts";

export type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;

export function createHttpServer(listener: RequestListener): Server {
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: CONNECTIONS_CHECK_INTERVAL_MS,
      noDelay: true,
      // The preflight asks for it, and answers in the envelope.
      requireHostHeader: false,
    },
    listener,
  );
  listenWithBacklog(server);
  server.maxConnections = CONNECTIONS_MAX;
  server.maxRequestsPerSocket = REQUESTS_PER_SOCKET_MAX;
  server.on("clientError", answerClientError);
  server.on("connect", (_request: IncomingMessage, socket: Duplex) => {
    answerRaw(socket, "METHOD_NOT_ALLOWED");
  });
  // An expectation nobody has heard of may be ignored (RFC 9110, 10.1.1).
  server.on("checkExpectation", listener);
  return server;
}

/**
 * Node's default lets 511 connections wait to be accepted. The kernel drops what a crowd opens beyond that, and who was
 * dropped tries again after one second, then after two more. moleculer-web names no backlog when it listens.
 */
function listenWithBacklog(server: Server): void {
  const listen = server.listen.bind(server);
  server.listen = ((port: number, host: string, onListening: () => void) =>
    listen({ port, host, backlog: LISTEN_BACKLOG }, onListening)) as Server["listen"];
}

type ClientError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer };

/** Requests that Node's parser refused never reach the listener; they get the envelope too. */
function answerClientError(error: ClientError, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
  else answerRaw(socket, slugOf(error));
}

const UNKNOWN_METHOD = /^[A-Z]{1,32} \S+ HTTP\/1\.[01]\r\n/;

const SLUG_BY_CODE: Readonly<Record<string, ErrorSlug>> = {
  HPE_HEADER_OVERFLOW: "HEADERS_TOO_LARGE",
  ERR_HTTP_REQUEST_TIMEOUT: "REQUEST_TOO_SLOW",
};

function slugOf({ code = "", rawPacket }: ClientError): ErrorSlug {
  if (code !== "HPE_INVALID_METHOD") return SLUG_BY_CODE[code] ?? "REQUEST_MALFORMED";
  const start = rawPacket?.toString("latin1", 0, HEADER_BYTES_MAX) ?? "";
  return UNKNOWN_METHOD.test(start) ? "METHOD_NOT_ALLOWED" : "REQUEST_MALFORMED";
}

function answerRaw(socket: Duplex, slug: ErrorSlug): void {
  const { status } = ERROR_CATALOGUE[slug];
  const requestId = randomUUID();
  const body = JSON.stringify(errorBody(slug, null, requestId));
  const headers: Record<string, string> = {
    Connection: "close",
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": String(Buffer.byteLength(body)),
    "X-Request-Id": requestId,
    ...SECURITY_HEADERS,
    ...(status === 405 ? { Allow: METHODS.join(", ") } : {}),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const reason = STATUS_CODES[status] ?? "";
  socket.end(`HTTP/1.1 ${String(status)} ${reason}\r\n${lines.join("")}\r\n${body}`);
}

/** Stops accepting, lets open requests finish, then drops idle connections. */
export async function closeHttpServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeIdleConnections();
  });
}
