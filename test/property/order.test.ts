// Random commands, repeated, contradicting and at the same time, on orders in real MySQL. Whatever
// comes, each order's history follows the table, and its events tell exactly what happened.
import assert from "node:assert/strict";
import fc from "fast-check";
import type { ConsumedEvent } from "../../mixins/channels/channel.ts";
import type { Database } from "../../mixins/database/database.ts";
import { isPlatformError } from "../../services/contracts/errors.ts";
import { must } from "../../services/kernel/assert.ts";
import {
  type Actor,
  cancel,
  complete,
  type Order,
  ORDER_TRANSITIONS,
  type OrderDecision,
  ship,
  startClosing,
  type Status,
} from "../../services/order/domain/order.ts";
import { updateOrder } from "../../services/order/order.repository.ts";
import { paymentConsumers } from "../../services/order/payment-events.ts";
import {
  createPlacing,
  type Placing,
  type PlacingEnd,
} from "../../services/order/placing.repository.ts";
import { silentLog, testDatabase, type TestDatabase } from "../support/database.ts";

const RUNS = 40;
const ORDERS_MAX = 3;
const WAVES_MAX = 8;
const WAVE_MAX = 6;
const TOTAL_PRICE = 600;
const ADMIN: Actor = { who: "admin", id: "1" };
const BUYER: Actor = { who: "customer", id: "7" };

const EVENT_OF: Partial<Record<Status, string>> = {
  pending_payment: "order.created.v1",
  closing: "order.payment_due.v1",
  paid: "order.paid.v1",
  cancelled: "order.cancelled.v1",
  refunded: "order.refunded.v1",
};

const COMMANDS = [
  "confirm",
  "refuse",
  "abandon",
  "close",
  "cancel",
  "paid",
  "paidTwice",
  "refundPart",
  "refundAll",
  "ship",
  "complete",
] as const;
type Command = (typeof COMMANDS)[number];

describe("an order under random commands", () => {
  let schemas: TestDatabase;
  let database: Database;
  let placing: Placing;
  let lastId = 1_000;

  before(async () => {
    schemas = await testDatabase({ services: ["order"] });
    database = schemas.database("order");
    placing = createPlacing({
      database,
      paymentWindowMs: 60_000,
      lease: { owner: "test", leaseMs: 60_000 },
      onEvents: () => undefined,
    });
  });
  after(async () => {
    await placing.drain();
    await schemas.drop();
  });

  const place = async (): Promise<Order> => {
    lastId += 1;
    const id = String(lastId);
    const claim = { userId: "7", route: "POST /orders", key: id, fingerprint: "a".repeat(64) };
    const lines = [{ skuId: "5", productId: "4", name: "Tea", quantity: 2, price: 300 }];
    const draft = { id, userId: "7", lines, totalPrice: TOTAL_PRICE, discount: 0 };
    const rest = { currency: "CNY", address: null, note: null, saleId: null };
    const begun = await placing.begin({ draft: { ...draft, ...rest }, claim });
    assert.equal(begun.kind, "begun");
    return begun.order;
  };

  const end = async (order: Order, placingEnd: PlacingEnd): Promise<void> => {
    const claim = {
      userId: "7",
      route: "POST /orders",
      key: order.id,
      fingerprint: "a".repeat(64),
    };
    await placing.end({ order, claim, end: placingEnd, origin: undefined });
  };

  const update = async (
    { id }: Order,
    decide: (order: Order, now: Date) => OrderDecision,
  ): Promise<void> => {
    await updateOrder(database, { id, ownerId: null, decide });
  };

  const consume = async (name: ConsumedEvent["name"], payload: object): Promise<void> => {
    const consumers = paymentConsumers({ log: silentLog, onEvents: () => undefined });
    const definition = must(
      consumers.find(({ event }) => event === name),
      name,
    );
    await database.transaction("test.consume", (tx) =>
      definition.apply(tx, [{ payload } as unknown as ConsumedEvent]),
    );
  };

  const run: Record<Command, (order: Order) => Promise<void>> = {
    confirm: (order) => end(order, { kind: "confirm" }),
    refuse: (order) =>
      end(order, {
        kind: "refuse",
        reason: "out_of_stock",
        answer: { error: "INVENTORY_OUT_OF_STOCK" },
      }),
    abandon: (order) => end(order, { kind: "abandon" }),
    close: (order) =>
      update(order, (now, at) =>
        startClosing(now, { reason: "cancelled_by_buyer", actor: BUYER, at }),
      ),
    cancel: (order) => update(order, (now, at) => cancel(now, at)),
    ship: (order) => update(order, (now, at) => ship(now, ADMIN, at)),
    complete: (order) => update(order, (now, at) => complete(now, BUYER, at)),
    paid: (order) => consume("payment.succeeded.v1", successOf(order, "9")),
    paidTwice: (order) => consume("payment.succeeded.v1", successOf(order, "8")),
    refundPart: (order) => consume("payment.refunded.v1", refundOf(order, 100)),
    refundAll: (order) => consume("payment.refunded.v1", refundOf(order, TOTAL_PRICE)),
  };

  /** A refusal of the catalogue is an answer; anything else is a fault. */
  const attempt = async (order: Order, command: Command): Promise<void> => {
    try {
      await run[command](order);
    } catch (error) {
      if (
        !isPlatformError(error, "ORDER_ILLEGAL_TRANSITION", "VERSION_CONFLICT", "ORDER_NOT_FOUND")
      )
        throw error;
    }
  };

  it("keeps its history, its row and its events in step", async () => {
    const seen = new Set<string>();
    const step = fc.record({
      order: fc.nat(ORDERS_MAX - 1),
      command: fc.constantFrom(...COMMANDS),
    });
    // Steps of one wave come at once; waves come one after the other.
    const waves = fc.array(fc.array(step, { minLength: 1, maxLength: WAVE_MAX }), {
      minLength: 3,
      maxLength: WAVES_MAX,
    });
    await fc.assert(
      fc.asyncProperty(waves, async (all) => {
        const orders = await Promise.all(Array.from({ length: ORDERS_MAX }, place));
        // Most of an order's life comes after it was placed.
        await Promise.all(orders.slice(1).map((order) => run.confirm(order)));
        for (const wave of all) {
          await Promise.all(
            wave.map(({ order, command }) => attempt(must(orders[order], "an order"), command)),
          );
        }
        for (const { id } of orders) seen.add(await check(database, id));
      }),
      { numRuns: RUNS },
    );
    assert.ok(seen.size >= 4, `the runs ended in few statuses only: ${[...seen].join(", ")}`);
  });
});

