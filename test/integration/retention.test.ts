import assert from "node:assert/strict";
import { RETENTION_LIMITS } from "../../mixins/channels/limits.ts";
import { purgeMessages } from "../../mixins/channels/retention.ts";
import { type Database, sql } from "../../mixins/database/database.ts";
import { readBacklog } from "../../mixins/outbox/outbox.repository.ts";
import { purgeIdempotencyKeys } from "../../mixins/idempotency/idempotency.repository.ts";
import { purgeRules } from "../../services/operations/rule-retention.ts";
import { purgeProviderBooks } from "../../services/payment/provider/provider-retention.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";

const INSERT_EVENT = sql(
  "test.insert-event",
  `INSERT INTO outbox (name, aggregate_id, aggregate_version, payload, created_at, published_at)
   VALUES (?, 1, 1, '{}', NOW(3) - INTERVAL ? HOUR, NOW(3) - INTERVAL ? HOUR)`,
);
const INSERT_RECEIPT = sql(
  "test.insert-receipt",
  "INSERT INTO inbox (consumer, event_id, received_at) VALUES ('order', ?, NOW(3) - INTERVAL ? HOUR)",
);
const EVENTS = sql("test.events", "SELECT name FROM outbox ORDER BY name");
const RECEIPTS = sql("test.receipts", "SELECT event_id AS name FROM inbox ORDER BY event_id");
const DAY_HOURS = 24;

describe("retention of messages", () => {
  let bench: TestDatabase;
  let database: Database;

  beforeEach(async () => {
    bench = await testDatabase({ services: ["order"] });
    database = bench.database("order");
  });
  afterEach(async () => {
    await bench.drop();
  });

  const event = (name: string, createdHours: number, publishedHours: number | null) =>
    database.run(INSERT_EVENT, [name, createdHours, publishedHours]);
  const receipt = (id: string, hours: number) => database.run(INSERT_RECEIPT, [id, hours]);
  const names = async (statement: typeof EVENTS): Promise<string[]> =>
    (await database.rows<{ name: string }>(statement)).map((row) => row.name);

  it("deletes what was published long ago and never what still waits", async () => {
    await event("old", 9 * DAY_HOURS, 8 * DAY_HOURS + 1);
    await event("young", 9 * DAY_HOURS, 8 * DAY_HOURS - 1);
    await event("waiting", 30 * DAY_HOURS, null);
    await receipt("order.1", 16 * DAY_HOURS + 1);
    await receipt("order.2", 16 * DAY_HOURS - 1);
    assert.equal(await purgeMessages(database, RETENTION_LIMITS), 2);
    assert.deepEqual(await names(EVENTS), ["waiting", "young"]);
    assert.deepEqual(await names(RECEIPTS), ["order.2"]);
  });

  it("deletes a bounded number in one turn, the oldest first", async () => {
    for (const days of [20, 21, 22, 23, 24])
      await event(`d${days}`, days * DAY_HOURS, days * DAY_HOURS);
    const limits = { ...RETENTION_LIMITS, batchSizeMax: 2, batchesMax: 2 };
    assert.equal(await purgeMessages(database, limits), 4);
    assert.deepEqual(await names(EVENTS), ["d20"]);
  });

  it("deletes sagas and dead letters that came to an end long ago, and none that did not", async () => {
    const saga = (id: number, status: string, days: number, nextAt: string) =>
      database.run(
        sql(
          "test.insert-saga",
          `INSERT INTO sagas (id, type, status, log, context, next_at, updated_at)
           VALUES (?, 'place-order', ?, '[]', '{}', ${nextAt}, NOW(3) - INTERVAL ? DAY)`,
        ),
        [id, status, days],
      );
    await saga(1, "done", 31, "NULL");
    await saga(2, "compensated", 31, "NULL");
    await saga(3, "done", 29, "NULL");
    await saga(4, "running", 99, "NOW(3)");
    const letter = (id: string, status: string, days: number) =>
      database.run(
        sql(
          "test.insert-dead-letter",
          `INSERT INTO dead_letters (consumer, event_id, event_name, payload, headers, error, tries,
             status, created_at, resolved_at)
           VALUES ('order', ?, 'x', '{}', '{}', 'x', 8, ?, NOW(3) - INTERVAL ? DAY,
             IF(status = 'open', NULL, NOW(3) - INTERVAL ? DAY))`,
        ),
        [id, status, days, days],
      );
    await letter("a", "replayed", 91);
    await letter("b", "discarded", 89);
    await letter("c", "open", 99);
    assert.equal(await purgeMessages(database, RETENTION_LIMITS), 3);
    const sagas = sql("test.sagas", "SELECT id AS name FROM sagas ORDER BY id");
    const letters = sql("test.letters", "SELECT event_id AS name FROM dead_letters ORDER BY id");
    assert.deepEqual(await names(sagas), ["3", "4"]);
    assert.deepEqual(await names(letters), ["b", "c"]);
  });

  it("refuses limits under which an event could outlive its receipt", async () => {
    const limits = { ...RETENTION_LIMITS, inboxKeepMs: RETENTION_LIMITS.outboxKeepMs };
    await assert.rejects(purgeMessages(database, limits), /receipts outlive/);
  });

  it("tells how many events wait and how long the oldest has", async () => {
    assert.deepEqual(await readBacklog(database), { rows: 0, oldestAgeMs: 0 });
    await event("published", 5, 5);
    await event("older", 2, null);
    await event("newer", 1, null);
    const { rows, oldestAgeMs } = await readBacklog(database);
    assert.equal(rows, 2);
    assert.equal(oldestAgeMs >= 2 * 3_600_000 && oldestAgeMs < 2 * 3_600_000 + 60_000, true);
  });
});

