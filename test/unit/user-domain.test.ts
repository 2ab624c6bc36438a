import assert from "node:assert/strict";
import { isPlatformError } from "../../services/contracts/errors.ts";
import { throttledForS } from "../../services/user/domain/login-throttle.ts";
import { formatPhc, parsePhc } from "../../services/user/domain/phc.ts";
import {
  decideRefresh,
  type PresentedToken,
  REFRESH_GRACE_MS,
  SUCCESSORS_PER_TOKEN_MAX,
} from "../../services/user/domain/refresh.ts";
import { createOneAtATime, WAITING_PER_KEY_MAX } from "../../services/user/one-at-a-time.ts";
import {
  createPasswordHashing,
  HASH_QUEUE_LENGTH_MAX,
  HASHES_AT_ONCE_MAX,
} from "../../services/user/password-hashing.ts";

const FRESH: PresentedToken = {
  spentForMs: undefined,
  successors: 0,
  familyIsRevoked: false,
  familyIsExpired: false,
};
const reused = (revokeFamily: boolean) => ({
  outcome: "refuse",
  error: "AUTH_TOKEN_REUSED",
  revokeFamily,
});
const invalid = { outcome: "refuse", error: "AUTH_REFRESH_INVALID", revokeFamily: false };

describe("a presented refresh token", () => {
  const cases: readonly (readonly [string, PresentedToken | undefined, object])[] = [
    ["is rotated when it is fresh", FRESH, { outcome: "rotate" }],
    [
      "is rotated again within the grace period",
      { ...FRESH, spentForMs: REFRESH_GRACE_MS, successors: 1 },
      { outcome: "rotate" },
    ],
    [
      "ends its family when it comes back after the grace period",
      { ...FRESH, spentForMs: REFRESH_GRACE_MS + 1, successors: 1 },
      reused(true),
    ],
    [
      "ends its family when it comes back too often within the grace period",
      { ...FRESH, spentForMs: 1, successors: SUCCESSORS_PER_TOKEN_MAX },
      reused(true),
    ],
    [
      "stays reused once its family has ended",
      { ...FRESH, spentForMs: REFRESH_GRACE_MS + 1, familyIsRevoked: true },
      reused(false),
    ],
    ["is worth nothing when its family has ended", { ...FRESH, familyIsRevoked: true }, invalid],
    [
      "is worth nothing within the grace period when its family has ended",
      { ...FRESH, spentForMs: 1, familyIsRevoked: true },
      invalid,
    ],
    ["is worth nothing after its family's life", { ...FRESH, familyIsExpired: true }, invalid],
    ["is worth nothing when nobody knows it", undefined, invalid],
  ];
  for (const [title, token, decision] of cases) {
    it(title, () => assert.deepEqual(decideRefresh(token), decision));
  }
});

describe("the login throttle", () => {
  it("opens again when the window is over", () => {
    assert.equal(throttledForS({ failures: 5, windowLeftMs: 1_001 }, 5), 2);
    assert.equal(throttledForS({ failures: 5, windowLeftMs: 0.5 }, 5), 1);
    assert.equal(throttledForS({ failures: 5, windowLeftMs: 0 }, 5), undefined);
    assert.equal(throttledForS({ failures: 4, windowLeftMs: 1_000 }, 5), undefined);
    assert.equal(throttledForS(undefined, 5), undefined);
  });
});

describe("a PHC string", () => {
  it("keeps parameters, salt and hash", () => {
    const value = {
      memoryKib: 19_456,
      passes: 2,
      parallelism: 1,
      salt: Buffer.from("0123456789abcdef"),
      hash: Buffer.alloc(32, 7),
    };
    const text = formatPhc(value);
    assert.match(text, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/);
    assert.deepEqual(parsePhc(text), value);
  });

  it("of another algorithm or version is none", () => {
    for (const text of [
      "",
      "$argon2i$v=19$m=1,t=1,p=1$AAAA$AAAA",
      "$argon2id$v=16$m=1,t=1,p=1$AAAA$AAAA",
    ]) {
      assert.equal(parsePhc(text), undefined);
    }
  });
});

describe("password hashing", () => {
  it("agrees with the reference implementation on a known hash", async () => {
    const known =
      "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    const hashing = createPasswordHashing();
    assert.equal(await hashing.verify("password", known), true);
    assert.equal(await hashing.verify("Password", known), false);
  });

  it("takes two spellings of one text for one password", async () => {
    const hashing = createPasswordHashing();
    const stored = await hashing.hash("cafe\u0301 au lait");
    assert.equal(await hashing.verify("caf\u00e9 au lait", stored), true);
  });

  it("refuses what is beyond its queue at once and serves the rest", async () => {
    const hashing = createPasswordHashing();
    const cheap = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA";
    const allowed = HASHES_AT_ONCE_MAX + HASH_QUEUE_LENGTH_MAX;
    const results = await Promise.allSettled(
      Array.from({ length: allowed + 10 }, () => hashing.verify("password", cheap)),
    );
    const refused = results.filter((result) => result.status === "rejected");
    assert.equal(refused.length, 10);
    assert.ok(refused.every(({ reason }) => isPlatformError(reason, "OVERLOADED")));
    assert.equal(await hashing.verify("password", cheap), false);
  });
});

describe("work with the same key", () => {
  it("runs one after the other, also after a failure, and other keys do not wait", async () => {
    const line = createOneAtATime();
    const order: string[] = [];
    const gate = Promise.withResolvers<undefined>();
    const first = line.run("a", async () => {
      await gate.promise;
      order.push("a1");
      throw new Error("failed");
    });
    const second = line.run("a", () => Promise.resolve(void order.push("a2")));
    await line.run("b", () => Promise.resolve(void order.push("b1")));
    gate.resolve(undefined);
    await assert.rejects(first, /failed/);
    await second;
    assert.deepEqual(order, ["b1", "a1", "a2"]);
  });

  it("is refused beyond its bound", async () => {
    const line = createOneAtATime();
    const gate = Promise.withResolvers<undefined>();
    const waiting = Array.from({ length: WAITING_PER_KEY_MAX }, () =>
      line.run("a", () => gate.promise),
    );
    await assert.rejects(
      line.run("a", () => gate.promise),
      (error: unknown) => isPlatformError(error, "OVERLOADED"),
    );
    gate.resolve(undefined);
    await Promise.all(waiting);
    await line.run("a", () => Promise.resolve());
  });
});
