// Calls of a provider's HTTP interface: kept-alive connections, a hard time limit, and one error for
// whatever goes wrong on the way. Requests must be idempotent: one is sent twice when the provider
// had closed a kept connection at that moment.
import { Agent as HttpAgent, request as httpRequest, type ClientRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { PlatformError } from "../../contracts/errors.ts";

const SOCKETS_MAX = 16;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

export interface HttpCall {
  readonly method: "GET" | "POST";
  /** Path and query, below the base URL. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface HttpClient {
  /** Any answer below 500; else PAYMENT_PROVIDER_UNAVAILABLE. */
  send(call: HttpCall): Promise<HttpAnswer>;
  close(): void;
}

export function createHttpClient(baseUrl: string, timeoutMs: number): HttpClient {
  const base = new URL(baseUrl);
  const isSecure = base.protocol === "https:";
  const agent = isSecure
    ? new HttpsAgent({ keepAlive: true, maxSockets: SOCKETS_MAX })
    : new HttpAgent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  const begin = isSecure ? httpsRequest : httpRequest;

  async function sendOnce(call: HttpCall): Promise<HttpAnswer> {
    const { method, path, headers, body } = call;
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const request = begin(new URL(base.pathname.replace(/\/$/, "") + path, base), {
      method,
      agent,
      headers: { ...headers, ...length },
      signal: AbortSignal.timeout(timeoutMs),
    });
    request.end(body);
    return await answerOf(request);
  }

  return {
    async send(call) {
      try {
        const answer = await sendOnce(call).catch((error: unknown) => {
          if (error instanceof StaleSocketError) return sendOnce(call);
          throw error;
        });
        if (answer.status < 500) return answer;
        throw new Error(`the provider answered ${answer.status}`);
      } catch (error) {
        const failure = new PlatformError("PAYMENT_PROVIDER_UNAVAILABLE");
        failure.cause = error;
        throw failure;
      }
    },
    close: () => agent.destroy(),
  };
}

/** The kept connection had been closed by the other side before the request went out. */
class StaleSocketError extends Error {}

function answerOf(request: ClientRequest): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    request.on("error", (error: Error & { code?: string }) => {
      const isStale = request.reusedSocket && error.code === "ECONNRESET";
      reject(isStale ? new StaleSocketError("connection was closed") : error);
    });
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > ANSWER_BYTES_MAX) request.destroy(new Error("the answer is too large"));
        else chunks.push(chunk);
      });
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString("utf8"),
        }),
      );
    });
  });
}
