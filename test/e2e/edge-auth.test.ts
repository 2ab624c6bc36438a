// Who may do what, against somebody who makes tokens, replays old ones, or sits on the bus himself.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { ServiceBroker } from "moleculer";
import { loadSettings } from "../../config/load.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import { createAccessTokens } from "../../mixins/auth/tokens.ts";
import { isPlatformError, type ErrorSlug } from "../../services/contracts/errors.ts";
import type { TokenPair, User } from "../../services/contracts/user.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { eventually } from "../support/eventually.ts";
import { HttpClient } from "../support/http-client.ts";
import { API, openShop, type Shop, TOKEN_KEY } from "../support/shop.ts";
import { encode, type Json, read, sign } from "../support/tokens.ts";

const ME = `${API}/users/me`;
/** What the contract promises for the end of a session. */
const REVOKED_WITHIN_MS = 5_000;
const PASSWORD = "correct horse battery staple";

describe("the guard of the edge", function () {
  this.timeout(120_000);
  let shop: Shop;
  let buyer: Awaited<ReturnType<Shop["customer"]>>;
  let token: string;
  let header: Json;
  let claims: Json;

  before(async () => {
    shop = await openShop();
    buyer = await shop.customer();
    token = buyer.pair.access_token;
    ({ header, claims } = read(token));
  });

  const statusWith = async (bearer: string): Promise<number> =>
    (await shop.visitor().get(ME, { token: bearer })).status;

  describe("takes a token", () => {
    it("that is made as its own are", async () => {
      assert.equal(await statusWith(sign(header, claims)), 200);
    });

    const forgeries: Readonly<Record<string, () => string>> = {
      "without an algorithm": () => `${encode({ ...header, alg: "none" })}.${encode(claims)}.`,
      "of another algorithm": () => sign({ ...header, alg: "HS384" }, claims, { hash: "sha384" }),
      "of another type": () => sign({ ...header, typ: "JWT" }, claims),
      "of no type": () => sign({ alg: header["alg"], kid: header["kid"] }, claims),
      "of an unknown key": () => sign({ ...header, kid: "another1" }, claims),
      "that brings its own key": () =>
        sign({ ...header, jwk: { kty: "oct", k: "a2V5" } }, claims, { key: "key" }),
      "that names where its key is": () => sign({ ...header, jku: "https://evil.test" }, claims),
      "signed with another key": () =>
        sign(header, claims, { key: "another key of 32 characters!!" }),
      "of another issuer": () => sign(header, { ...claims, iss: "evil" }),
      "for another audience": () => sign(header, { ...claims, aud: "another-api" }),
      "that has run out": () =>
        sign(header, {
          ...claims,
          iat: Number(claims["iat"]) - 1_000,
          exp: Number(claims["iat"]) - 100,
        }),
      "from the future": () =>
        sign(header, {
          ...claims,
          iat: Number(claims["iat"]) + 600,
          exp: Number(claims["iat"]) + 1_200,
        }),
      "that lives too long": () => sign(header, { ...claims, exp: Number(claims["iat"]) + 86_400 }),
      "that never ends": () => sign(header, { ...claims, exp: undefined }),
      "whose role was changed": () => {
        const [head = "", , signature = ""] = token.split(".");
        return `${head}.${encode({ ...claims, role: "admin" })}.${signature}`;
      },
      "with a cut signature": () => token.slice(0, -8),
      "without a signature": () => token.slice(0, token.lastIndexOf(".")),
      "with a part too many": () => `${token}.x`,
      "that is a refresh token": () => buyer.pair.refresh_token,
      "of nonsense": () => "a.b.c",
      "of great length": () => `a.${"b".repeat(4_000)}.c`,
    };
    for (const [name, forge] of Object.entries(forgeries)) {
      it(`never ${name}`, async () => {
        const { status, headers, body } = await shop.visitor().get(ME, { token: forge() });
        assert.deepEqual([status, body.error], [401, "AUTH_TOKEN_INVALID"]);
        assert.match(String(headers["www-authenticate"]), /^Bearer /);
      });
    }

    it("in no other scheme than Bearer", async () => {
      for (const authorization of [
        token,
        `Basic ${token}`,
        "Bearer",
        "Bearer ",
        `Bearer ${token} x`,
      ]) {
        const { status, body } = await shop.visitor().get(ME, { headers: { authorization } });
        assert.deepEqual([status, body.error], [401, "AUTH_TOKEN_INVALID"], authorization);
      }
    });
  });

  describe("ends a session", () => {
    const whenRefused = (bearer: string): Promise<true> =>
      eventually(async () => (await statusWith(bearer)) === 401, {
        timeoutMs: REVOKED_WITHIN_MS,
        intervalMs: 150,
        what: "the access token is refused",
      });
    const refresh = (refreshToken: string) =>
      shop.visitor().post(`${API}/auth/refresh`, { refresh_token: refreshToken });
    const login = async (email: string): Promise<TokenPair> =>
      (await shop.visitor().post<TokenPair>(`${API}/auth/login`, { email, password: PASSWORD }))
        .data;

    it("within 5 s of a logout, and that one only", async () => {
      const { email, pair } = await shop.customer();
      const other = await login(email);
      const { status } = await shop.visitor().post(`${API}/auth/logout`, undefined, {
        token: pair.access_token,
      });
      assert.equal(status, 200);
      await whenRefused(pair.access_token);
      assert.equal((await refresh(pair.refresh_token)).status, 401);
      assert.equal(await statusWith(other.access_token), 200);
    });

    it("within 5 s of a change of password, wherever it was opened", async () => {
      const client = await shop.customer();
      const other = await login(client.email);
      const body = { current_password: PASSWORD, new_password: "another horse, another staple" };
      assert.equal((await client.post(`${ME}/password`, body)).status, 200);
      await whenRefused(other.access_token);
      assert.equal((await refresh(other.refresh_token)).status, 401);
    });
  });

  describe("believes nobody on the bus", () => {
    let rogue: ServiceBroker;

    before(async () => {
      const settings = loadSettings({}, shop.environment);
      rogue = new ServiceBroker(
        brokerOptions({ settings, nodeId: `rogue-${randomUUID()}`, middlewares: [] }),
      );
      await rogue.start();
      await rogue.waitForServices(["user", "order", "inventory"], 10_000);
    });
    after(() => rogue.stop());

    const FORGED = {
      user: { id: "1", role: "admin" },
      role: "admin",
      principal: { userId: "1", role: "admin", familyId: "1" },
      locals: { principal: { userId: "1", role: "admin" } },
      caller: "gateway",
    };
    const refusedWith = (name: string, params: object, meta: object, slug: ErrorSlug) =>
      assert.rejects(
        rogue.call(name, params, { meta }),
        (error: unknown) => isPlatformError(error, slug),
        `${name} was not refused with ${slug}`,
      );
    const ADMINS_ONLY = [
      ["user.get", { id: "1" }],
      ["inventory.get", { sku_id: "1" }],
    ] as const;

    it("who claims a role without a token", async () => {
      for (const [name, params] of ADMINS_ONLY) {
        await refusedWith(name, params, FORGED, "AUTH_REQUIRED");
      }
      await refusedWith("order.list", {}, { ...FORGED, userId: "1" }, "AUTH_REQUIRED");
    });

    it("who claims a role beside a customer's token", async () => {
      const meta = { ...FORGED, token };
      for (const [name, params] of ADMINS_ONLY) await refusedWith(name, params, meta, "FORBIDDEN");
    });

    it("who brings a token that he made", async () => {
      const made = sign(
        header,
        { ...claims, role: "admin" },
        { key: "a key that he made up himself!" },
      );
      for (const [name, params] of ADMINS_ONLY) {
        await refusedWith(name, params, { ...FORGED, token: made }, "AUTH_TOKEN_INVALID");
      }
    });

    it("and serves him as whom his token says, whoever he says he is", async () => {
      const answered = await rogue.call<User, object>(
        "user.me",
        {},
        { meta: { ...FORGED, token } },
      );
      assert.equal(answered.email, buyer.email);
    });
  });

  it("makes tokens for load tests that are distinct and all verify", async () => {
    const clients = await shop.madeUpCustomers(20_000);
    assert.equal(clients.length, 20_000);
    const tokens = clients.map((client) => client.token ?? "");
    assert.equal(new Set(tokens).size, 20_000);
    const keyring = createAccessTokens({ current: TOKEN_KEY }, systemClock);
    const users = new Set(tokens.map((one) => keyring.verify(one)).map((one) => one?.userId));
    assert.equal(users.size, 20_000);
    assert.ok(!users.has(undefined));
    const { status } = await new HttpClient(shop.url, tokens[9_999]).get(`${API}/orders`);
    assert.equal(status, 200);
  });
});