describe("retention of what services keep for themselves", () => {
  let bench: TestDatabase;

  before(async () => {
    bench = await testDatabase({ services: ["order", "operations", "provider"] });
  });
  after(() => bench.drop());

  const left = async (database: Database, statement: string): Promise<string[]> =>
    (await database.rows<{ name: string }>(sql("test.left", statement))).map((row) => row.name);

  it("deletes the mock provider's ended notifications and idle charges, and none of its ledger", async () => {
    const database = bench.database("provider");
    const delivery = (id: string, days: number, end: "taken" | "given up" | "waits") =>
      database.run(
        sql(
          "test.insert-delivery",
          `INSERT INTO deliveries (webhook_id, payment_id, body, next_at, delivered_at, created_at)
           VALUES (?, 1, '{}', ${end === "waits" ? "NOW(3)" : "NULL"},
             ${end === "taken" ? "NOW(3)" : "NULL"}, NOW(3) - INTERVAL ? DAY)`,
        ),
        [id, days],
      );
    await delivery("taken", 31, "taken");
    await delivery("given-up", 31, "given up");
    await delivery("young", 29, "taken");
    await delivery("waits", 99, "waits");
    const charge = (id: number, status: string, days: number) =>
      database.run(
        sql(
          "test.insert-charge",
          `INSERT INTO charges
             (payment_id, amount, currency, status, provider_ref, captured_at, updated_at)
           VALUES (?, 1, 'CNY', ?, 'x', IF(status = 'captured', NOW(3), NULL),
             NOW(3) - INTERVAL ? DAY)`,
        ),
        [id, status, days],
      );
    for (const [at, status] of ["open", "failed", "closed", "captured"].entries()) {
      await charge(10 + at, status, 91);
      await charge(20 + at, status, 89);
    }
    assert.equal(await purgeProviderBooks(database, { batchSizeMax: 1, batchesMax: 1 }), 4);
    assert.equal(await purgeProviderBooks(database), 1, "what one turn had left");
    const names = "SELECT webhook_id AS name FROM deliveries ORDER BY name";
    assert.deepEqual(await left(database, names), ["waits", "young"]);
    const charges = "SELECT payment_id AS name FROM charges ORDER BY payment_id";
    assert.deepEqual(await left(database, charges), ["13", "20", "21", "22", "23"]);
  });

  it("deletes lists and limits that have been off for long, and no switch and no API client", async () => {
    const database = bench.database("operations");
    let seq = 0;
    const rule = (kind: string, isOn: boolean, days: number) =>
      database.run(
        sql(
          "test.insert-rule",
          `INSERT INTO rules
             (kind, target, user_id, is_on, value, reason, source, changed_by, changed_at, seq)
           VALUES (?, ?, '', ?, NULL, 'x', 'admin', 1, NOW(3) - INTERVAL ? DAY, ?)`,
        ),
        [kind, `t${days}${isOn ? "on" : "off"}`, isOn ? 1 : 0, days, (seq += 1)],
      );
    for (const kind of ["blocked", "invited", "limit_sku", "pause_sale", "api_client"]) {
      await rule(kind, false, 31);
      await rule(kind, false, 29);
      await rule(kind, true, 99);
    }
    assert.equal(await purgeRules(database, { batchSizeMax: 2, batchesMax: 1 }), 2);
    assert.equal(await purgeRules(database), 1);
    const gone = "SELECT kind AS name FROM rules WHERE target = 't31off' ORDER BY kind";
    assert.deepEqual(await left(database, gone), ["api_client", "pause_sale"]);
    const rest = "SELECT COUNT(*) AS name FROM rules WHERE target <> 't31off'";
    assert.equal(Number((await left(database, rest))[0]), 10);
  });

  it("deletes idempotency keys that have run out, batch after batch", async () => {
    const database = bench.database("order");
    const key = (name: string, hours: number) =>
      database.run(
        sql(
          "test.insert-key",
          `INSERT INTO idempotency_keys
             (user_id, route, idempotency_key, fingerprint, state, expires_at)
           VALUES (1, 'POST /orders', ?, ?, 'running', NOW(3) + INTERVAL ? HOUR)`,
        ),
        [name, "a".repeat(64), hours],
      );
    for (const name of ["a", "b", "c", "d", "e"]) await key(name, -1);
    await key("live", 1);
    assert.equal(await purgeIdempotencyKeys(database, { batchSizeMax: 2, batchesMax: 2 }), 4);
    assert.equal(await purgeIdempotencyKeys(database), 1);
    const keys = "SELECT idempotency_key AS name FROM idempotency_keys";
    assert.deepEqual(await left(database, keys), ["live"]);
  });
});
