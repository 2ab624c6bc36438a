// A small shop in which every invariant holds, as rows: a paid order (1001), a cancelled one that
// was paid too late (1002), a refunded one (1003) and one that waits for its payment (1004), all of
// SKU 501; a closed flash sale (6001) of three units of SKU 502 with an unpaid order (1101), a cancelled
// one (1102) and a unit nobody bought; an event of each route with its receipt.
import type { TestDatabase } from "./database.ts";

export const SHOP_SCHEMAS = [
  "user",
  "product",
  "inventory",
  "order",
  "payment",
  "seckill",
] as const;

const AGO = "NOW(3) - INTERVAL 1 HOUR";
const SOON = "NOW(3) + INTERVAL 10 MINUTE";

const TABLES = {
  order: ["orders", "order_items", "order_events", "sagas"],
  inventory: ["stock", "reservations", "reservation_lines", "stock_movements", "allotments"],
  seckill: ["sales", "admissions", "give_backs"],
  payment: ["payments", "payment_orders", "callbacks", "refunds", "ledger_entries"],
} as const;
const MESSAGE_TABLES = ["outbox", "inbox", "dead_letters"] as const;

const orderRow = (id: number, status: string, units: number, payment: string): string =>
  `(${id}, 7, '${status}', ${historyOf(status).length}, ${units * 100}, 0,
    ${status === "refunded" ? units * 100 : 0}, 'CNY', ${payment},
    ${payment === "NULL" ? "NULL" : AGO}, ${SOON}, ${AGO}, ${AGO})`;

function historyOf(status: string): readonly string[] {
  const paths: Readonly<Record<string, readonly string[]>> = {
    pending_payment: [],
    paid: ["paid"],
    refunded: ["paid", "refunded"],
    cancelled: ["closing", "cancelled"],
  };
  return ["placing", "pending_payment", ...(paths[status] ?? [])];
}

function historyRows(id: number, status: string): string {
  const steps = historyOf(status);
  return steps
    .map((to, index) => {
      const from = index === 0 ? "NULL" : `'${steps[index - 1] ?? ""}'`;
      return `(${id}, ${index + 1}, ${from}, '${to}', 'system', ${AGO})`;
    })
    .join(", ");
}

const ORDERS = [
  { id: 1001, status: "paid", units: 2, payment: "2001" },
  { id: 1002, status: "cancelled", units: 1, payment: "NULL" },
  { id: 1003, status: "refunded", units: 1, payment: "2003" },
  { id: 1004, status: "pending_payment", units: 3, payment: "NULL" },
] as const;

const ORDER_SQL = [
  `INSERT INTO {order}.orders (id, user_id, status, version, total_price, discount,
     refunded_amount, currency, payment_id, paid_at, expires_at, created_at, updated_at) VALUES
   ${ORDERS.map((one) => orderRow(one.id, one.status, one.units, one.payment)).join(", ")}`,
  `INSERT INTO {order}.order_items (order_id, line, sku_id, product_id, name, quantity, price) VALUES
   ${ORDERS.map((one) => `(${one.id}, 1, 501, 401, 'cup', ${one.units}, 100)`).join(", ")}`,
  `INSERT INTO {order}.order_events (order_id, version, from_status, to_status, actor, at) VALUES
   ${ORDERS.map((one) => historyRows(one.id, one.status)).join(", ")}`,
  `INSERT INTO {order}.sagas (id, type, status, log, context, next_at)
   VALUES (1001, 'place-order', 'done', '[]', '{}', NULL)`,
];

const movement = (kind: string, cause: string, [available, reserved]: [number, number]): string =>
  `(501, '${kind}', ${available}, ${reserved}, 0, '${kind === "receipt" ? "opening" : "order"}', '${cause}')`;

