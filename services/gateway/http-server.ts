// The public listener with its limits. Node's defaults let a slow sender hold a socket for minutes.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { ERROR_CATALOGUE, type ErrorSlug } from "../contracts/errors.ts";
import { errorBody } from "./http-errors.ts";
import {
  CONNECTIONS_CHECK_INTERVAL_MS,
  CONNECTIONS_MAX,
  HEADER_BYTES_MAX,
  HEADERS_TIMEOUT_MS,
  KEEP_ALIVE_TIMEOUT_MS,
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
    },
    listener,
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.maxRequestsPerSocket = REQUESTS_PER_SOCKET_MAX;
  server.on("clientError", answerClientError);
  return server;
}

/** Requests that Node's parser refused never reach the listener; they get the envelope too. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const slug: ErrorSlug =
    error.code === "HPE_HEADER_OVERFLOW" ? "HEADERS_TOO_LARGE" : "REQUEST_MALFORMED";
  const status = error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : ERROR_CATALOGUE[slug].status;
  const body = JSON.stringify(errorBody(slug, null));
  socket.end(
    `HTTP/1.1 ${String(status)} Refused\r\nConnection: close\r\n` +
      "Content-Type: application/json; charset=utf-8\r\n" +
      `Content-Length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`,
  );
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
