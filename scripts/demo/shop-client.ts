// A small client of the shop's public HTTP API that stays below the gateway's rate limit.
import { setTimeout as delay } from "node:timers/promises";

const REQUEST_TIMEOUT_MS = 5_000;
const TRIES_MAX = 5;
/** Share of the allowed rate that is used once the burst is spent. */
const RATE_SHARE = 0.95;
const MS_PER_S = 1_000;

export interface ShopAnswer<T> {
  readonly status: number;
  /** Slug of the error; undefined for a success. */
  readonly error: string | undefined;
  readonly data: T;
}

export interface RequestOptions {
  readonly body?: object;
  /** Idempotency-Key. */
  readonly key?: string;
  /** Access token. */
  readonly token?: string;
}

export interface ShopClient {
  request<T>(
    method: "GET" | "POST",
    path: string,
    options?: RequestOptions,
  ): Promise<ShopAnswer<T>>;
}

/** @param requestsPerSecond the gateway's limit for one user, 0 = none; it allows twice as many at
 * once. */
export function createShopClient(
  baseUrl: string,
  requestsPerSecond: number,
  timeoutMs = REQUEST_TIMEOUT_MS,
): ShopClient {
  const pacers = new Map<string, () => Promise<void>>();
  const waitForTurn = async (token: string | undefined): Promise<void> => {
    if (token === undefined || requestsPerSecond === 0) return;
    const pacer = pacers.get(token) ?? createPacer(requestsPerSecond);
    pacers.set(token, pacer);
    await pacer();
  };
  return {
    async request(method, path, options = {}) {
      for (let tries = 1; ; tries += 1) {
        await waitForTurn(options.token);
        const response = await fetch(`${baseUrl}/api/v1${path}`, {
          ...partsOf(options),
          method,
          signal: AbortSignal.timeout(timeoutMs),
        });
        const answer = (await response.json()) as { error?: string; data: never };
        const isBusy = response.status === 429 || response.status === 503;
        if (!isBusy || tries >= TRIES_MAX) {
          return { status: response.status, error: answer.error, data: answer.data };
        }
        await delay(Number(response.headers.get("retry-after") ?? "1") * MS_PER_S);
      }
    },
  };
}

function partsOf({ body, key, token }: RequestOptions): RequestInit {
  const headers: Record<string, string> = {};
  if (key !== undefined) headers["idempotency-key"] = key;
  if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
  if (body === undefined) return { headers };
  return {
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify(body),
  };
}

function createPacer(requestsPerSecond: number): () => Promise<void> {
  const intervalMs = MS_PER_S / (requestsPerSecond * RATE_SHARE);
  const burst = requestsPerSecond * 2 - 1;
  let dueMs = Number.NEGATIVE_INFINITY;
  return async () => {
    const nowMs = performance.now();
    dueMs = Math.max(dueMs, nowMs - burst * intervalMs) + intervalMs;
    if (dueMs > nowMs) await delay(dueMs - nowMs);
  };
}
