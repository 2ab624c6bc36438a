// A client of the public API as a shop front would be one: JSON, tokens, idempotency keys. Every
// client counts under an address of its own, behind the proxy that the test platform trusts.
import { randomInt, randomUUID } from "node:crypto";
import { Agent, request as httpRequest } from "node:http";

const SOCKETS_MAX = 256;
const RESPONSE_TIMEOUT_MS = 15_000;
const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });

export interface Answer<T = unknown> {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The whole body; `data` of the envelope is below. */
  readonly body: {
    readonly code: number;
    readonly error?: string;
    readonly message: string;
    readonly details?: unknown;
    readonly request_id?: string;
  };
  readonly data: T;
}

export interface SendOptions {
  readonly body?: unknown;
  /** Sent as it is instead of `body`. */
  readonly rawBody?: string | Buffer;
  readonly key?: string;
  readonly token?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ObservedAnswer {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly answer: Answer;
}

let observe: ((observed: ObservedAnswer) => void) | undefined;

/** Shows every answer of every client to `observer`; what it throws, the request rejects with. */
export function observeAnswers(observer: (observed: ObservedAnswer) => void): void {
  observe = observer;
}

export class HttpClient {
  readonly #base: URL;
  readonly #address: string;
  #token: string | undefined;

  constructor(base: string, token?: string) {
    this.#base = new URL(base);
    this.#address = `10.${String(randomInt(256))}.${String(randomInt(256))}.${String(randomInt(1, 255))}`;
    this.#token = token;
  }

  get token(): string | undefined {
    return this.#token;
  }

  signIn(token: string): this {
    this.#token = token;
    return this;
  }

  get<T = unknown>(path: string, options: SendOptions = {}): Promise<Answer<T>> {
    return this.send("GET", path, options);
  }

  post<T = unknown>(path: string, body?: unknown, options: SendOptions = {}): Promise<Answer<T>> {
    return this.send("POST", path, { ...options, body });
  }

  /** A POST with a fresh Idempotency-Key. */
  create<T = unknown>(path: string, body?: unknown): Promise<Answer<T>> {
    return this.send("POST", path, { body, key: randomUUID() });
  }

  async send<T = unknown>(
    method: string,
    path: string,
    options: SendOptions = {},
  ): Promise<Answer<T>> {
    const text =
      options.rawBody ?? (options.body === undefined ? "" : JSON.stringify(options.body));
    const token = "token" in options ? options.token : this.#token;
    const headers: Record<string, string> = {
      "x-forwarded-for": this.#address,
      ...(text.length === 0
        ? {}
        : {
            "content-type": "application/json",
            "content-length": String(Buffer.byteLength(text)),
          }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(options.key === undefined ? {} : { "idempotency-key": options.key }),
      ...options.headers,
    };
    const url = new URL(path, this.#base);
    const answer = await exchange<T>(url, method, headers, text);
    observe?.({ method, path: url.pathname, answer });
    return answer;
  }
}

function exchange<T>(
  url: URL,
  method: string,
  headers: Record<string, string>,
  text: string | Buffer,
): Promise<Answer<T>> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      url,
      { method, headers, agent, timeout: RESPONSE_TIMEOUT_MS },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("end", () => {
          const raw = Buffer.concat(chunks).toString("utf8");
          const body = (raw.startsWith("{") ? JSON.parse(raw) : { raw }) as Answer["body"];
          const { data } = body as { data?: T };
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body,
            data: data as T,
          });
        });
        incoming.on("error", reject);
      },
    );
    outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer from ${url.pathname}`)));
    outgoing.on("error", (error) =>
      reject(Object.assign(error, { wasIdle: outgoing.reusedSocket })),
    );
    outgoing.end(text);
  });
}
