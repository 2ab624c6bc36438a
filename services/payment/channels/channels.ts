// The channels this platform is configured for, and which of them a callback claims to come from.
import type { Settings } from "../../../config/schema.ts";
import { PlatformError } from "../../contracts/errors.ts";
import type { PaymentChannel } from "../../contracts/payment.ts";
import { type Clock, SECOND_MS } from "../../kernel/clock.ts";
import { providerKey } from "../provider/provider-api.ts";
import type { CallbackRequest, Channel, SimulatingChannel } from "./channel.ts";
import { createHttpClient } from "./json-http.ts";
import { createMockChannel } from "./mock-channel.ts";
import { webhookKey } from "./standard-webhook.ts";

const PROVIDER_TIMEOUT_MS = SECOND_MS;

export interface Channels {
  /** @throws PAYMENT_CHANNEL_UNAVAILABLE when it is not configured. */
  require(name: PaymentChannel): Channel;
  /** @throws PAYMENT_CHANNEL_UNAVAILABLE when the mock provider is off. */
  requireMock(): SimulatingChannel;
  /** The channel whose form a callback has. @throws WEBHOOK_SIGNATURE_INVALID when it has none. */
  ofCallback(request: CallbackRequest): Channel;
  close(): void;
}

export type ConfiguredChannels = Partial<Record<PaymentChannel, Channel>> & {
  readonly mock?: SimulatingChannel | undefined;
};

/** @param close ends their connections. */
export function channelsOf(configured: ConfiguredChannels, close: () => void): Channels {
  return {
    require(name) {
      const channel = configured[name];
      if (channel === undefined) throw new PlatformError("PAYMENT_CHANNEL_UNAVAILABLE");
      return channel;
    },
    requireMock() {
      if (configured.mock === undefined) throw new PlatformError("PAYMENT_CHANNEL_UNAVAILABLE");
      return configured.mock;
    },
    ofCallback(request) {
      const name = claimedChannel(request);
      const channel = name === undefined ? undefined : configured[name];
      if (channel === undefined) throw new PlatformError("WEBHOOK_SIGNATURE_INVALID");
      return channel;
    },
    close,
  };
}

function claimedChannel({ headers, rawBody }: CallbackRequest): PaymentChannel | undefined {
  if (headers["webhook-signature"] !== undefined) return "mock";
  if (headers["wechatpay-signature"] !== undefined) return "wechat";
  return rawBody.includes("sign=") ? "alipay" : undefined;
}

export function createChannels(settings: Settings, clock: Clock): Channels {
  const url = providerUrl(settings);
  if (url === undefined) return channelsOf({}, () => undefined);
  const http = createHttpClient(url, PROVIDER_TIMEOUT_MS);
  const mock = createMockChannel({
    http,
    apiKey: providerKey(settings.PAYMENT_WEBHOOK_SECRET),
    webhookKeys: webhookSecrets(settings).map(webhookKey),
    clock,
  });
  return channelsOf({ mock }, () => http.close());
}

function webhookSecrets(settings: Settings): readonly string[] {
  const previous = settings.PAYMENT_WEBHOOK_PREVIOUS_SECRET;
  return [settings.PAYMENT_WEBHOOK_SECRET, ...(previous === undefined ? [] : [previous])];
}

/** Where the mock provider is reached; undefined when it is switched off. */
function providerUrl(settings: Settings): string | undefined {
  if (settings.PROVIDER_URL !== "") return settings.PROVIDER_URL;
  return settings.PROVIDER_PORT === 0
    ? undefined
    : `http://127.0.0.1:${String(settings.PROVIDER_PORT)}`;
}
