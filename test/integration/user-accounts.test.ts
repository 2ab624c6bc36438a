import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type ErrorSlug, isPlatformError } from "../../services/contracts/errors.ts";
import { ADDRESSES_PER_USER_MAX } from "../../services/contracts/user.ts";
import { must } from "../../services/kernel/assert.ts";
import { purgeUserData } from "../../services/user/retention.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { ADMIN, PASSWORD, type UserNode, userNode } from "../support/user.ts";

const refusedWith =
  (slug: ErrorSlug) =>
  (error: unknown): boolean =>
    isPlatformError(error, slug);

const ADDRESS = {
  recipient: "Ada",
  phone: "+44 20 5555",
  country: "GB",
  region: "London",
  city: "London",
  street: "12 St James's Square",
  postal_code: "SW1Y 4JH",
};
const NEXT_PASSWORD = "a second long password";

describe("accounts of the user service", () => {
  let schemas: TestDatabase;
  let shop: UserNode;
  let admin: string;

  before(async () => {
    schemas = await testDatabase({ services: ["user"] });
    shop = await userNode(schemas);
    admin = (await shop.as({}, "user.login", ADMIN)).access_token;
  });
  after(async () => {
    await shop.stop();
    await schemas.drop();
  });

  const login = (email: string, password: string) => shop.as({}, "user.login", { email, password });
  const resetToken = async (email: string): Promise<string | undefined> => {
    const { items } = await shop.as({ token: admin }, "user.listMails", { page_size: 100 });
    const mail = items.find((item) => item.recipient === email);
    return mail?.body.split("\n").find((line) => /^[\w-]{43}$/.test(line));
  };
  const familyOf = (token: string): string =>
    must(shop.node.tokens.verify(token), "a principal").familyId;
  const revokedFamilies = async (): Promise<(string | null)[]> =>
    (await shop.as({}, "user.revocations", { after_seq: 0 })).items.map((item) => item.family_id);

  it("change their nickname, also back to none", async () => {
    const { token, id } = await shop.customer();
    const named = await shop.as({ token }, "user.updateMe", { nickname: "Ada" });
    assert.equal(named.nickname, "Ada");
    assert.equal((await shop.as({ token }, "user.updateMe", { nickname: null })).nickname, null);
    assert.equal((await shop.as({ token: admin }, "user.get", { id })).nickname, null);
  });

  it("are shown to admins only", async () => {
    const { token, id } = await shop.customer();
    await assert.rejects(shop.as({ token }, "user.get", { id }), refusedWith("FORBIDDEN"));
    await assert.rejects(shop.as({}, "user.get", { id }), refusedWith("AUTH_REQUIRED"));
    await assert.rejects(
      shop.as({ token: admin }, "user.get", { id: "999" }),
      refusedWith("USER_NOT_FOUND"),
    );
  });

  it("end every session with a change of password, and no later one", async () => {
    const { token, email, session } = await shop.customer();
    const other = await login(email, PASSWORD);
    const change = { current_password: PASSWORD, new_password: NEXT_PASSWORD };
    await assert.rejects(
      shop.as({ token }, "user.changePassword", { ...change, current_password: "wrong" }),
      refusedWith("AUTH_BAD_CREDENTIALS"),
    );
    await shop.as({ token }, "user.changePassword", change);
    for (const { refresh_token } of [session, other]) {
      await assert.rejects(
        shop.as({}, "user.refresh", { refresh_token }),
        refusedWith("AUTH_REFRESH_INVALID"),
      );
    }
    await assert.rejects(login(email, PASSWORD), refusedWith("AUTH_BAD_CREDENTIALS"));
    const later = await login(email, NEXT_PASSWORD);
    await shop.as({}, "user.refresh", { refresh_token: later.refresh_token });
    const revoked = await revokedFamilies();
    assert.ok(revoked.includes(familyOf(token)));
    assert.ok(revoked.includes(familyOf(other.access_token)));
    assert.ok(!revoked.includes(familyOf(later.access_token)));
  });

  it("set a new password with the token of the mail, once", async () => {
    const { email, session } = await shop.customer();
    await shop.as({}, "user.requestPasswordReset", { email: email.toUpperCase() });
    const token = must(await resetToken(email), "the token");
    const reset = { token, password: NEXT_PASSWORD };
    await shop.as({}, "user.resetPassword", reset);
    await login(email, NEXT_PASSWORD);
    await assert.rejects(
      shop.as({}, "user.refresh", { refresh_token: session.refresh_token }),
      refusedWith("AUTH_REFRESH_INVALID"),
    );
    await assert.rejects(
      shop.as({}, "user.resetPassword", reset),
      refusedWith("AUTH_RESET_INVALID"),
    );
  });

  it("set one password with two uses of a token at once", async () => {
    const { email } = await shop.customer();
    await shop.as({}, "user.requestPasswordReset", { email });
    const token = must(await resetToken(email), "the token");
    const results = await Promise.allSettled(
      [`${NEXT_PASSWORD} 1`, `${NEXT_PASSWORD} 2`].map((password) =>
        shop.as({}, "user.resetPassword", { token, password }),
      ),
    );
    assert.equal(results.filter((result) => result.status === "fulfilled").length, 1);
  });

  it("refuse a reset token after half an hour", async () => {
    const { email } = await shop.customer();
    await shop.as({}, "user.requestPasswordReset", { email });
    const token = must(await resetToken(email), "the token");
    await schemas.admin.query(
      `UPDATE ${schemas.nameOf("user")}.password_resets SET expires_at = NOW(3)`,
    );
    await assert.rejects(
      shop.as({}, "user.resetPassword", { token, password: NEXT_PASSWORD }),
      refusedWith("AUTH_RESET_INVALID"),
    );
  });

  it("answer a reset of an unknown e-mail alike, without a mail", async () => {
    const before = await shop.as({ token: admin }, "user.listMails", {});
    const answer = await shop.as({}, "user.requestPasswordReset", { email: "nobody@shop.test" });
    assert.equal(answer, null);
    const after = await shop.as({ token: admin }, "user.listMails", {});
    assert.equal(after.total, before.total);
  });

  it("get at most three reset mails an hour", async () => {
    const { email } = await shop.customer();
    for (let request = 0; request < 5; request += 1) {
      await shop.as({}, "user.requestPasswordReset", { email });
    }
    const { items } = await shop.as({ token: admin }, "user.listMails", { page_size: 100 });
    assert.equal(items.filter((mail) => mail.recipient === email).length, 3);
  });

  it("keep a hundred sessions and end the oldest for one more", async () => {
    const { id, email, session } = await shop.customer();
    const families = Array.from({ length: 99 }, (_, n) => [String(1_000 + n), id]);
    await schemas.admin.query(
      `INSERT INTO ${schemas.nameOf("user")}.refresh_families
         (id, user_id, created_at, last_issued_at, expires_at)
       SELECT t.id, t.user_id, NOW(3), NOW(3), NOW(3) + INTERVAL 1 DAY FROM (
         ${families.map(() => "SELECT ? AS id, ? AS user_id").join(" UNION ALL ")}) t`,
      families.flat(),
    );
    await login(email, PASSWORD);
    const revoked = await revokedFamilies();
    assert.ok(revoked.includes("1000"), "the oldest has ended");
    assert.ok(!revoked.includes("1001"), "the next one has not");
    await shop.as({}, "user.refresh", { refresh_token: session.refresh_token });
  });

  it("keep an address book that only its owner sees", async () => {
    const [mine, other] = [await shop.customer(), await shop.customer()];
    const address = await shop.as({ token: mine.token }, "user.createAddress", ADDRESS);
    assert.deepEqual(
      await shop.as({ token: mine.token }, "user.getAddress", { id: address.id }),
      address,
    );
    assert.equal(address.is_default, true);
    const asOther = { token: other.token };
    for (const attempt of [
      () => shop.as(asOther, "user.getAddress", { id: address.id }),
      () => shop.as(asOther, "user.updateAddress", { id: address.id, city: "Bath" }),
      () => shop.as(asOther, "user.deleteAddress", { id: address.id }),
      () => shop.as({}, "user.addressSnapshot", { user_id: other.id, address_id: address.id }),
    ]) {
      await assert.rejects(attempt, refusedWith("ADDRESS_NOT_FOUND"));
    }
    const snapshot = { user_id: mine.id, address_id: address.id };
    assert.deepEqual(await shop.as({}, "user.addressSnapshot", snapshot), address);
    assert.equal((await shop.as(asOther, "user.listAddresses", {})).total, 0);
  });

  it("have one default address, whoever is made it at the same time", async () => {
    const { token } = await shop.customer();
    const made = await Promise.all(
      Array.from({ length: 6 }, () =>
        shop.as({ token }, "user.createAddress", { ...ADDRESS, is_default: true }),
      ),
    );
    await Promise.all(
      made.map(({ id }) => shop.as({ token }, "user.updateAddress", { id, is_default: true })),
    );
    const { items, total } = await shop.as({ token }, "user.listAddresses", {});
    assert.equal(total, 6);
    const defaults = items.filter((item) => item.is_default);
    assert.equal(defaults.length, 1);
    const id = must(defaults[0], "the default").id;
    const changed = await shop.as({ token }, "user.updateAddress", {
      id,
      city: "Bath",
      is_default: false,
    });
    assert.deepEqual(
      [changed.city, changed.is_default, changed.street],
      ["Bath", false, ADDRESS.street],
    );
    await shop.as({ token }, "user.deleteAddress", { id });
    await assert.rejects(
      shop.as({ token }, "user.deleteAddress", { id }),
      refusedWith("ADDRESS_NOT_FOUND"),
    );
  });

  it("hold at most fifty addresses, also when they come at once", async () => {
    const { token } = await shop.customer();
    const create = () => shop.as({ token }, "user.createAddress", ADDRESS);
    for (let n = 0; n < ADDRESSES_PER_USER_MAX - 2; n += 1) await create();
    const results = await Promise.allSettled(Array.from({ length: 5 }, create));
    const refused = results.filter((result) => result.status === "rejected");
    assert.equal(refused.length, 3);
    for (const { reason } of refused) assert.ok(isPlatformError(reason, "VALIDATION_FAILED"));
    const page = await shop.as({ token }, "user.listAddresses", { page: 2, page_size: 30 });
    assert.deepEqual([page.total, page.items.length], [ADDRESSES_PER_USER_MAX, 20]);
  });

  it("make one address for one idempotency key", async () => {
    const { token } = await shop.customer();
    const headers = {
      idempotency_route: "POST /users/me/addresses",
      idempotency_key: randomUUID(),
      idempotency_fingerprint: "a".repeat(64),
    };
    const create = () => shop.as({ token, headers }, "user.createAddress", ADDRESS);
    const first = await create();
    assert.deepEqual(await create(), first);
    assert.equal((await shop.as({ token }, "user.listAddresses", {})).total, 1);
  });

  it("refuse what the contract does not allow", async () => {
    const { token } = await shop.customer();
    for (const attempt of [
      () => shop.as({}, "user.register", { email: "short@shop.test", password: "short" }),
      () => shop.as({}, "user.register", { email: "no e-mail", password: PASSWORD }),
      () => shop.as({ token }, "user.createAddress", { ...ADDRESS, country: "gb" }),
      () => shop.as({ token }, "user.updateMe", { nickname: "A", role: "admin" } as never),
    ]) {
      await assert.rejects(attempt, refusedWith("VALIDATION_FAILED"));
    }
  });

  it("lose what has ended to the retention, and nothing else", async () => {
    const { session, email } = await shop.customer();
    await shop.as({}, "user.requestPasswordReset", { email });
    const database = shop.node.database("user");
    const schema = schemas.nameOf("user");
    await purgeUserData(database);
    await shop.as({}, "user.refresh", { refresh_token: session.refresh_token });
    assert.ok((await revokedFamilies()).length > 0);
    assert.ok((await resetToken(email)) !== undefined);
    for (const [table, column, days] of [
      ["refresh_families", "expires_at", 40],
      ["revocations", "revoked_at", 1],
      ["password_resets", "expires_at", 2],
      ["mails", "created_at", 31],
    ] as const) {
      await schemas.admin.query(
        `UPDATE ${schema}.${table} SET ${column} = ${column} - INTERVAL ${days} DAY`,
      );
    }
    await purgeUserData(database);
    for (const table of ["refresh_tokens", "refresh_families", "revocations", "mails"]) {
      const row = await database.row<{ held: string | number }>({
        name: "test.count",
        sql: `SELECT COUNT(*) AS held FROM ${table}`,
      });
      assert.equal(Number(row?.held), 0, table);
    }
  });
});
