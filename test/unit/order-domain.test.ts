import assert from "node:assert/strict";
import { errorDetails, isPlatformError } from "../../services/contracts/errors.ts";
import { ORDER_STATUSES } from "../../services/contracts/order.ts";
import { MONEY_MINOR_MAX } from "../../services/kernel/schema.ts";
import {
  type Actor,
  cancel,
  canMove,
  complete,
  confirm,
  fail,
  type Order,
  type OrderDecision,
  ORDER_TRANSITIONS,
  pay,
  place,
  refund,
  ship,
  startClosing,
  type Status,
  SYSTEM,
} from "../../services/order/domain/order.ts";
import { priceLines, refuseRepeatedSkus, totalOf } from "../../services/order/domain/pricing.ts";
import { sleepMs } from "../../services/order/deadline-scanner.ts";
import { parseSort } from "../../services/order/order-list.ts";

const AT = new Date("2026-01-01T00:00:00.000Z");
const BUYER: Actor = { who: "customer", id: "7" };
const ADMIN: Actor = { who: "admin", id: "1" };
const PAYMENT = { paymentId: "900", paidAt: AT };
const STATUSES: readonly Status[] = [...ORDER_STATUSES, "placing", "failed"];

const LINE = { skuId: "5", productId: "4", name: "Tea", quantity: 2, price: 300 };
const PLACED = place(
  {
    id: "100",
    userId: "7",
    lines: [LINE],
    totalPrice: 600,
    discount: 0,
    currency: "CNY",
    address: null,
    note: null,
    saleId: null,
  },
  AT,
).state;

/** An order in each status, made by the commands themselves. */
function orderIn(status: Status): Order {
  const pending = confirm(PLACED, AT, 60_000).state;
  const closing = startClosing(pending, { reason: "payment_timeout", actor: SYSTEM, at: AT }).state;
  const paid = pay(pending, PAYMENT, AT).state;
  const shipped = ship(paid, ADMIN, AT).state;
  const orders: Record<Status, Order> = {
    placing: PLACED,
    failed: fail(PLACED, "out_of_stock", AT).state,
    pending_payment: pending,
    closing,
    cancelled: cancel(closing, AT).state,
    paid,
    shipped,
    completed: complete(shipped, BUYER, AT).state,
    refunded: refund(paid, { paymentId: "900", refundedAmount: 600, isFull: true }, AT).state,
  };
  return orders[status];
}

const COMMANDS: Readonly<Record<string, (order: Order) => OrderDecision>> = {
  confirm: (order) => confirm(order, AT, 60_000),
  fail: (order) => fail(order, "abandoned", AT),
  close: (order) => startClosing(order, { reason: "payment_timeout", actor: SYSTEM, at: AT }),
  cancelByBuyer: (order) =>
    startClosing(order, { reason: "cancelled_by_buyer", actor: BUYER, at: AT }),
  cancel: (order) => cancel(order, AT),
  pay: (order) => pay(order, PAYMENT, AT),
  ship: (order) => ship(order, ADMIN, AT),
  complete: (order) => complete(order, BUYER, AT),
};

