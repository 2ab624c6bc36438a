// The channels this platform is configured for, and which of them a callback claims to come from.
import type { Settings } from "../../../config/schema.ts";
import { PlatformError } from "../../contracts/errors.ts";
import type { PaymentChannel } from "../../contracts/payment.ts";
import { type Clock, SECOND_MS } from "../../kernel/clock.ts";
import { providerKey } from "../provider/provider-api.ts";
import { ALIPAY_GATEWAY, createAlipayChannel } from "./alipay-channel.ts";
import type { CallbackRequest, Channel, SimulatingChannel } from "./channel.ts";
import { createHttpClient, type HttpClient } from "./json-http.ts";
import { createMockChannel } from "./mock-channel.ts";
import { privateKeyOf, publicKeyOf } from "./rsa.ts";
import { callbackPath, shopUrl } from "./shop-url.ts";
import { webhookKey } from "./standard-webhook.ts";
import { createWechatChannel, WECHAT_API } from "./wechat-channel.ts";

const MOCK_TIMEOUT_MS = SECOND_MS;
const PROVIDER_TIMEOUT_MS = 2 * SECOND_MS;

export interface Channels {
  /** @throws PAYMENT_CHANNEL_UNAVAILABLE when it is not configured. */
  require(name: PaymentChannel): Channel;
  /** @throws PAYMENT_CHANNEL_UNAVAILABLE when the mock provider is off. */
  requireMock(): SimulatingChannel;
  /** The channel whose form a callback has. @throws WEBHOOK_SIGNATURE_INVALID when it has none. */
  ofCallback(request: CallbackRequest): Channel;
  close(): void;
}

export interface ConfiguredChannels {
  readonly mock?: SimulatingChannel | undefined;
  readonly alipay?: Channel | undefined;
  readonly wechat?: Channel | undefined;
}

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

/** The channels that the settings name completely. */
export function createChannels(settings: Settings, clock: Clock): Channels {
  const clients: HttpClient[] = [];
  const connect = (url: string, timeoutMs: number): HttpClient => {
    const client = createHttpClient(url, timeoutMs);
    clients.push(client);
    return client;
  };
  const parts: ChannelParts = { settings, clock, connect };
  const configured: ConfiguredChannels = {
    mock: mockChannel(parts),
    alipay: alipayChannel(parts),
    wechat: wechatChannel(parts),
  };
  return channelsOf(configured, () => {
    for (const client of clients) client.close();
  });
}

interface ChannelParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly connect: (url: string, timeoutMs: number) => HttpClient;
}

function mockChannel({ settings, clock, connect }: ChannelParts): SimulatingChannel | undefined {
  const url = providerUrl(settings);
  if (url === undefined) return undefined;
  return createMockChannel({
    http: connect(url, MOCK_TIMEOUT_MS),
    apiKey: providerKey(settings.PAYMENT_WEBHOOK_SECRET),
    webhookKeys: webhookSecrets(settings).map(webhookKey),
    clock,
  });
}

function alipayChannel({ settings, clock, connect }: ChannelParts): Channel | undefined {
  const { ALIPAY_APP_ID: appId, ALIPAY_PUBLIC_KEY, ALIPAY_PRIVATE_KEY } = settings;
  if ([appId, ALIPAY_PUBLIC_KEY, ALIPAY_PRIVATE_KEY].includes("")) return undefined;
  return createAlipayChannel({
    http: connect(ALIPAY_GATEWAY, PROVIDER_TIMEOUT_MS),
    gateway: ALIPAY_GATEWAY,
    appId,
    ownKey: privateKeyOf(ALIPAY_PRIVATE_KEY),
    alipayKey: publicKeyOf(ALIPAY_PUBLIC_KEY),
    callbackUrl: (paymentId) => shopUrl(settings) + callbackPath(paymentId),
    clock,
  });
}

function wechatChannel({ settings, clock, connect }: ChannelParts): Channel | undefined {
  const { WECHAT_APP_ID: appId, WECHAT_MERCHANT_ID: merchantId } = settings;
  const { WECHAT_CERTIFICATE_SERIAL: serial, WECHAT_PRIVATE_KEY, WECHAT_PUBLIC_KEY } = settings;
  const { WECHAT_API_V3_KEY: apiV3Key } = settings;
  const needed = [appId, merchantId, serial, WECHAT_PRIVATE_KEY, WECHAT_PUBLIC_KEY, apiV3Key];
  if (needed.includes("")) return undefined;
  return createWechatChannel({
    http: connect(WECHAT_API, PROVIDER_TIMEOUT_MS),
    appId,
    merchant: { merchantId, serial, ownKey: privateKeyOf(WECHAT_PRIVATE_KEY) },
    wechatKey: publicKeyOf(WECHAT_PUBLIC_KEY),
    apiV3Key,
    callbackUrl: (paymentId) => shopUrl(settings) + callbackPath(paymentId),
    clock,
  });
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
