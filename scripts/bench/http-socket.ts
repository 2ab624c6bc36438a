// A keep-alive HTTP/1.1 connection for load: prepared bytes go out, one answer comes back. It knows
// just enough of HTTP for servers of our own.
import { connect, type Socket } from "node:net";

const ANSWER_TIMEOUT_MS = 10_000;
/** Less than a server of ours keeps an idle connection: what is sent just as it closes one is never answered. */
const IDLE_MAX_MS = 5_000;
const HEAD_END = "\r\n\r\n";
const CHUNKED_END = "\r\n0\r\n\r\n";
const LENGTH = /\r\ncontent-length: *(\d+)/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;

export interface HttpAnswer {
  readonly status: number;
  /** Status line and headers, each after a line break. */
  readonly head: string;
  readonly body: string;
}

interface Waiting {
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (error: Error) => void;
}

export class HttpSocket {
  readonly #urlOf: () => string;
  readonly #localAddress: string | undefined;
  #socket: Socket | undefined;
  #received = "";
  #waiting: Waiting | undefined;
  #usedMs = 0;

  /**
   * @param url asked for whenever a connection is opened.
   * @param localAddress of this machine; the system's choice without it.
   */
  constructor(url: string | (() => string), localAddress?: string) {
    this.#localAddress = localAddress;
    this.#urlOf = typeof url === "string" ? () => url : url;
  }

  /** One request at a time. Latin-1 text or bytes; the answer's body must be ASCII. */
  send(request: string | Buffer): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const isStale = performance.now() - this.#usedMs > IDLE_MAX_MS;
      if (isStale) this.close();
      this.#waiting = { resolve, reject };
      const socket = (this.#socket ??= this.#open());
      socket.write(request, "latin1");
    });
  }

  close(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#fail(socket, new Error("the connection was closed"));
    socket.destroy();
  }

  #open(): Socket {
    const from = this.#localAddress === undefined ? {} : { localAddress: this.#localAddress };
    const { hostname: host, port } = new URL(this.#urlOf());
    const socket = connect({ port: Number(port), host, ...from });
    socket.setNoDelay(true);
    socket.setTimeout(ANSWER_TIMEOUT_MS);
    socket.setEncoding("latin1");
    socket.on("data", (text) => this.#receive(String(text)));
    socket.on("timeout", () => socket.destroy(new Error("no answer in time")));
    socket.on("error", (error) => this.#fail(socket, error));
    socket.on("close", () => this.#fail(socket, new Error("the connection was closed")));
    return socket;
  }

  #fail(socket: Socket, error: Error): void {
    // One that was given up is nobody's any more.
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    this.#received = "";
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }

  #receive(text: string): void {
    this.#received += text;
    const answer = parseAnswer(this.#received);
    if (answer === undefined) return;
    this.#received = "";
    this.#usedMs = performance.now();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(answer);
  }
}

/** Undefined while the answer is not whole. */
export function parseAnswer(text: string): HttpAnswer | undefined {
  const headEnd = text.indexOf(HEAD_END);
  if (headEnd === -1) return undefined;
  const status = Number(text.slice(9, 12));
  const head = text.slice(0, headEnd);
  const bodyAt = headEnd + HEAD_END.length;
  if (CHUNKED.test(head)) {
    if (!text.endsWith(CHUNKED_END)) return undefined;
    return { status, head, body: text.slice(bodyAt) };
  }
  const length = Number(LENGTH.exec(head)?.[1] ?? 0);
  return text.length < bodyAt + length ? undefined : { status, head, body: text.slice(bodyAt) };
}

export interface RequestParts {
  readonly method: string;
  readonly path: string;
  readonly token?: string;
  /** Told to the server as the client's address. */
  readonly address: string;
  readonly key?: string;
  readonly requestId?: string;
  readonly body?: object;
}

/** The text of a request as a client behind a proxy would send it. ASCII only. */
export function requestText(parts: RequestParts): string {
  const { method, path, token, address, key, requestId, body } = parts;
  const text = body === undefined ? "" : JSON.stringify(body);
  return [
    `${method} ${path} HTTP/1.1`,
    "Host: shop",
    `X-Forwarded-For: ${address}`,
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ...(key === undefined ? [] : [`Idempotency-Key: ${key}`]),
    ...(requestId === undefined ? [] : [`X-Request-Id: ${requestId}`]),
    ...(text === "" ? [] : ["Content-Type: application/json", `Content-Length: ${text.length}`]),
    ...(text === "" && method === "POST" ? ["Content-Length: 0"] : []),
    "",
    text,
  ].join("\r\n");
}
