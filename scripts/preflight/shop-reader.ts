// What a preflight reads of the running shop as its admin, over the public API.
import type { Settings } from "../../config/schema.ts";
import { createShopClient } from "../demo/shop-client.ts";

const READY_TIMEOUT_MS = 5_000;

export interface ShopReader {
  /** Errors: a sentence with the shop's own. */
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body?: object): Promise<T>;
  readiness(): Promise<{ isReady: boolean; checks: Readonly<Record<string, string>> }>;
}

export async function openShopReader(url: string, settings: Settings): Promise<ShopReader> {
  const client = createShopClient(url, settings.RATE_LIMIT_PER_USER_RPS);
  const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = settings;
  const login = await client.request<{ access_token: string }>("POST", "/auth/login", {
    body: { email, password },
  });
  if (login.error !== undefined) throw new Error(`the admin cannot sign in: ${login.error}`);
  const token = login.data.access_token;
  const request = async <T>(method: "GET" | "POST", path: string, body?: object): Promise<T> => {
    const options = { token, ...(body === undefined ? {} : { body }) };
    const { error, data } = await client.request<T>(method, path, options);
    if (error !== undefined) throw new Error(`${method} ${path}: ${error}`);
    return data;
  };
  return {
    get: (path) => request("GET", path),
    post: (path, body) => request("POST", path, body),
    async readiness() {
      const response = await fetch(`${url}/readyz`, {
        signal: AbortSignal.timeout(READY_TIMEOUT_MS),
      });
      const { checks } = (await response.json()) as { checks: Record<string, string> };
      return { isReady: response.ok, checks };
    },
  };
}