function successOf(order: Order, paymentId: string): object {
  return {
    payment_id: paymentId,
    order_id: order.id,
    user_id: order.userId,
    amount: TOTAL_PRICE,
    paid_at: "2026-01-01T00:00:00.000Z",
  };
}

function refundOf(order: Order, refundedAmount: number): object {
  return {
    payment_id: "9",
    order_id: order.id,
    refund_id: "1",
    amount: refundedAmount,
    refunded_amount: refundedAmount,
    is_full: refundedAmount === TOTAL_PRICE,
    reason: "test",
  };
}

interface HistoryRow {
  readonly version: number;
  readonly from_status: Status | null;
  readonly to_status: Status;
}

/** Returns the order's status. */
async function check(database: Database, id: string): Promise<Status> {
  const read = async <Row extends object>(text: string): Promise<Row[]> =>
    await database.rows<Row>({ name: "test.check", sql: text }, [id]);
  const [order] = await read<{ status: Status; version: number; refunded_amount: string }>(
    "SELECT status, version, refunded_amount FROM orders WHERE id = ?",
  );
  const history = await read<HistoryRow>(
    "SELECT version, from_status, to_status FROM order_events WHERE order_id = ? ORDER BY version",
  );
  const events = await read<{ name: string }>(
    "SELECT name FROM outbox WHERE aggregate_id = ? ORDER BY id",
  );
  const [saga] = await read<{ status: string }>(
    "SELECT status FROM sagas WHERE type = 'place-order' AND id = ?",
  );
  assert.ok(order !== undefined && saga !== undefined);
  for (const [index, { version, from_status: from, to_status: to }] of history.entries()) {
    assert.equal(version, index + 1);
    assert.equal(from, history[index - 1]?.to_status ?? null);
    assert.ok(
      ORDER_TRANSITIONS.some((rule) => rule.from === from && rule.to === to),
      `${String(from)} to ${to}`,
    );
  }
  assert.deepEqual([history.at(-1)?.to_status, history.length], [order.status, order.version]);
  assert.deepEqual(
    events.map(({ name }) => name),
    history.flatMap(({ to_status: to }) => EVENT_OF[to] ?? []),
  );
  assert.equal(saga.status === "running", order.status === "placing");
  if (order.status === "refunded") assert.equal(Number(order.refunded_amount), TOTAL_PRICE);
  return order.status;
}
