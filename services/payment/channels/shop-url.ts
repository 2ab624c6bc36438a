// The gateway as payment providers reach it, and where on it a payment's callbacks arrive.
import type { Settings } from "../../../config/schema.ts";

const ANY_ADDRESS = new Set(["0.0.0.0", "::", ""]);

export function shopUrl(settings: Pick<Settings, "PUBLIC_URL" | "HOST" | "PORT">): string {
  if (settings.PUBLIC_URL !== "") return settings.PUBLIC_URL.replace(/\/$/, "");
  const host = ANY_ADDRESS.has(settings.HOST) ? "127.0.0.1" : settings.HOST;
  return `http://${host.includes(":") ? `[${host}]` : host}:${String(settings.PORT)}`;
}

/** Path and query below shopUrl(). */
export function callbackPath(paymentId: string): string {
  return `/api/v1/payments/${paymentId}/callbacks`;
}
