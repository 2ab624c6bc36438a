import assert from "node:assert/strict";
import { RETENTION_LIMITS } from "../../mixins/channels/limits.ts";
import { purgeMessages } from "../../mixins/channels/retention.ts";
import { type Database, sql } from "../../mixins/database/database.ts";
import { readBacklog } from "../../mixins/outbox/outbox.repository.ts";
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
