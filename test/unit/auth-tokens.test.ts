// Access tokens while their key changes, and against somebody who writes their header.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import {
  ACCESS_TOKEN_LIFETIME_S,
  createAccessTokens,
  TOKEN_AUDIENCE,
  TOKEN_ISSUER,
} from "../../mixins/auth/tokens.ts";
import { type Clock, systemClock } from "../../services/kernel/clock.ts";

const OLD = "the key of last month, 32 characters";
const NEW = "the key of this month, 32 characters";
const PRINCIPAL = { userId: "7", role: "customer", familyId: "1" } as const;

const keyIdOf = (token: string): unknown =>
  (JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()) as { kid: string })
    .kid;

describe("AUTH5 access tokens", () => {
  it("name their key, and tell nothing else of it", () => {
    const [first, second] = [OLD, NEW].map((current) =>
      keyIdOf(createAccessTokens({ current }, systemClock).sign(PRINCIPAL)),
    );
    assert.match(String(first), /^[A-Za-z0-9_-]{8}$/);
    assert.notEqual(first, second);
  });

  it("of the key before are taken during a rotation, and no longer after it", () => {
    const before = createAccessTokens({ current: OLD }, systemClock).sign(PRINCIPAL);
    const during = createAccessTokens({ current: NEW, previous: OLD }, systemClock);
    assert.equal(during.verify(before)?.userId, "7");
    const made = during.sign(PRINCIPAL);
    const after = createAccessTokens({ current: NEW }, systemClock);
    assert.equal(after.verify(before), undefined);
    assert.equal(after.verify(made)?.userId, "7");
    assert.equal(createAccessTokens({ current: OLD }, systemClock).verify(made), undefined);
  });

  it("signed with one key under the name of another are refused", () => {
    const keyring = createAccessTokens({ current: NEW, previous: OLD }, systemClock);
    const [header = ""] = keyring.sign(PRINCIPAL).split(".");
    const [, claims = ""] = createAccessTokens({ current: OLD }, systemClock)
      .sign(PRINCIPAL)
      .split(".");
    const signature = createHmac("sha256", OLD).update(`${header}.${claims}`).digest("base64url");
    assert.equal(keyring.verify(`${header}.${claims}.${signature}`), undefined);
  });

  const HEADERS: readonly object[] = [
    { alg: "HS256", typ: "at+jwt", kid: "../../../../dev/null" },
    { alg: "HS256", typ: "at+jwt", kid: "' UNION SELECT 'key" },
    { alg: "HS256", typ: "at+jwt", kid: "" },
    { alg: "HS256", typ: "at+jwt", kid: null },
    { alg: "HS256", typ: "at+jwt", kid: ["a", "b"] },
    { alg: "HS256", typ: "at+jwt" },
    { alg: "hs256", typ: "at+jwt", kid: "%" },
    { alg: "None", typ: "at+jwt", kid: "%" },
    { alg: "RS256", typ: "at+jwt", kid: "%" },
    { alg: "HS256", typ: "at+jwt", kid: "%", crit: ["b64"], b64: false },
    { alg: "HS256", typ: "at+jwt", kid: "%", x5u: "https://evil.test" },
    { alg: "HS256", typ: "at+jwt", kid: "%", zip: "DEF" },
  ];
  for (const header of HEADERS) {
    it(`are refused with the header ${JSON.stringify(header)}, well signed or not`, () => {
      const keyring = createAccessTokens({ current: NEW }, systemClock);
      const good = keyring.sign(PRINCIPAL);
      const kid = String(keyIdOf(good));
      const text = JSON.stringify(header).replace('"%"', JSON.stringify(kid));
      const [, claims = ""] = good.split(".");
      const body = `${Buffer.from(text).toString("base64url")}.${claims}`;
      for (const key of [NEW, "", "key", "null"]) {
        const signature = createHmac("sha256", key).update(body).digest("base64url");
        assert.equal(keyring.verify(`${body}.${signature}`), undefined);
      }
      assert.equal(keyring.verify(`${body}.`), undefined);
    });
  }

  it("are refused with claims that are none, and with a life that no token has", () => {
    const keyring = createAccessTokens({ current: NEW }, systemClock);
    const [header = ""] = keyring.sign(PRINCIPAL).split(".");
    const iat = Math.floor(Date.now() / 1_000);
    const right = { iss: TOKEN_ISSUER, aud: TOKEN_AUDIENCE, sub: "7", role: "customer", fam: "1" };
    for (const claims of [
      null,
      [],
      "text",
      {},
      { ...right, iat, exp: iat + ACCESS_TOKEN_LIFETIME_S + 1 },
      { ...right, iat, exp: null },
      { ...right, iat, exp: "9999999999" },
      { ...right, iat },
      { ...right, exp: iat + 60 },
      { ...right, iss: [TOKEN_ISSUER], iat, exp: iat + 60 },
      { ...right, aud: [TOKEN_AUDIENCE], iat, exp: iat + 60 },
      { ...right, iat: iat - 120, exp: iat - 60 },
    ]) {
      const body = `${header}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
      const signature = createHmac("sha256", NEW).update(body).digest("base64url");
      assert.equal(keyring.verify(`${body}.${signature}`), undefined, JSON.stringify(claims));
    }
  });

  it("end on time although they were taken a moment before", () => {
    let now = Date.now();
    const clock: Clock = { ...systemClock, now: () => now };
    const keyring = createAccessTokens({ current: NEW }, clock);
    const token = keyring.sign(PRINCIPAL);
    assert.equal(keyring.verify(token)?.userId, "7");
    now += ACCESS_TOKEN_LIFETIME_S * 1_000;
    assert.equal(keyring.verify(token), undefined);
  });
});
