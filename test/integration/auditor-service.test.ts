// The auditor in a running shop: after real orders every invariant holds, an order's story is
// whole, lost events are published again, dead letters are listed, replayed and discarded.
import assert from "node:assert/strict";
import { databaseCredentials } from "../../config/database.ts";
import type { PreparedInvariant } from "../../mixins/auditor/invariants.ts";
import { EVENT_ROUTES } from "../../mixins/auditor/message-invariants.ts";
import { createDatabase } from "../../mixins/database/mysql-database.ts";
import { must } from "../../services/kernel/assert.ts";
import { createBacklogs } from "../../services/auditor/backlogs.ts";
import { checkInvariants } from "../../services/auditor/check-invariants.ts";
import { createReceiptWatch } from "../../services/auditor/receipt-watch.ts";
import { createDeadLetterList } from "../../services/auditor/dead-letter-list.ts";
import { createRounds } from "../../services/auditor/rounds.ts";
import { schemaNames } from "../../services/auditor/schema-names.ts";
import { call } from "../../services/contracts/actions.ts";
import type { EventOwner } from "../../services/contracts/events.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { silentLog, type TestDatabase, testDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { assertInvariants } from "../support/invariants.ts";
import { ADMIN, newCustomer, type ShopNode, shopNode, TRADE_UNITS } from "../support/order-shop.ts";
import { runAsAdmin, SHOP_SCHEMAS } from "../support/sound-shop.ts";

const SETTLE_MS = 10_000;

