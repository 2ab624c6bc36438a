// Which payment channels a platform's settings switch on.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { loadSettings } from "../../config/load.ts";
import { errorSlug } from "../../services/contracts/errors.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { createChannels } from "../../services/payment/channels/channels.ts";

const keys = generateKeyPairSync("rsa", { modulusLength: 2_048 });

function slugOf(attempt: () => unknown): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    return errorSlug(error) ?? String(error);
  }
}

describe("payment channels by settings", () => {
  const required = {
    MYSQL_URL: "mysql://u:p@127.0.0.1:3306",
    REDIS_URL: "redis://127.0.0.1:6379",
    NATS_URL: "nats://127.0.0.1:4222",
    DATABASE_SECRET: "d".repeat(40),
    JWT_SECRET: "j".repeat(40),
    PAYMENT_WEBHOOK_SECRET: `whsec_${"A".repeat(40)}`,
    ADMIN_PASSWORD: "x".repeat(12),
  };
  const pem = (key: typeof keys.publicKey, type: "spki" | "pkcs8"): string =>
    key.export({ type, format: "pem" }).toString();
  const channelsFor = (changes: Record<string, string>) =>
    createChannels(loadSettings({}, { ...required, ...changes }), systemClock);

  it("are off until they are configured", () => {
    const none = channelsFor({ PROVIDER_PORT: "0" });
    for (const name of ["mock", "alipay", "wechat"] as const) {
      assert.equal(
        slugOf(() => none.require(name)),
        "PAYMENT_CHANNEL_UNAVAILABLE",
      );
    }
    assert.equal(
      slugOf(() => none.ofCallback({ headers: {}, rawBody: Buffer.from("sign=x") })),
      "WEBHOOK_SIGNATURE_INVALID",
    );
    assert.equal(channelsFor({ PROVIDER_PORT: "8090" }).require("mock").name, "mock");
  });

  it("are on with all of their settings and off with one missing", () => {
    const all = {
      ALIPAY_APP_ID: "2021",
      ALIPAY_PUBLIC_KEY: pem(keys.publicKey, "spki"),
      ALIPAY_PRIVATE_KEY: pem(keys.privateKey, "pkcs8"),
      WECHAT_MERCHANT_ID: "1900",
      WECHAT_APP_ID: "wx1",
      WECHAT_PRIVATE_KEY: pem(keys.privateKey, "pkcs8"),
      WECHAT_CERTIFICATE_SERIAL: "5F",
      WECHAT_PUBLIC_KEY: pem(keys.publicKey, "spki"),
      WECHAT_API_V3_KEY: "an APIv3 key of 32 bytes exactly",
    };
    const configured = channelsFor(all);
    assert.equal(configured.require("alipay").name, "alipay");
    assert.equal(configured.require("wechat").name, "wechat");
    for (const missing of Object.keys(all)) {
      const channels = channelsFor({ ...all, [missing]: "" });
      const name = missing.startsWith("ALIPAY") ? "alipay" : "wechat";
      assert.equal(
        slugOf(() => channels.require(name)),
        "PAYMENT_CHANNEL_UNAVAILABLE",
        missing,
      );
    }
  });
});