describe("an order", () => {
  it("can reach every status, and leaves none but the last ones without a way on", () => {
    const reached = new Set<Status>();
    const queue: (Status | null)[] = [null];
    for (let from = queue.pop(); from !== undefined; from = queue.pop()) {
      for (const { to } of ORDER_TRANSITIONS.filter((rule) => rule.from === from)) {
        if (!reached.has(to)) queue.push(to);
        reached.add(to);
      }
    }
    assert.deepEqual([...reached].sort(), [...STATUSES].sort());
    const last = STATUSES.filter(
      (status) => !ORDER_TRANSITIONS.some(({ from }) => from === status),
    );
    assert.deepEqual(last.sort(), ["cancelled", "completed", "failed", "refunded"]);
  });

  it("moves only as its table says, whatever command it gets in whatever status", () => {
    for (const status of STATUSES) {
      for (const [name, command] of Object.entries(COMMANDS)) {
        const order = orderIn(status);
        let decision: OrderDecision;
        try {
          decision = command(order);
        } catch (error) {
          assert.ok(isPlatformError(error, "ORDER_ILLEGAL_TRANSITION"), `${name} in ${status}`);
          continue;
        }
        const { transition, state, isChange } = decision;
        assert.equal(transition !== null, isChange);
        if (transition === null) {
          assert.equal(state, order, `${name} in ${status} changed nothing and said so`);
          continue;
        }
        assert.equal(transition.from, status);
        assert.ok(canMove(status, state.status, transition.actor.who), `${name} in ${status}`);
        assert.equal(state.version, order.version + 1);
      }
    }
  });

  it("answers a repeated command without a second effect", () => {
    const repeated: readonly (readonly [string, Status])[] = [
      ["fail", "failed"],
      ["close", "closing"],
      ["close", "cancelled"],
      ["cancelByBuyer", "closing"],
      ["cancelByBuyer", "cancelled"],
      ["cancel", "cancelled"],
      ["pay", "paid"],
      ["pay", "shipped"],
      ["pay", "refunded"],
      ["ship", "shipped"],
      ["complete", "completed"],
    ];
    for (const [name, status] of repeated) {
      const decision = COMMANDS[name]!(orderIn(status));
      assert.deepEqual([decision.isChange, decision.events], [false, []], `${name} in ${status}`);
    }
  });

  it("cannot be cancelled, closed or paid where it is too late", () => {
    const refused: readonly (readonly [string, Status])[] = [
      ["cancelByBuyer", "paid"],
      ["cancelByBuyer", "shipped"],
      ["cancel", "pending_payment"],
      ["cancel", "paid"],
      ["pay", "cancelled"],
      ["pay", "placing"],
      ["confirm", "failed"],
      ["ship", "pending_payment"],
      ["ship", "refunded"],
      ["complete", "paid"],
    ];
    for (const [name, status] of refused) {
      assert.throws(
        () => COMMANDS[name]!(orderIn(status)),
        (error) => isPlatformError(error, "ORDER_ILLEGAL_TRANSITION"),
        `${name} in ${status}`,
      );
    }
  });

  it("cannot be shipped by its buyer", () => {
    assert.throws(() => ship(orderIn("paid"), BUYER, AT));
  });

  it("tells inventory its lines when it is paid, cancelled or refunded", () => {
    const lines = [{ sku_id: "5", quantity: 2, price: 300 }];
    const told = [
      pay(orderIn("closing"), PAYMENT, AT),
      cancel(orderIn("closing"), AT),
      refund(orderIn("paid"), { paymentId: "900", refundedAmount: 600, isFull: true }, AT),
    ].flatMap(({ events }) => events);
    assert.deepEqual(
      told.map(({ name }) => name),
      ["order.paid.v1", "order.cancelled.v1", "order.refunded.v1"],
    );
    for (const { payload } of told) assert.deepEqual("lines" in payload && payload.lines, lines);
  });

  it("forgets why it was closing when the money came in time after all", () => {
    assert.equal(orderIn("closing").cancelReason, "payment_timeout");
    assert.equal(pay(orderIn("closing"), PAYMENT, AT).state.cancelReason, null);
  });

  it("adds up refunds in whatever order their news comes", () => {
    const first = { paymentId: "900", refundedAmount: 100, isFull: false };
    const second = { paymentId: "900", refundedAmount: 250, isFull: false };
    const order = refund(orderIn("paid"), second, AT).state;
    assert.deepEqual([order.status, order.refundedAmount], ["paid", 250]);
    assert.equal(refund(order, first, AT).isChange, false);
    const shipped = refund(
      orderIn("shipped"),
      { ...first, refundedAmount: 600, isFull: true },
      AT,
    ).state;
    assert.deepEqual([shipped.status, shipped.refundedAmount], ["shipped", 600]);
  });

  it("ignores refunds of other payments and waits for news that was overtaken", () => {
    const other = { paymentId: "901", refundedAmount: 600, isFull: true };
    assert.equal(refund(orderIn("paid"), other, AT).isChange, false);
    assert.equal(refund(orderIn("cancelled"), other, AT).isChange, false);
    assert.throws(
      () => refund(orderIn("pending_payment"), { ...other, paymentId: "900" }, AT),
      (error) => isPlatformError(error, "VERSION_CONFLICT"),
    );
  });
});

describe("the price of an order", () => {
  const quoted = [
    { sku_id: "6", product_id: "4", name: "Cup", price: 50 },
    { sku_id: "5", product_id: "4", name: "Tea", price: 300 },
  ];

  it("is the quoted prices by the quantities, in the buyer's order", () => {
    const lines = priceLines(
      [
        { sku_id: "5", quantity: 2 },
        { sku_id: "6", quantity: 3 },
      ],
      quoted,
    );
    assert.deepEqual(
      lines.map(({ skuId }) => skuId),
      ["5", "6"],
    );
    assert.equal(totalOf(lines), 750);
  });

  it("is refused when no payment could be that large", () => {
    assert.equal(totalOf([{ ...LINE, quantity: 1, price: MONEY_MINOR_MAX }]), MONEY_MINOR_MAX);
    assert.throws(
      () => totalOf([{ ...LINE, quantity: 2, price: MONEY_MINOR_MAX }]),
      (error) => isPlatformError(error, "VALIDATION_FAILED"),
    );
  });

  it("has one line per SKU", () => {
    const items = ["5", "6", "5", "5"].map((skuId) => ({ sku_id: skuId, quantity: 1 }));
    assert.throws(
      () => refuseRepeatedSkus(items),
      (error) => {
        const faults = errorDetails(error) as { field: string }[];
        assert.deepEqual(
          faults.map(({ field }) => field),
          ["items.2.sku_id", "items.3.sku_id"],
        );
        return isPlatformError(error, "VALIDATION_FAILED");
      },
    );
    assert.doesNotThrow(() => refuseRepeatedSkus(items.slice(0, 2)));
  });
});

describe("the deadline scanner", () => {
  it("sleeps until the next deadline, at most a second and never not at all", () => {
    assert.equal(sleepMs(null), 1_000);
    assert.equal(sleepMs("90000000"), 1_000);
    assert.equal(sleepMs("250000"), 251);
    assert.equal(sleepMs("-5000"), 10);
  });
});

describe("the sort of an order list", () => {
  it("is the newest first unless asked for otherwise", () => {
    assert.deepEqual(parseSort(undefined), { field: "created_at", direction: "DESC" });
    assert.deepEqual(parseSort("total_price,asc"), { field: "total_price", direction: "ASC" });
  });
});
