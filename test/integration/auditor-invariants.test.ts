// Every invariant holds in a sound shop and is broken by a violation planted for it.
import assert from "node:assert/strict";
import { INVARIANTS } from "../../mixins/auditor/invariants.ts";
import type { InvariantTimes } from "../../mixins/auditor/invariant.ts";
import { EVENT_OWNERS } from "../../services/contracts/events.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { violations } from "../support/invariants.ts";
import { resetShop, runAsAdmin, SHOP_SCHEMAS } from "../support/sound-shop.ts";

const TIMES: InvariantTimes = { graceS: 60, holdS: 2_400 };

interface Planted {
  readonly sql: readonly string[];
  readonly offender: string;
}

const plant = (offender: string, ...sql: string[]): Planted => ({ offender, sql });
const OLD = "NOW(3) - INTERVAL 1 HOUR";

const PLANTED: Readonly<Record<string, Planted>> = {
  "inventory.buckets_match_ledger": plant(
    "sku 501",
    "UPDATE {inventory}.stock SET available = available + 1 WHERE sku_id = 501",
  ),
  "inventory.on_hand_conserved": plant("sku 501", "UPDATE {inventory}.stock SET allotted = 1"),
  "inventory.bookings_well_formed": plant(
    "movement 999",
    `INSERT INTO {inventory}.stock_movements (id, sku_id, kind, available_delta, reserved_delta,
       allotted_delta, cause_type, cause_id) VALUES (999, 501, 'release', 2, -1, 0, 'order', '9')`,
  ),
  "inventory.reserved_matches_holds": plant(
    "sku 501",
    "UPDATE {inventory}.reservations SET status = 'released' WHERE order_id = 1004",
  ),
  "inventory.reservations_booked": plant(
    "order 1001 sku 501",
    "DELETE FROM {inventory}.stock_movements WHERE cause_id = '1001' AND kind = 'commit'",
  ),
  "inventory.released_or_committed": plant(
    "order 1001 sku 501",
    `INSERT INTO {inventory}.stock_movements (sku_id, kind, available_delta, reserved_delta,
       allotted_delta, cause_type, cause_id) VALUES (501, 'release', 2, -2, 0, 'order', '1001')`,
  ),
  "inventory.no_oversell": plant(
    "sku 501",
    "UPDATE {inventory}.stock_movements SET available_delta = 4 WHERE kind = 'receipt'",
  ),
  "inventory.open_orders_hold_their_lines": plant(
    "order 1004",
    "UPDATE {inventory}.reservation_lines SET quantity = 2 WHERE order_id = 1004",
  ),
  "inventory.paid_orders_committed": plant(
    "order 1001",
    "UPDATE {inventory}.reservations SET status = 'held' WHERE order_id = 1001",
  ),
  "inventory.ended_orders_hold_nothing": plant(
    "order 1002",
    "UPDATE {inventory}.reservations SET status = 'held' WHERE order_id = 1002",
  ),
  "inventory.refunded_orders_restocked": plant(
    "order 1003 sku 501",
    "DELETE FROM {inventory}.stock_movements WHERE kind = 'restock'",
  ),
  "inventory.holds_end": plant(
    "order 1004",
    `UPDATE {inventory}.reservations SET created_at = ${OLD} WHERE order_id = 1004`,
  ),
  "order.totals_honest": plant(
    "order 1001",
    "UPDATE {order}.orders SET discount = 1 WHERE id = 1001",
  ),
  "order.history_complete": plant(
    "order 1002",
    "DELETE FROM {order}.order_events WHERE order_id = 1002 AND version = 2",
  ),
  "order.history_legal": plant(
    "order 1001 version 3",
    "UPDATE {order}.order_events SET from_status = 'closing' WHERE order_id = 1001 AND version = 3",
  ),
  "order.deadlines_kept": plant(
    "order 1004",
    `UPDATE {order}.orders SET expires_at = ${OLD} WHERE id = 1004`,
  ),
  "order.nothing_stuck": plant(
    "order 1004",
    "UPDATE {order}.orders SET status = 'closing' WHERE id = 1004",
  ),
  "order.sagas_on_time": plant(
    "place-order 1001",
    `UPDATE {order}.sagas SET status = 'running', next_at = ${OLD}`,
  ),
  "payment.ledger_balanced": plant(
    "capture 2001",
    "UPDATE {payment}.ledger_entries SET amount = -199 WHERE account = 'order_revenue' AND cause_id = 2001",
  ),
  "payment.captures_in_ledger": plant(
    "payment 2001",
    "DELETE FROM {payment}.ledger_entries WHERE cause_id = 2001",
  ),
  "payment.refunds_in_ledger": plant(
    "refund 3003",
    "DELETE FROM {payment}.ledger_entries WHERE cause_id = 3003",
  ),
  "payment.refunds_add_up": plant(
    "payment 2001",
    `INSERT INTO {payment}.refunds (id, payment_id, refund_key, amount, reason)
     VALUES (3001, 2001, 'x', 50, 'x')`,
  ),
  "payment.captures_signed": plant(
    "payment 2001",
    "DELETE FROM {payment}.callbacks WHERE payment_id = 2001",
  ),
  "payment.callbacks_applied": plant(
    "callback 990077",
    `INSERT INTO {payment}.callbacks (id, channel, webhook_id, payment_id, source, outcome, amount,
       provider_ref, payload_hash, received_at)
     VALUES (990077, 'mock', 'z', 2001, 'provider', 'failed', 200, 'r', REPEAT('0', 64), ${OLD})`,
  ),
  "payment.refunds_carried_out": plant(
    "refund 3003",
    `UPDATE {payment}.refunds SET status = 'pending', succeeded_at = NULL, next_at = NOW(3)
     WHERE id = 3003`,
  ),
  "payment.one_capture_counts": plant(
    "order 1001",
    `INSERT INTO {payment}.payments (id, order_id, user_id, channel, amount, currency, status, live,
       expires_at, captured_at)
     VALUES (2009, 1001, 7, 'mock', 200, 'CNY', 'succeeded', NULL, NOW(3), NOW(3))`,
  ),
  "payment.paid_in_full": plant(
    "order 1001",
    "UPDATE {payment}.payments SET amount = 150 WHERE id = 2001",
  ),
  "payment.captured_orders_paid": plant(
    "payment 2001",
    `UPDATE {order}.orders SET status = 'pending_payment', payment_id = NULL, paid_at = NULL
     WHERE id = 1001`,
  ),
  "payment.no_money_for_ended_orders": plant(
    "payment 2002",
    `UPDATE {payment}.payments SET status = 'closed', refund_reserved = 0, refunded_amount = 0,
       updated_at = ${OLD} WHERE id = 2002`,
  ),
  "payment.orders_show_refunds": plant(
    "order 1003",
    "UPDATE {order}.orders SET refunded_amount = 0 WHERE id = 1003",
  ),
  "seckill.admissions_counted": plant(
    "sale 6001",
    "UPDATE {seckill}.sales SET granted = 3 WHERE id = 6001",
  ),
  "seckill.units_conserved": plant(
    "sale 6001",
    "UPDATE {seckill}.sales SET returned = 1 WHERE id = 6001",
  ),
  "seckill.admissions_become_orders": plant(
    "admission 1101",
    "UPDATE {order}.order_items SET price = 99 WHERE order_id = 1101",
  ),
  "seckill.orders_were_admitted": plant(
    "order 1101",
    "UPDATE {seckill}.admissions SET sale_id = 6002 WHERE order_id = 1101",
  ),
  "seckill.cancelled_orders_give_back": plant(
    "admission 1101",
    `UPDATE {seckill}.admissions SET state = 'given_back', live = NULL, end_seq = 2, ended_at = ${OLD}
     WHERE order_id = 1101`,
  ),
  "seckill.allotments_match_sales": plant("sale 6001", "DELETE FROM {inventory}.allotments"),
  "seckill.closed_sales_return": plant(
    "sale 6001",
    "UPDATE {inventory}.allotments SET returned = 2 WHERE sale_id = 6001",
  ),
  "seckill.paid_orders_committed": plant(
    "order 1101",
    `UPDATE {order}.orders SET status = 'paid', payment_id = 2101, paid_at = ${OLD}
     WHERE id = 1101`,
  ),
  "seckill.nothing_stuck": plant(
    "sale 6001",
    `UPDATE {seckill}.sales SET status = 'closing', updated_at = ${OLD} WHERE id = 6001`,
  ),
  "messages.order_to_seckill_arrive": plant("order.2", "DELETE FROM {seckill}.inbox"),
  "messages.seckill_to_order_arrive": plant(
    "seckill.1",
    "DELETE FROM {order}.inbox WHERE event_id = 'seckill.1'",
  ),
  "messages.seckill_to_inventory_arrive": plant(
    "seckill.2",
    "DELETE FROM {inventory}.inbox WHERE event_id = 'seckill.2'",
  ),
  "messages.order_to_inventory_arrive": plant(
    "order.1",
    "DELETE FROM {inventory}.inbox WHERE event_id = 'order.1'",
  ),
  "messages.product_to_inventory_arrive": plant(
    "product.1",
    "DELETE FROM {inventory}.inbox WHERE event_id = 'product.1'",
  ),
  "messages.product_to_product_arrive": plant("product.1", "DELETE FROM {product}.inbox"),
  "messages.payment_to_order_arrive": plant(
    "payment.1",
    "DELETE FROM {order}.inbox WHERE event_id = 'payment.1'",
  ),
  ...Object.fromEntries(
    EVENT_OWNERS.flatMap((owner) => [
      [
        `messages.${owner}_outbox_drains`,
        plant(
          `${owner}.50`,
          `INSERT INTO {${owner}}.outbox (id, name, aggregate_id, aggregate_version, payload,
             created_at) VALUES (50, 'x', 1, 1, '{}', ${OLD})`,
        ),
      ],
      [
        `messages.${owner}_dead_letters_unapplied`,
        plant(
          "dead letter 60",
          `INSERT INTO {${owner}}.dead_letters (id, consumer, event_id, event_name, payload, headers,
             error, tries) VALUES (60, '${owner}', 'order.9', 'x', '{}', '{}', 'x', 8)`,
          `INSERT INTO {${owner}}.inbox (consumer, event_id) VALUES ('${owner}', 'order.9')`,
        ),
      ],
    ]),
  ),
  "ids.unique": plant("id 1001", "UPDATE {payment}.refunds SET id = 1001 WHERE id = 3003"),
};

