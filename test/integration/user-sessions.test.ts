import assert from "node:assert/strict";
import { errorDetails, isPlatformError } from "../../services/contracts/errors.ts";
import { must } from "../../services/kernel/assert.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { ADMIN, PASSWORD, type UserNode, userNode } from "../support/user.ts";

const refusedWith =
  (slug: Parameters<typeof isPlatformError>[1]) =>
  (error: unknown): boolean =>
    isPlatformError(error, must(slug, "a slug"));

describe("sessions of the user service", () => {
  let schemas: TestDatabase;
  let shop: UserNode;

  before(async () => {
    schemas = await testDatabase({ services: ["user"] });
    shop = await userNode(schemas);
  });
  after(async () => {
    await shop.stop();
    await schemas.drop();
  });

  const refresh = (refreshToken: string) =>
    shop.as({}, "user.refresh", { refresh_token: refreshToken });
  const login = (email: string, password: string, clientIp = "203.0.113.1") =>
    shop.as({ clientIp }, "user.login", { email, password });
  /** Moves the moments a user's tokens were spent into the past. */
  const ageSpentTokens = (seconds: number) =>
    schemas.admin.query(
      `UPDATE ${schemas.nameOf("user")}.refresh_tokens
       SET spent_at = spent_at - INTERVAL ? SECOND WHERE spent_at IS NOT NULL`,
      [seconds],
    );

  it("registers a customer under the normalised e-mail and shows its profile", async () => {
    const user = await shop.as({}, "user.register", {
      email: "Ada@Example.test",
      password: PASSWORD,
      nickname: "Ada",
    });
    assert.deepEqual(
      { email: user.email, nickname: user.nickname, role: user.role },
      { email: "ada@example.test", nickname: "Ada", role: "customer" },
    );
    const session = await login(" ADA@example.TEST ", PASSWORD);
    assert.deepEqual(await shop.as({ token: session.access_token }, "user.me", {}), user);
    await assert.rejects(
      shop.as({}, "user.register", { email: "ADA@example.test", password: PASSWORD }),
      refusedWith("USER_EMAIL_TAKEN"),
    );
  });

  it("gives one of two registrations at once the e-mail", async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 4 }, () =>
        shop.as({}, "user.register", { email: "race@shop.test", password: PASSWORD }),
      ),
    );
    const refusals = results.filter((result) => result.status === "rejected");
    assert.equal(refusals.length, 3);
    for (const { reason } of refusals) assert.ok(isPlatformError(reason, "USER_EMAIL_TAKEN"));
  });

  it("stores an argon2id hash and neither passwords nor tokens", async () => {
    const { id, session } = await shop.customer();
    const database = shop.node.database("user");
    const find = (name: string, text: string, params: unknown[]) =>
      database.row<Record<string, string>>({ name, sql: text }, params);
    const user = await find("test.user", "SELECT password_hash FROM users WHERE id = ?", [id]);
    assert.match(
      must(user, "the user")["password_hash"] ?? "",
      /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/,
    );
    const plain = await find("test.token", "SELECT 1 FROM refresh_tokens WHERE token_hash = ?", [
      session.refresh_token,
    ]);
    assert.equal(plain, undefined);
  });

  it("takes long and non-ASCII passwords whole", async () => {
    const password = `пароль-${"長".repeat(100)}`;
    await shop.as({}, "user.register", { email: "long@shop.test", password });
    await login("long@shop.test", password);
    await assert.rejects(
      login("long@shop.test", password.slice(0, -1)),
      refusedWith("AUTH_BAD_CREDENTIALS"),
    );
  });

  it("answers an unknown e-mail like a wrong password", async () => {
    const { email } = await shop.customer();
    const errors = await Promise.all(
      [email, "nobody@shop.test"].map((who) =>
        login(who, "wrong password").then(
          () => assert.fail("a wrong password was taken"),
          (error: unknown) => error as Error & { code: number; data: unknown },
        ),
      ),
    );
    const [wrong, unknown] = errors.map(({ message, code, data }) => ({ message, code, data }));
    assert.deepEqual(wrong, unknown);
    assert.ok(isPlatformError(errors[0], "AUTH_BAD_CREDENTIALS"));
  });

  it("throttles the sixth try after five failures, at this address only", async () => {
    const { email } = await shop.customer();
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => login(email, "wrong password", "203.0.113.7")),
    );
    const slugs = results.map((result) =>
      result.status === "rejected" && isPlatformError(result.reason, "AUTH_BAD_CREDENTIALS")
        ? "refused"
        : "throttled",
    );
    assert.equal(slugs.filter((slug) => slug === "refused").length, 5);
    const error: unknown = await login(email, PASSWORD, "203.0.113.7").catch(
      (reason: unknown) => reason,
    );
    assert.ok(isPlatformError(error, "LOGIN_THROTTLED"));
    const { retry_after_s: retryAfterS } = errorDetails(error) as { retry_after_s: number };
    assert.ok(retryAfterS > 800 && retryAfterS <= 900, `retry after ${retryAfterS} s`);
    await login(email, PASSWORD, "203.0.113.8");
  });

  it("forgets failures after a success and when their window is over", async () => {
    const { email } = await shop.customer();
    const fail = () =>
      assert.rejects(login(email, "wrong password"), refusedWith("AUTH_BAD_CREDENTIALS"));
    for (let failure = 0; failure < 4; failure += 1) await fail();
    await login(email, PASSWORD);
    for (let failure = 0; failure < 5; failure += 1) await fail();
    await assert.rejects(login(email, PASSWORD), refusedWith("LOGIN_THROTTLED"));
    await schemas.admin.query(
      `UPDATE ${schemas.nameOf("user")}.login_throttles SET window_ends_at = NOW(3)`,
    );
    await login(email, PASSWORD);
  });

  it("throttles an address that fails with many accounts", async () => {
    const throttles = `${schemas.nameOf("user")}.login_throttles`;
    const { email } = await shop.customer();
    await schemas.admin.query(`DELETE FROM ${throttles}`);
    for (const account of ["one@shop.test", "two@shop.test"]) {
      await assert.rejects(login(account, PASSWORD), refusedWith("AUTH_BAD_CREDENTIALS"));
    }
    // Only the address has failed twice; 47 more accounts bring it to the brink.
    await schemas.admin.query(`UPDATE ${throttles} SET failures = 49 WHERE failures = 2`);
    await assert.rejects(login("last@shop.test", PASSWORD), refusedWith("AUTH_BAD_CREDENTIALS"));
    await assert.rejects(login(email, PASSWORD), refusedWith("LOGIN_THROTTLED"));
    await login(email, PASSWORD, "203.0.113.9");
    await schemas.admin.query(`DELETE FROM ${throttles}`);
  });

  it("lets twenty honest logins of one account in at once", async () => {
    const { email } = await shop.customer();
    const sessions = await Promise.all(Array.from({ length: 20 }, () => login(email, PASSWORD)));
    assert.equal(new Set(sessions.map((session) => session.refresh_token)).size, 20);
  });

  it("spends a refresh token and gives a new pair", async () => {
    const { session } = await shop.customer();
    const second = await refresh(session.refresh_token);
    assert.notEqual(second.refresh_token, session.refresh_token);
    await shop.as({ token: second.access_token }, "user.me", {});
    await refresh(second.refresh_token);
  });

  it("logs nobody out over two refreshes at once", async () => {
    const { session } = await shop.customer();
    const pairs = await Promise.all([
      refresh(session.refresh_token),
      refresh(session.refresh_token),
    ]);
    assert.notEqual(pairs[0].refresh_token, pairs[1].refresh_token);
    await refresh(pairs[1].refresh_token);
  });

  it("revokes the family when a spent token comes back later", async () => {
    const { session } = await shop.customer();
    const second = await refresh(session.refresh_token);
    await ageSpentTokens(11);
    await assert.rejects(refresh(session.refresh_token), refusedWith("AUTH_TOKEN_REUSED"));
    await assert.rejects(refresh(second.refresh_token), refusedWith("AUTH_REFRESH_INVALID"));
    await assert.rejects(refresh(session.refresh_token), refusedWith("AUTH_TOKEN_REUSED"));
    const { items } = await shop.as({}, "user.revocations", { after_seq: 0 });
    const family = shop.node.tokens.verify(second.access_token)?.familyId;
    assert.equal(items.filter((item) => item.family_id === family).length, 1);
  });

  it("revokes the family when both sides of a race go on", async () => {
    const { session } = await shop.customer();
    const [owner, thief] = await Promise.all([
      refresh(session.refresh_token),
      refresh(session.refresh_token),
    ]);
    await refresh(owner.refresh_token);
    await ageSpentTokens(11);
    await assert.rejects(refresh(thief.refresh_token), refusedWith("AUTH_TOKEN_REUSED"));
  });

  it("ends a family 30 days after its login, however often it was refreshed", async () => {
    const { session } = await shop.customer();
    const second = await refresh(session.refresh_token);
    const database = shop.node.database("user");
    const family = must(shop.node.tokens.verify(second.access_token), "a principal").familyId;
    const row = await database.row<{ days: string }>(
      {
        name: "test.lifetime",
        sql: `SELECT TIMESTAMPDIFF(DAY, created_at, expires_at) AS days
              FROM refresh_families WHERE id = ?`,
      },
      [family],
    );
    assert.equal(Number(row?.days), 30);
    await schemas.admin.query(
      `UPDATE ${schemas.nameOf("user")}.refresh_families SET expires_at = NOW(3) WHERE id = ?`,
      [family],
    );
    await assert.rejects(refresh(second.refresh_token), refusedWith("AUTH_REFRESH_INVALID"));
  });

  it("ends the session at logout and lists it, again and again", async () => {
    const { session, token } = await shop.customer();
    await shop.as({ token }, "user.logout", {});
    await shop.as({ token }, "user.logout", { refresh_token: session.refresh_token });
    await assert.rejects(refresh(session.refresh_token), refusedWith("AUTH_REFRESH_INVALID"));
  });

  it("does not end another user's session at logout", async () => {
    const [mine, other] = [await shop.customer(), await shop.customer()];
    await shop.as({ token: mine.token }, "user.logout", {
      refresh_token: other.session.refresh_token,
    });
    await refresh(other.session.refresh_token);
  });

  it("numbers revocations so that a reader who follows them misses none", async () => {
    const sessions = await Promise.all(Array.from({ length: 10 }, () => shop.customer()));
    const seen = new Set<string>();
    let afterSeq = 0;
    const read = async (): Promise<void> => {
      const { items } = await shop.as({}, "user.revocations", { after_seq: afterSeq });
      for (const { seq, family_id: family } of items) {
        assert.ok(seq > afterSeq);
        afterSeq = seq;
        if (family !== null) seen.add(family);
      }
    };
    const logouts = { areDone: false };
    const reader = (async () => {
      while (!logouts.areDone) await read();
    })();
    await Promise.all(sessions.map(({ token }) => shop.as({ token }, "user.logout", {})));
    logouts.areDone = true;
    await reader;
    await read();
    for (const { token } of sessions) {
      assert.ok(seen.has(must(shop.node.tokens.verify(token), "a principal").familyId));
    }
  });

  it("makes one first admin over several nodes and restarts", async () => {
    const nodes = await Promise.all([userNode(schemas), userNode(schemas)]);
    const session = await login(ADMIN.email, ADMIN.password);
    const me = await shop.as({ token: session.access_token }, "user.me", {});
    assert.deepEqual({ id: me.id, role: me.role }, { id: "1", role: "admin" });
    await Promise.all(nodes.map((node) => node.stop()));
  });
});
