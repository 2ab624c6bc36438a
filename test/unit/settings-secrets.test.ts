// A platform for real customers does not start on secrets that somebody could guess, and never says
// which value it was that it refused.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { loadSettings, SettingsError } from "../../config/load.ts";

const random = (): string => randomBytes(24).toString("hex");

const GOOD = {
  PROFILE: "production",
  MYSQL_URL: "mysql://127.0.0.1:3306",
  REDIS_URL: `redis://:${random()}@127.0.0.1:6379/0`,
  NATS_URL: `nats://shop:${random()}@127.0.0.1:4222`,
  DATABASE_SECRET: random(),
  JWT_SECRET: random(),
  PAYMENT_WEBHOOK_SECRET: `whsec_${randomBytes(33).toString("base64")}`,
  ADMIN_PASSWORD: random(),
};

function faultsOf(changes: Readonly<Record<string, string>>): readonly string[] {
  try {
    loadSettings({}, { ...GOOD, ...changes });
    return [];
  } catch (error) {
    assert.ok(error instanceof SettingsError);
    for (const [name, value] of Object.entries(changes)) {
      if (name !== "PROFILE" && value !== "") assert.ok(!error.message.includes(value), name);
    }
    return error.faults;
  }
}

describe("OPS1 settings of a platform for real customers", () => {
  it("take random secrets", () => {
    assert.deepEqual(faultsOf({}), []);
  });

  const WEAK: readonly (readonly [name: string, value: string])[] = [
    ["JWT_SECRET", "changeme-changeme-changeme-changeme"],
    ["JWT_SECRET", "x".repeat(40)],
    ["JWT_SECRET", "this-is-only-an-example-of-a-key-123"],
    ["JWT_SECRET", "short"],
    ["JWT_PREVIOUS_SECRET", "another-default-that-everybody-has"],
    ["DATABASE_SECRET", "password-password-password-password"],
    ["PAYMENT_WEBHOOK_SECRET", `whsec_${"A".repeat(44)}`],
    ["PAYMENT_WEBHOOK_SECRET", "whsec_c2hvcnQ="],
    ["PAYMENT_WEBHOOK_SECRET", random()],
    ["ADMIN_PASSWORD", "password1234"],
    ["ADMIN_PASSWORD", "1234567890"],
    ["REDIS_URL", "redis://127.0.0.1:6379/0"],
    ["REDIS_URL", "redis://:redis@127.0.0.1:6379/0"],
    ["NATS_URL", "nats://127.0.0.1:4222"],
    ["NATS_URL", "nats://shop:changeme-changeme@127.0.0.1:4222"],
    ["MYSQL_URL", "mysql://root:root@127.0.0.1:3306"],
  ];
  for (const [name, value] of WEAK) {
    it(`refuse ${name} as ${value.slice(0, 32)}`, () => {
      const faults = faultsOf({ [name]: value });
      assert.equal(faults.length, 1, faults.join("; "));
      assert.match(faults[0] ?? "", new RegExp(`^${name} `));
    });
  }

  it("refuse what is missing, all of it at once", () => {
    const missing = ["JWT_SECRET", "PAYMENT_WEBHOOK_SECRET", "DATABASE_SECRET", "ADMIN_PASSWORD"];
    const faults = faultsOf(Object.fromEntries(missing.map((name) => [name, ""])));
    assert.deepEqual([...faults].sort(), missing.map((name) => `${name} is missing`).sort());
  });

  it("are as strict for staging, and let a developer try", () => {
    assert.equal(faultsOf({ PROFILE: "staging", REDIS_URL: "redis://127.0.0.1" }).length, 1);
    assert.deepEqual(faultsOf({ PROFILE: "development", REDIS_URL: "redis://127.0.0.1" }), []);
  });

  it("take a token for a message server", () => {
    assert.deepEqual(faultsOf({ NATS_URL: `nats://${random()}@127.0.0.1:4222` }), []);
  });
});