describe("the invariants", () => {
  let test: TestDatabase;
  before(async () => {
    test = await testDatabase({ services: [...SHOP_SCHEMAS, "provider"] });
  });
  after(async () => {
    await test.drop();
  });
  beforeEach(async () => {
    await resetShop(test);
  });

  const broken = (only?: string) =>
    violations(test, {
      schemas: SHOP_SCHEMAS,
      times: TIMES,
      ...(only === undefined ? {} : { only }),
    });

  it("all hold in a sound shop", async () => {
    assert.deepEqual(await broken(), []);
  });

  it("are all proven able to fail, and none is tested that does not exist", () => {
    assert.deepEqual(Object.keys(PLANTED).sort(), INVARIANTS.map(({ name }) => name).sort());
  });

  for (const [name, { sql, offender }] of Object.entries(PLANTED)) {
    it(`${name} is broken by a planted violation, which it names`, async () => {
      for (const text of sql) await runAsAdmin(test, text);
      const [found] = await broken(name);
      assert.deepEqual(found?.offending, [offender]);
    });
  }

  it("let an event that is an open dead letter pass as accounted for", async () => {
    await runAsAdmin(test, "DELETE FROM {inventory}.inbox WHERE event_id = 'order.1'");
    await runAsAdmin(
      test,
      `INSERT INTO {inventory}.dead_letters (consumer, event_id, event_name, payload, headers,
         error, tries) VALUES ('inventory', 'order.1', 'order.paid.v1', '{}', '{}', 'x', 8)`,
    );
    assert.deepEqual(await broken(), []);
  });

  it("give what is under way the time it may take", async () => {
    await runAsAdmin(test, "UPDATE {order}.orders SET updated_at = NOW(3) WHERE id = 1001");
    await runAsAdmin(
      test,
      "UPDATE {inventory}.reservations SET status = 'released' WHERE order_id = 1001",
    );
    const names = (await broken()).map(({ name }) => name);
    assert.ok(!names.includes("inventory.paid_orders_committed"), names.join());
  });

  it("can be read by the auditor, who can change nothing", async () => {
    const auditor = test.database("auditor");
    await assert.rejects(
      auditor.run({ name: "test.forbidden", sql: "UPDATE orders SET discount = 1" }),
      { number: 1142 },
    );
  });
});
