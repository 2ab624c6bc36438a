import assert from "node:assert/strict";
import { LauncherError } from "../../scripts/launcher/launcher-error.ts";
import type { Secrets } from "../../scripts/launcher/secrets.ts";
import {
  checkSettings,
  givenServers,
  namedSettings,
} from "../../scripts/launcher/start-settings.ts";

const SECRETS: Secrets = {
  AUDIT_SIGNING_KEY: "",
  API_CLIENT_SECRET: "",
  JWT_SECRET: "j".repeat(40),
  PAYMENT_WEBHOOK_SECRET: `whsec_${"A".repeat(44)}`,
  DATABASE_SECRET: "d".repeat(40),
  ADMIN_PASSWORD: "an admin's words",
  DEMO_PASSWORD: "a customer's words",
  REDIS_PASSWORD: "r",
  NATS_PASSWORD: "n",
  MYSQL_PASSWORD: "m",
};

describe("settings of a start", () => {
  it("needs nothing from an empty environment", () => {
    const settings = checkSettings({}, SECRETS);
    assert.equal(settings.PORT, 8080);
    assert.equal(settings.JWT_SECRET, SECRETS.JWT_SECRET);
  });

  it("needs no URL for servers that it will make, however strict it is", () => {
    const made = "a1b2c3d4".repeat(5);
    const secrets: Secrets = {
      ...SECRETS,
      JWT_SECRET: made,
      DATABASE_SECRET: made,
      ADMIN_PASSWORD: made,
      PAYMENT_WEBHOOK_SECRET: `whsec_${Buffer.from(made).toString("base64")}`,
    };
    assert.equal(checkSettings({ PROFILE: "production" }, secrets).PROFILE, "production");
  });

  it("reports all faults of the environment at once, with exit code 2", () => {
    assert.throws(
      () => checkSettings({ PORT: "99999", ADMIN_EMAIL: "nobody", LOG_LEVEL: "loud" }, SECRETS),
      (error) => {
        assert.ok(error instanceof LauncherError);
        assert.equal(error.exitCode, 2);
        for (const name of ["PORT", "ADMIN_EMAIL", "LOG_LEVEL"]) {
          assert.match(error.message, new RegExp(name));
        }
        return true;
      },
    );
  });

  it("takes an empty URL for none", () => {
    const given = givenServers({ MYSQL_URL: "", REDIS_URL: "redis://example.test:6379" });
    assert.deepEqual(given, { redis: "redis://example.test:6379" });
  });

  it("hands on the settings the environment names and nothing else of it", () => {
    const named = namedSettings({ PORT: "8081", PATH: "/usr/bin", LOG_LEVEL: "" });
    assert.deepEqual(named, { PORT: "8081" });
  });
});
