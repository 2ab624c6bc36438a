// Every setting of the platform: its doc, unit, bounds and default. The README's table and
// .env.example are checked against it. No secret has a default.
import { type Static, type TSchema, Type } from "@sinclair/typebox";

const integer = (doc: string, minimum: number, maximum: number, fallback: number) =>
  Type.Integer({ description: doc, minimum, maximum, default: fallback });
const secret = (doc: string, minLength: number, pattern?: string) =>
  Type.String({
    description: doc,
    minLength,
    secret: true,
    ...(pattern === undefined ? {} : { pattern }),
  });
const choice = <const T extends string>(doc: string, values: readonly T[], fallback: T) =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    { description: doc, default: fallback },
  );

export const PROFILES = ["development", "staging", "production"] as const;
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

const DAY_MS = 86_400_000;

export const SETTINGS = Type.Object({
  PROFILE: choice("Strictness of the checks at boot", PROFILES, "development"),
  SERVICES: Type.String({
    description: "Services and roles this node runs, comma separated",
    default: "edge,core,worker",
    minLength: 1,
  }),
  NODE_ID: Type.String({
    description: "Name of this node in the cluster; made from host and process when empty",
    default: "",
    maxLength: 100,
    pattern: "^[A-Za-z0-9_.-]*$",
  }),
  VERSION: Type.String({
    description: "Release of this node's code; nodes prefer those of their own",
    default: "1",
    maxLength: 40,
    pattern: "^[A-Za-z0-9_.+-]+$",
  }),
  GREY_VERSION: Type.String({
    description: "Release that a gateway gives a part of the requests to; empty = no grey release",
    default: "",
    maxLength: 40,
  }),
  GREY_PERCENT: Type.Number({
    description: "Share of users, or of addresses without one, for GREY_VERSION, per cent",
    minimum: 0,
    maximum: 100,
    default: 0,
  }),
  GREY_USERS: Type.String({
    description: "Ids of users who always get GREY_VERSION, comma separated",
    default: "",
  }),
  NAMESPACE: Type.String({
    description: "Separates several platforms on one NATS, Redis and MySQL server",
    default: "shop",
    pattern: "^[a-z][a-z0-9_]{0,19}$",
  }),
  HOST: Type.String({ description: "Address the gateway listens on", default: "127.0.0.1" }),
  PORT: integer("Port of the gateway", 0, 65_535, 8080),
  METRICS_PORT: integer("Port of this node's /metrics; 0 lets the system choose", 0, 65_535, 0),
  DATA_DIR: Type.String({
    description: "Folder of everything the platform writes",
    default: ".data",
  }),
  MYSQL_URL: Type.String({
    description: "mysql:// URL of the server with the user that migrates",
    format: "uri",
    secret: true,
  }),
  REDIS_URL: Type.String({
    description: "redis:// URL, or redis-sentinel://host:port/master?sentinel=host:port",
    format: "uri",
    secret: true,
  }),
  NATS_URL: Type.String({ description: "nats:// URL", format: "uri", secret: true }),
  DATABASE_SECRET: secret("Key the services' database passwords are derived from", 32),
  DATABASE_POOL_SIZE: integer("Connections of one service on one node", 2, 200, 10),
  JWT_SECRET: secret("Key of the access tokens (HS256)", 32),
  JWT_PREVIOUS_SECRET: Type.Optional(
    secret("Key still accepted while access tokens signed with it run out", 32),
  ),
  PAYMENT_WEBHOOK_SECRET: secret(
    "Key of the payment callbacks (Standard Webhooks)",
    38,
    "^whsec_[A-Za-z0-9+/]+={0,2}$",
  ),
  PAYMENT_WEBHOOK_PREVIOUS_SECRET: Type.Optional(
    secret("Callback key still accepted during a rotation", 38, "^whsec_[A-Za-z0-9+/]+={0,2}$"),
  ),
  AUDIT_SIGNING_KEY: Type.String({
    description:
      "Key of the sale certificates: Ed25519, PKCS #8 in DER, base64; empty: no certificates",
    default: "",
    pattern: "^[A-Za-z0-9+/]*={0,2}$",
    secret: true,
  }),
  API_CLIENT_SECRET: Type.String({
    description: "Key that the secrets of API clients are made from; empty: no signed requests",
    default: "",
    pattern: "^(.{32,})?$",
    secret: true,
  }),
  SIGNED_ROUTES: Type.String({
    description:
      "Routes that answer signed requests only, such as POST /payments/:id/refund, comma separated",
    default: "",
  }),
  ADMIN_EMAIL: Type.String({
    description: "E-mail of the first admin",
    format: "email",
    default: "admin@shop.test",
  }),
  ADMIN_PASSWORD: secret("Password of the first admin", 10),
  CURRENCY: Type.String({
    description: "Currency of the shop (ISO 4217)",
    pattern: "^[A-Z]{3}$",
    default: "CNY",
  }),
  ORDER_PAYMENT_WINDOW_MS: integer("Time to pay an order, ms", 1_000, 7 * DAY_MS, 1_800_000),
  ORDER_BACKLOG_MAX: integer(
    "Events of orders that may wait before placing answers 503",
    1,
    1_000_000,
    20_000,
  ),
  SECKILL_BACKLOG_MAX: integer(
    "Events of sales, up to 256 buyers each, that may wait before buying answers 503",
    1,
    1_000_000,
    5_000,
  ),
  PUBLIC_URL: Type.String({
    description:
      "URL of the gateway as payment providers reach it; made from HOST and PORT when empty",
    default: "",
  }),
  PROVIDER_PORT: integer("Port of the mock payment provider; 0 switches it off", 0, 65_535, 8090),
  PROVIDER_URL: Type.String({
    description: "URL of the mock payment provider; made from PROVIDER_PORT when empty",
    default: "",
  }),
  ALIPAY_APP_ID: Type.String({
    description: "Alipay application id; empty switches it off",
    default: "",
  }),
  ALIPAY_PUBLIC_KEY: Type.String({ description: "Alipay's public key, PEM", default: "" }),
  ALIPAY_PRIVATE_KEY: Type.String({
    description: "Own private key for Alipay, PEM",
    default: "",
    secret: true,
  }),
  WECHAT_MERCHANT_ID: Type.String({
    description: "WeChat Pay merchant id; empty switches it off",
    default: "",
  }),
  WECHAT_APP_ID: Type.String({ description: "WeChat application id", default: "" }),
  WECHAT_PRIVATE_KEY: Type.String({
    description: "Own private key for WeChat Pay, PEM",
    default: "",
    secret: true,
  }),
  WECHAT_CERTIFICATE_SERIAL: Type.String({
    description: "Serial number of the own WeChat Pay certificate",
    default: "",
  }),
  WECHAT_PUBLIC_KEY: Type.String({
    description: "WeChat Pay platform public key, PEM",
    default: "",
  }),
  WECHAT_API_V3_KEY: Type.String({
    description: "WeChat Pay APIv3 key, 32 bytes",
    default: "",
    secret: true,
  }),
  RATE_LIMIT_PER_USER_RPS: integer("Requests per second and user; 0 = off", 0, 1_000_000, 20),
  RATE_LIMIT_PER_IP_RPS: integer("Requests per second and address; 0 = off", 0, 1_000_000, 200),
  RATE_LIMIT_GLOBAL_RPS: integer("Requests per second and node; 0 = off", 0, 10_000_000, 0),
  TRIGGER_BROWSING_FAILED_PERCENT: integer(
    "Failed product reads that degrade browsing for a minute, per cent; 0 = never",
    0,
    100,
    50,
  ),
  TRIGGER_BROWSING_BUSY_PERCENT: integer(
    "Busy time of a node over 10 s that degrades browsing for a minute, per cent; 0 = never",
    0,
    100,
    0,
  ),
  TRIGGER_ORDERS_FAILED_PERCENT: integer(
    "Orders failed by a fault of ours that stop orders for a minute, per cent; 0 = never",
    0,
    100,
    0,
  ),
  TRIGGER_CHANNEL_FAILED_PERCENT: integer(
    "Payments a channel could not open that disable it for a minute, per cent; 0 = never",
    0,
    100,
    0,
  ),
  TRUSTED_PROXIES: Type.String({
    description: "Addresses or CIDR blocks whose X-Forwarded-For counts, comma separated",
    default: "",
  }),
  CORS_ORIGINS: Type.String({
    description: "Origins that browsers may call from, comma separated, exact match",
    default: "",
  }),
  REQUEST_TIMEOUT_MS: integer("Time a call between services may take, ms", 100, 60_000, 3_000),
  SHUTDOWN_TIMEOUT_MS: integer(
    "Time to finish what is under way when stopping, ms",
    100,
    120_000,
    10_000,
  ),
  LOG_LEVEL: choice("Least severe level that is logged", LOG_LEVELS, "warn"),
  LOG_REQUESTS: Type.Boolean({ description: "One line per HTTP request at info", default: false }),
  JAEGER_ENDPOINT: Type.String({
    description:
      "Jaeger collector, such as http://host:14268/api/traces; empty switches tracing off",
    default: "",
  }),
  TRACE_RATIO: Type.Number({
    description: "Share of requests that are traced, 0-1; POST /orders always",
    minimum: 0,
    maximum: 1,
    default: 0.01,
  }),
});

export type Settings = Readonly<Static<typeof SETTINGS>>;
export type SettingName = keyof Settings;

/** Whether a setting must never be logged or shown. */
export function isSecret(name: SettingName): boolean {
  const schema: TSchema & { secret?: boolean } = SETTINGS.properties[name];
  return schema.secret === true;
}
