// The mock payment provider: a component of its own with its own schema, reached over HTTP like a real
// one. It has no actions; what the shop learns from it comes in signed callbacks.
import { createBackgroundLoop } from "../../../mixins/background-loop.ts";
import type { ServiceSchema } from "moleculer";
import { repeatEvery } from "../../../mixins/channels/repeat.ts";
import { SECOND_MS } from "../../kernel/clock.ts";
import type { PlatformNode } from "../../node.ts";
import { createHttpClient } from "../channels/json-http.ts";
import { shopUrl } from "../channels/shop-url.ts";
import { webhookKey } from "../channels/standard-webhook.ts";
import { CALLBACK_TIMEOUT_MS, sendCallbacks } from "./callback-sender.ts";
import { providerKey } from "./provider-api.ts";
import { purgeProviderBooks, RETENTION_INTERVAL_MS } from "./provider-retention.ts";
import { createProviderServer } from "./provider-server.ts";

const LOOK_INTERVAL_MS = 0.25 * SECOND_MS;

export function wire(node: PlatformNode): ServiceSchema {
  const { settings, clock, random, log } = node;
  const isOff = settings.PROVIDER_PORT === 0;
  if (isOff) return { name: "provider" };
  const database = node.database("provider");
  const http = createHttpClient(shopUrl(settings), CALLBACK_TIMEOUT_MS);
  const key = webhookKey(settings.PAYMENT_WEBHOOK_SECRET);
  const callbacks = createBackgroundLoop({
    name: "provider.callbacks",
    log,
    random,
    turn: async () => {
      const hasMore = await sendCallbacks({ database, http, key, clock, random });
      return hasMore ? 0 : LOOK_INTERVAL_MS;
    },
  });
  const retention = repeatEvery(RETENTION_INTERVAL_MS, log, async () => {
    await purgeProviderBooks(database);
  });
  const server = createProviderServer({
    database,
    apiKey: providerKey(settings.PAYMENT_WEBHOOK_SECRET),
    port: settings.PROVIDER_PORT,
    log,
    onDelivery: () => callbacks.wake(),
  });
  return {
    name: "provider",
    async started() {
      await server.start();
      callbacks.start();
      retention.start();
    },
    async stopped() {
      await server.stop();
      await Promise.all([callbacks.stop(), retention.stop()]);
      http.close();
    },
  };
}
