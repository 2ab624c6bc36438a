import assert from "node:assert/strict";
import { sql } from "../../mixins/database/database.ts";
import type { Database, Transaction } from "../../mixins/database/database.ts";
import { DatabaseError, isDuplicateKey } from "../../mixins/database/database-error.ts";
import type { ObservedCommand } from "../../mixins/metrics/observed-command.ts";
import { isPlatformError, PlatformError } from "../../services/contracts/errors.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

const INSERT = sql("inbox.insert", "INSERT INTO inbox (consumer, event_id) VALUES ?");
const COUNT = sql("inbox.count", "SELECT COUNT(*) AS n FROM inbox WHERE consumer = ?");
const LOCK = sql("leases.lock", "SELECT fence FROM leases WHERE name = ? FOR UPDATE");
const BUMP = sql("leases.bump", "UPDATE leases SET fence = fence + 1 WHERE name = ?");

describe("the MySQL database", () => {
  let schema: TestDatabase;
  let database: Database;

  before(async function () {
    this.timeout(60_000);
    schema = await testDatabase({ services: ["order"] });
    database = schema.database("order");
  });

  beforeEach(async () => {
    await database.run(sql("inbox.clear", "DELETE FROM inbox"));
    await database.run(sql("leases.clear", "DELETE FROM leases"));
    await database.run(
      sql("leases.insert", "INSERT INTO leases (name, owner, lease_until, fence) VALUES ?"),
      [["a", "b"].map((name) => [name, "nobody", new Date(0), 0])],
    );
  });

  after(async () => schema.drop());

  async function count(consumer: string): Promise<number> {
    return Number((await database.row<{ n: string }>(COUNT, [consumer]))?.n);
  }

  async function fence(name: string): Promise<string | undefined> {
    const FENCE = sql("leases.fence", "SELECT fence FROM leases WHERE name = ?");
    return (await database.row<{ fence: string }>(FENCE, [name]))?.fence;
  }

  it("keeps BIGINTs exact as strings and times in UTC to the millisecond", async () => {
    const at = new Date("2024-02-29T23:59:59.987Z");
    await database.run(
      sql("leases.insert", "INSERT INTO leases (name, owner, lease_until, fence) VALUES ?"),
      [[["c", "me", at, "18446744073709551615"]]],
    );
    const row = await database.row<{ fence: string; lease_until: Date; text: string }>(
      sql(
        "leases.find",
        "SELECT fence, lease_until, CAST(lease_until AS CHAR) AS text FROM leases WHERE name = ?",
      ),
      ["c"],
    );
    assert.equal(row?.fence, "18446744073709551615");
    assert.equal(row.lease_until.getTime(), at.getTime());
    assert.equal(row.text, "2024-02-29 23:59:59.987");
  });

  it("has a session with strict mode, UTC, READ COMMITTED and bounded waits", async () => {
    const row = await database.row(
      sql(
        "session",
        "SELECT @@time_zone AS zone, @@tx_isolation AS isolation, @@sql_mode LIKE '%STRICT_ALL%' AS strict, " +
          "CAST(@@innodb_lock_wait_timeout AS CHAR) AS lock_wait, @@max_statement_time AS statement_time",
      ),
    );
    assert.deepEqual(
      { ...row },
      { zone: "+00:00", isolation: "READ-COMMITTED", strict: 1, lock_wait: "3", statement_time: 5 },
    );
  });

  it("commits all of a transaction", async () => {
    const value = await database.transaction("two", async (tx) => {
      await tx.run(INSERT, [[["x", "1"]]]);
      await tx.run(INSERT, [[["x", "2"]]]);
      return "done";
    });
    assert.equal(value, "done");
    assert.equal(await count("x"), 2);
  });

  it("keeps nothing of a transaction whose work throws, and throws its error on", async () => {
    const refusal = new PlatformError("INVENTORY_OUT_OF_STOCK", { sku_ids: ["1"] });
    await assert.rejects(
      database.transaction("refused", async (tx) => {
        await tx.run(INSERT, [[["x", "1"]]]);
        throw refusal;
      }),
      refusal,
    );
    assert.equal(await count("x"), 0);
  });

  it("does not commit when the work swallows the failure of a statement", async () => {
    await assert.rejects(
      database.transaction("swallowed", async (tx) => {
        await tx.run(INSERT, [[["x", "1"]]]);
        await tx
          .run(sql("broken", "INSERT INTO inbox (no_such) VALUES (1)"))
          .catch(() => undefined);
        await tx.run(INSERT, [[["x", "2"]]]).catch(() => undefined);
      }),
      (error) => error instanceof DatabaseError && error.number === 1054,
    );
    assert.equal(await count("x"), 0);
  });

  it("goes on after a duplicate key, and names the key", async () => {
    await database.run(INSERT, [[["x", "1"]]]);
    await database.transaction("duplicate", async (tx) => {
      const error: unknown = await tx.run(INSERT, [[["x", "1"]]]).catch((e: unknown) => e);
      assert.ok(isDuplicateKey(error, "PRIMARY"));
      assert.ok(!isDuplicateKey(error, "other"));
      await tx.run(INSERT, [[["x", "2"]]]);
    });
    assert.equal(await count("x"), 2);
  });

  it("never shows values or SQL in its errors", async () => {
    await database.run(INSERT, [[["x", "top-secret"]]]);
    const error: unknown = await database
      .run(INSERT, [[["x", "top-secret"]]])
      .catch((e: unknown) => e);
    assert.ok(error instanceof DatabaseError);
    const text = JSON.stringify(error, Object.getOwnPropertyNames(error));
    assert.ok(!text.includes("top-secret") && !text.includes("INSERT"), text);
  });

  it("refuses a statement after the end of its transaction", async () => {
    let leaked: Transaction | undefined;
    await database.transaction("leak", (tx) => {
      leaked = tx;
      return Promise.resolve();
    });
    await assert.rejects(leaked!.run(INSERT, [[["x", "1"]]]), /after its transaction had ended/);
    assert.equal(await count("x"), 0);
  });

  it("runs both of two transactions that lock rows in opposite order", async () => {
    const both = [
      ["a", "b"],
      ["b", "a"],
    ].map((names) => {
      let arrive: () => void = () => undefined;
      const hasLocked = new Promise<void>((resolve) => (arrive = resolve));
      return { names, hasLocked, arrive };
    });
    let runs = 0;
    await Promise.all(
      both.map((one, index) =>
        database.transaction("opposite", async (tx) => {
          runs += 1;
          await tx.row(LOCK, [one.names[0]]);
          one.arrive();
          // Both hold their first lock before either asks for its second: a certain deadlock.
          await both[1 - index]!.hasLocked;
          await tx.run(BUMP, [one.names[1]]);
        }),
      ),
    );
    assert.ok(runs >= 3, `the loser must have run again (${runs} runs)`);
    assert.deepEqual([await fence("a"), await fence("b")], ["1", "1"]);
  });

  it("undoes what was queued behind a deadlocked statement", async () => {
    let isFirstRun = true;
    let isLocked: () => void = () => undefined;
    const locked = new Promise<void>((resolve) => (isLocked = resolve));
    let othersHold: () => void = () => undefined;
    const other = new Promise<void>((resolve) => (othersHold = resolve));
    const victim = database.transaction("victim", async (tx) => {
      if (!isFirstRun) return;
      isFirstRun = false;
      await tx.row(LOCK, ["a"]);
      isLocked();
      await other;
      await Promise.all([tx.row(LOCK, ["b"]), tx.run(INSERT, [[["x", "behind"]]])]);
    });
    await locked;
    const winner = database.transaction("winner", async (tx) => {
      // More rows written make this one the more expensive victim, so that the other is chosen.
      await tx.run(INSERT, [Array.from({ length: 200 }, (_, n) => ["w", `${n}`])]);
      await tx.row(LOCK, ["b"]);
      othersHold();
      await tx.row(LOCK, ["a"]);
    });
    await Promise.all([victim, winner]);
    assert.equal(isFirstRun, false);
    assert.equal(await count("x"), 0);
    assert.equal(await count("w"), 200);
  });

  it("answers OVERLOADED in time when every connection is taken, and recovers", async () => {
    const small = schema.database("order", { poolSize: 2, acquireTimeoutMs: 100 });
    let letGo: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const holders = [1, 2].map(() => small.transaction("hold", () => gate));
    const startedAt = performance.now();
    const crowd = await Promise.allSettled(
      Array.from({ length: 10 }, () => small.row(sql("one", "SELECT 1"))),
    );
    const waitedMs = performance.now() - startedAt;
    assert.ok(
      crowd.every((one) => one.status === "rejected" && isPlatformError(one.reason, "OVERLOADED")),
    );
    assert.ok(waitedMs < 1_000, `${waitedMs} ms`);
    letGo();
    await Promise.all(holders);
    await small.row(sql("one", "SELECT 1"));
  });

  it("works on a new connection after its own was killed in the middle of a transaction", async () => {
    let runs = 0;
    await database.transaction("killed", async (tx) => {
      runs += 1;
      await tx.run(INSERT, [[["x", `${runs}`]]]);
      const me = await tx.row<{ id: string }>(sql("me", "SELECT CONNECTION_ID() AS id"));
      if (runs === 1) await schema.admin.query(`KILL ${me!.id}`);
      await tx.run(INSERT, [[["x", `${runs}b`]]]);
    });
    assert.equal(runs, 2);
    assert.equal(await count("x"), 2);
  });

  it("destroys a connection whose answer did not come in time, and blocks nobody behind it", async () => {
    const impatient = schema.database("order", { poolSize: 1, queryTimeoutMs: 150 });
    await assert.rejects(impatient.rows(sql("slow", "SELECT SLEEP(2)")), (error) =>
      isPlatformError(error, "SERVICE_UNAVAILABLE"),
    );
    const startedAt = performance.now();
    await impatient.row(sql("one", "SELECT 1"));
    assert.ok(performance.now() - startedAt < 1_000);
  });

  it("tells each statement's name and duration to the observer, never its values", async () => {
    const seen: ObservedCommand[] = [];
    const observed = schema.database("order", { onStatement: (one) => seen.push(one) });
    await observed.run(INSERT, [[["x", "1"]]]);
    await observed.run(INSERT, [[["x", "1"]]]).catch(() => undefined);
    const own = seen.filter(({ name }) => name === "inbox.insert");
    assert.deepEqual(
      own.map(({ name, isOk }) => [name, isOk]),
      [
        ["inbox.insert", true],
        ["inbox.insert", false],
      ],
    );
    assert.ok(own.every(({ ms }) => ms > 0 && ms < 5_000));
    assert.deepEqual(Object.keys(own[0] ?? {}).sort(), ["context", "isOk", "ms", "name"]);
  });

  it("waits for what is under way when it is closed, and refuses what comes later", async () => {
    const own = schema.database("order", { poolSize: 2 });
    let letGo: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    let written: () => void = () => undefined;
    const hasWritten = new Promise<void>((resolve) => (written = resolve));
    const work = own.transaction("last", async (tx) => {
      await tx.run(INSERT, [[["x", "last"]]]);
      written();
      await gate;
    });
    await hasWritten;
    const closed = own.close();
    await assert.rejects(own.row(sql("one", "SELECT 1")), (e) =>
      isPlatformError(e, "SHUTTING_DOWN"),
    );
    letGo();
    await Promise.all([work, closed]);
    assert.equal(await count("x"), 1);
  });
});