const INVENTORY_SQL = [
  "INSERT INTO {inventory}.stock VALUES (501, 5, 3, 0, 0, 9)",
  `INSERT INTO {inventory}.reservations (order_id, status, created_at) VALUES
   (1001, 'committed', ${AGO}), (1002, 'released', ${AGO}), (1003, 'committed', ${AGO}),
   (1004, 'held', NOW(3))`,
  `INSERT INTO {inventory}.reservation_lines VALUES
   (1001, 501, 2), (1002, 501, 1), (1003, 501, 1), (1004, 501, 3)`,
  `INSERT INTO {inventory}.stock_movements
     (sku_id, kind, available_delta, reserved_delta, allotted_delta, cause_type, cause_id) VALUES
   ${[
     movement("receipt", "501", [10, 0]),
     movement("reserve", "1001", [-2, 2]),
     movement("commit", "1001", [0, -2]),
     movement("reserve", "1002", [-1, 1]),
     movement("release", "1002", [1, -1]),
     movement("reserve", "1003", [-1, 1]),
     movement("commit", "1003", [0, -1]),
     movement("restock", "1003", [1, 0]),
     movement("reserve", "1004", [-3, 3]),
   ].join(", ")}`,
];

const PAYMENT_SQL = [
  `INSERT INTO {payment}.payments (id, order_id, user_id, channel, amount, currency, status, live,
     refund_reserved, refunded_amount, expires_at, captured_at, created_at, updated_at) VALUES
   (2001, 1001, 7, 'mock', 200, 'CNY', 'succeeded', 1, 0, 0, ${SOON}, ${AGO}, ${AGO}, ${AGO}),
   (2002, 1002, 7, 'mock', 100, 'CNY', 'refunded', NULL, 100, 100, ${AGO}, ${AGO}, ${AGO}, ${AGO}),
   (2003, 1003, 7, 'mock', 100, 'CNY', 'refunded', NULL, 100, 100, ${SOON}, ${AGO}, ${AGO}, ${AGO})`,
  `INSERT INTO {payment}.callbacks (channel, webhook_id, payment_id, source, outcome, amount,
     provider_ref, payload_hash, received_at, applied_at, effect) VALUES
   ('mock', 'a', 2001, 'provider', 'succeeded', 200, 'r', REPEAT('0', 64), ${AGO}, ${AGO}, 'captured'),
   ('mock', 'b', 2002, 'provider', 'succeeded', 100, 'r', REPEAT('0', 64), ${AGO}, ${AGO}, 'late'),
   ('mock', 'c', 2003, 'provider', 'succeeded', 100, 'r', REPEAT('0', 64), ${AGO}, ${AGO}, 'captured')`,
  `INSERT INTO {payment}.refunds (id, payment_id, refund_key, amount, reason, status, next_at,
     created_at, succeeded_at) VALUES
   (3002, 2002, 'late', 100, 'late', 'succeeded', NULL, ${AGO}, ${AGO}),
   (3003, 2003, 'k', 100, 'broken', 'succeeded', NULL, ${AGO}, ${AGO})`,
  `INSERT INTO {payment}.ledger_entries (cause_type, cause_id, account, amount, payment_id) VALUES
   ('capture', 2001, 'provider_receivable', 200, 2001), ('capture', 2001, 'order_revenue', -200, 2001),
   ('capture', 2002, 'provider_receivable', 100, 2002), ('capture', 2002, 'refunds_payable', -100, 2002),
   ('capture', 2003, 'provider_receivable', 100, 2003), ('capture', 2003, 'order_revenue', -100, 2003),
   ('refund', 3002, 'refunds_payable', 100, 2002), ('refund', 3002, 'provider_receivable', -100, 2002),
   ('refund', 3003, 'refunds', 100, 2003), ('refund', 3003, 'provider_receivable', -100, 2003)`,
];