describe("the auditor", function () {
  this.timeout(60_000);
  let schemas: TestDatabase;
  let shop: ShopNode;
  let paidOrder: string;

  before(async () => {
    schemas = await testDatabase({ services: [...SHOP_SCHEMAS, "provider"] });
    shop = await shopNode(schemas, {
      units: [
        ...TRADE_UNITS,
        "product-worker",
        "user-worker",
        "seckill-worker",
        "auditor",
        "provider",
      ],
    });
    const sku = await shop.sell(10);
    const buyer = newCustomer();
    const paid = await shop.place(buyer, [{ sku_id: sku, quantity: 2 }]);
    const cancelled = await shop.place(buyer, [{ sku_id: sku, quantity: 3 }]);
    await shop.place(buyer, [{ sku_id: sku, quantity: 1 }]);
    await shop.capture(await shop.as(buyer, "order.pay", { id: paid.id }));
    await shop.as(buyer, "order.cancel", { id: cancelled.id });
    await eventually(
      async () => {
        const stock = await shop.stockOf(sku);
        return stock.reserved === 1 && stock.available === 7 && stock.on_hand === 8;
      },
      { timeoutMs: SETTLE_MS, what: "stock has followed the orders" },
    );
    paidOrder = paid.id;
  });
  after(async () => {
    await shop.stop();
    await schemas.drop();
  });

  const nameOf = (schema: Parameters<TestDatabase["nameOf"]>[0]): string => schemas.nameOf(schema);

  const plantDeadLetter = async (eventId: string, message: string): Promise<string> => {
    await runAsAdmin(
      schemas,
      `INSERT INTO {inventory}.dead_letters (consumer, event_id, event_name, payload, headers, error,
         tries) VALUES ('inventory', '${eventId}', 'product.created.v1', '${message}', '{}',
         'Error: planted\n    at somewhere', 8)`,
    );
    const { items } = await shop.as(ADMIN, "auditor.listDeadLetters", { status: "open" });
    return must(
      items.find((letter) => letter.event_id === eventId),
      "the planted dead letter",
    ).id;
  };

  it("finds every invariant holding after orders were paid, cancelled and left open", async () => {
    await assertInvariants(schemas, { schemas: SHOP_SCHEMAS });
    const { holds, items } = await shop.as(ADMIN, "auditor.invariants", {});
    assert.ok(holds);
    assert.ok(items.length >= 40);
  });

  it("tells an order's story in time order, from every service that had a part in it", async () => {
    const { items } = await shop.as(ADMIN, "auditor.explainOrder", { id: paidOrder });
    const times = items.map(({ at }) => at);
    assert.deepEqual(times, [...times].sort());
    const told = items.map(({ service, kind, summary }) => `${service} ${kind}: ${summary}`);
    for (const part of [
      "order status: new -> placing",
      "order status: placing -> pending_payment",
      "order status: pending_payment -> paid",
      "inventory reservation: reservation is committed",
      "payment payment: mock payment is succeeded",
      "payment callback: provider says succeeded, captured",
      "payment ledger: capture on order_revenue",
      "payment event: payment.succeeded.v1",
      "order event: order.paid.v1",
      "order receipt: has applied payment.succeeded.v1",
      "inventory receipt: has applied order.paid.v1",
    ]) {
      assert.ok(told.includes(part), `${part} in\n${told.join("\n")}`);
    }
    await assert.rejects(shop.as(ADMIN, "auditor.explainOrder", { id: "42" }), {
      type: "ORDER_NOT_FOUND",
    });
  });

  it("has an event that never arrived published again, and it takes effect once", async () => {
    const auditor = schemas.database("auditor");
    await runAsAdmin(schemas, "DELETE FROM {inventory}.inbox WHERE event_id LIKE 'order.%'");
    await runAsAdmin(
      schemas,
      "UPDATE {order}.outbox SET published_at = published_at - INTERVAL 1 MINUTE",
    );
    const asked: { owner: EventOwner; ids: readonly string[] }[] = [];
    const rounds = createRounds({
      database: auditor,
      invariants: [],
      watches: EVENT_ROUTES.map((route) => createReceiptWatch(auditor, route, nameOf)),
      deadLetters: createDeadLetterList(auditor, schemaNames(schemas.settings)),
      backlogs: createBacklogs(auditor, schemaNames(schemas.settings)),
      republish: async (owner, ids) => {
        asked.push({ owner, ids });
        const params = { outbox_ids: [...ids] };
        return (await call(shop.node.broker, `${owner}-worker.republish`, params)).republished;
      },
      metrics: { set: () => undefined },
      clock: systemClock,
      log: silentLog,
    });
    await rounds.run();
    assert.deepEqual(
      asked.map(({ owner }) => owner),
      ["order"],
    );
    assert.ok(asked[0]!.ids.length >= 2);
    await eventually(
      async () => {
        const rows = await auditor.rows<{ event_id: string }>({
          name: "test.receipts",
          sql: `SELECT event_id FROM ${nameOf("inventory")}.inbox WHERE event_id LIKE 'order.%'`,
        });
        return rows.length === asked[0]!.ids.length;
      },
      { timeoutMs: SETTLE_MS, what: "the events have their receipts" },
    );
    await assertInvariants(schemas, { schemas: SHOP_SCHEMAS });
  });

  it("has what takes long checked in the background, and tells what was found there", async () => {
    const invariants = [sleepingInvariant("test.quick", 0), sleepingInvariant("test.long", 4)];
    const database = schemas.database("auditor");
    const patient = createDatabase({
      ...databaseCredentials(schemas.settings, "auditor"),
      poolSize: 1,
      log: silentLog,
      queryTimeoutMs: 30_000,
    });
    const rounds = createRounds({
      database: patient,
      invariants,
      watches: [],
      deadLetters: createDeadLetterList(database, schemaNames(schemas.settings)),
      backlogs: createBacklogs(database, schemaNames(schemas.settings)),
      republish: () => Promise.resolve(0),
      metrics: { set: () => undefined },
      clock: systemClock,
      log: silentLog,
    });
    const lastResult = (name: string) => rounds.resultOf(name);
    const check = () => checkInvariants({ database, invariants, lastResult, clock: systemClock });
    assert.deepEqual(
      (await check()).map(({ offending }) => offending),
      [[], ["could not be checked"]],
    );
    await rounds.run();
    await patient.close();
    const [quick, long] = await check();
    assert.notDeepEqual(quick, rounds.resultOf("test.quick"), "is run for whoever asks");
    assert.deepEqual(long, rounds.resultOf("test.long"));
    assert.equal(long?.violations, 0);
  });

  it("lists dead letters of all services newest first and says nothing of their stacks", async () => {
    const id = await plantDeadLetter("product.900001", "not json");
    await plantDeadLetter("product.900002", "{}");
    const page = await shop.as(ADMIN, "auditor.listDeadLetters", { status: "open", page_size: 1 });
    assert.equal(page.total, 2);
    assert.equal(page.items[0]?.event_id, "product.900002");
    const next = await shop.as(ADMIN, "auditor.listDeadLetters", {
      status: "open",
      page: 2,
      page_size: 1,
    });
    assert.deepEqual(
      [next.items[0]?.id, next.items[0]?.error, next.items[0]?.payload],
      [id, "Error: planted", "not json"],
    );
  });

  it("has a dead letter discarded by its owner, for good", async () => {
    const id = await plantDeadLetter("product.900003", "{}");
    const discarded = await shop.as(ADMIN, "auditor.discardDeadLetter", { id });
    assert.equal(discarded.status, "discarded");
    await assert.rejects(shop.as(ADMIN, "auditor.replayDeadLetter", { id }), {
      type: "DEAD_LETTER_CLOSED",
    });
    await assert.rejects(shop.as(ADMIN, "auditor.discardDeadLetter", { id: "inventory-999999" }), {
      type: "DEAD_LETTER_NOT_FOUND",
    });
  });

  it("has a dead letter replayed by its owner, with its effect", async () => {
    const envelope = JSON.stringify({
      event_id: "product.900004",
      aggregate_id: "1",
      aggregate_version: 1,
      occurred_at: new Date().toISOString(),
      payload: { product_id: "1", skus: [{ sku_id: "987654", stock: 3 }] },
    });
    const id = await plantDeadLetter("product.900004", envelope);
    const replayed = await shop.as(ADMIN, "auditor.replayDeadLetter", { id });
    assert.equal(replayed.status, "replayed");
    assert.equal((await shop.stockOf("987654")).on_hand, 3);
  });

  it("is for admins only", async () => {
    await assert.rejects(shop.as(newCustomer(), "auditor.invariants", {}), { type: "FORBIDDEN" });
  });
});

/** Holds, and takes so many seconds to say so. */
function sleepingInvariant(name: string, seconds: number): PreparedInvariant {
  const text = `SELECT slept AS offender FROM (SELECT SLEEP(${String(seconds)}) AS slept) AS one WHERE slept <> 0`;
  return { name, checks: "that it sleeps", statement: { name, sql: text }, params: [] };
}