const SALE_SQL = [
  `INSERT INTO {seckill}.sales (id, sku_id, product_id, name, title, price, currency, quantity,
     admitted, granted, returned, status, attempt, epoch, version, starts_at, ends_at, created_by,
     created_at, updated_at) VALUES
   (6001, 502, 402, 'pot', 'pots', 100, 'CNY', 3, 1, 2, 2, 'closed', 1, 2, 4, ${AGO} - INTERVAL 1
    HOUR, ${AGO}, 1, ${AGO}, ${AGO})`,
  `INSERT INTO {seckill}.admissions (order_id, sale_id, user_id, live, state, seq, end_seq, epoch,
     request_id, created_at, ended_at) VALUES
   (1101, 6001, 7, 1, 'live', 1, NULL, 1, 'a', ${AGO}, NULL),
   (1102, 6001, 8, NULL, 'given_back', 2, 1, 1, 'b', ${AGO}, ${AGO})`,
  `INSERT INTO {order}.orders (id, user_id, status, version, total_price, discount, refunded_amount,
     currency, sale_id, cancel_reason, expires_at, created_at, updated_at) VALUES
   (1101, 7, 'pending_payment', 1, 100, 0, 0, 'CNY', 6001, NULL, ${SOON}, ${AGO}, ${AGO}),
   (1102, 8, 'cancelled', 3, 100, 0, 0, 'CNY', 6001, 'x', ${SOON}, ${AGO}, ${AGO})`,
  `INSERT INTO {order}.order_items (order_id, line, sku_id, product_id, name, quantity, price) VALUES
   (1101, 0, 502, 402, 'pot', 1, 100), (1102, 0, 502, 402, 'pot', 1, 100)`,
  `INSERT INTO {order}.order_events (order_id, version, from_status, to_status, actor, at) VALUES
   (1101, 1, NULL, 'pending_payment', 'system', ${AGO}),
   (1102, 1, NULL, 'pending_payment', 'system', ${AGO}),
   (1102, 2, 'pending_payment', 'closing', 'system', ${AGO}),
   (1102, 3, 'closing', 'cancelled', 'system', ${AGO})`,
  "INSERT INTO {inventory}.stock VALUES (502, 4, 0, 1, 0, 4)",
  `INSERT INTO {inventory}.allotments (sale_id, attempt, sku_id, quantity, status, returned,
     created_at, closed_at) VALUES (6001, 1, 502, 3, 'closed', 1, ${AGO}, ${AGO})`,
  `INSERT INTO {inventory}.stock_movements
     (sku_id, kind, available_delta, reserved_delta, allotted_delta, cause_type, cause_id) VALUES
   (502, 'receipt', 5, 0, 0, 'opening', '502'), (502, 'allot', -3, 0, 3, 'sale', '6001'),
   (502, 'return', 1, 0, -1, 'sale', '6001'), (502, 'return', 1, 0, -1, 'order', '1102')`,
];

const event = (owner: string, id: number, name: string): string =>
  `INSERT INTO {${owner}}.outbox (id, name, aggregate_id, aggregate_version, payload, created_at,
     published_at, publish_count) VALUES (${id}, '${name}', 1001, 1, '{}', ${AGO}, ${AGO}, 1)`;
const receipt = (consumer: string, eventId: string): string =>
  `INSERT INTO {${consumer}}.inbox (consumer, event_id) VALUES ('${consumer}', '${eventId}')`;

const MESSAGE_SQL = [
  event("order", 1, "order.paid.v1"),
  receipt("inventory", "order.1"),
  event("product", 1, "product.created.v1"),
  receipt("inventory", "product.1"),
  receipt("product", "product.1"),
  event("payment", 1, "payment.succeeded.v1"),
  receipt("order", "payment.1"),
  event("order", 2, "order.cancelled.v1"),
  receipt("inventory", "order.2"),
  receipt("seckill", "order.2"),
  event("seckill", 1, "seckill.admitted.v1"),
  receipt("order", "seckill.1"),
  event("seckill", 2, "seckill.closed.v1"),
  receipt("inventory", "seckill.2"),
];

/** Runs a statement in which `{order}` stands for a schema's name, with every right. */
export async function runAsAdmin(test: TestDatabase, text: string): Promise<void> {
  await test.admin.query(
    text.replaceAll(/\{([a-z]+)\}/g, (_, schema: (typeof SHOP_SCHEMAS)[number]) =>
      test.nameOf(schema),
    ),
  );
}

/** Empties the shop and fills it with the sound rows. */
export async function resetShop(test: TestDatabase): Promise<void> {
  const tables = [
    ...Object.entries(TABLES).flatMap(([schema, names]) =>
      names.map((name) => `{${schema}}.${name}`),
    ),
    ...SHOP_SCHEMAS.flatMap((schema) => MESSAGE_TABLES.map((name) => `{${schema}}.${name}`)),
  ];
  for (const table of tables) await runAsAdmin(test, `DELETE FROM ${table}`);
  for (const text of [
    ...ORDER_SQL,
    ...INVENTORY_SQL,
    ...PAYMENT_SQL,
    ...SALE_SQL,
    ...MESSAGE_SQL,
  ]) {
    await runAsAdmin(test, text);
  }
}
