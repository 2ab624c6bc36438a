// Floor T, the order's and the inventory's part: the rows and transactions of services/order and
// services/inventory by bare mysql2. What is compared are rows; bench.md shows that they are equal.
import type { Run, Rows } from "./floor-database.ts";

export interface FloorOrder {
  readonly id: string;
  readonly userId: string;
  readonly skuId: string;
  readonly productId: string;
  readonly key: string;
  readonly paymentId: string;
  /** Called when inventory has committed the stock. */
  done: () => void;
}

export const PRICE = 1_999;
const NAME = "Product of the benchmark";
const ROUTE = "POST /orders";
const FINGERPRINT = "f".repeat(64);
const WINDOW_MS = 1_800_000;
const RAW = (text: string): { toSqlString: () => string } => ({ toSqlString: () => text });
const KEY_END = RAW("NOW(3) + INTERVAL 86400000000 MICROSECOND");
const LEASE_END = RAW("NOW(3) + INTERVAL 10000000 MICROSECOND");

const ORDER_COLUMNS = `id, user_id, status, version, total_price, discount, refunded_amount, currency,
  address, note, sale_id, cancel_reason, payment_id, expires_at, paid_at, created_at, updated_at`;
const KEY_COLUMNS =
  "user_id, route, idempotency_key, fingerprint, state, reference, answer, expires_at";
const HISTORY = `INSERT INTO order_events
  (order_id, version, from_status, to_status, reason, actor, at) VALUES ?`;
const OUTBOX = `INSERT INTO outbox
  (name, aggregate_id, aggregate_version, payload, traceparent, request_id) VALUES ?`;

export function byId(left: { readonly id: string }, right: { readonly id: string }): number {
  return left.id.length - right.id.length || (left.id < right.id ? -1 : Number(left.id > right.id));
}

type State = readonly [status: string, version: number, paid: Paid | null];
interface Paid {
  readonly paymentId: string;
  readonly at: Date;
}

function orderRow(order: FloorOrder, [status, version, paid]: State, now: Date): unknown[] {
  const expiresAt = status === "placing" ? null : new Date(now.getTime() + WINDOW_MS);
  const { id, userId } = order;
  const money = [PRICE, 0, 0, "CNY"];
  const ends = [paid?.paymentId ?? null, expiresAt, paid?.at ?? null, now, now];
  return [id, userId, status, version, ...money, null, null, null, null, ...ends];
}

/** Key, order, line, history and saga. */
export async function begin(run: Run, orders: readonly FloorOrder[]): Promise<void> {
  await run(`INSERT INTO idempotency_keys (${KEY_COLUMNS}) VALUES ?`, [
    orders.map((one) => keyRow(one, null)),
  ]);
  const now = nowOf(await run("SELECT NOW(3) AS now"));
  await Promise.all([
    run(`INSERT INTO orders (${ORDER_COLUMNS}) VALUES ?`, [
      orders.map((one) => orderRow(one, ["placing", 1, null], now)),
    ]),
    run(
      `INSERT INTO order_items (order_id, line, sku_id, product_id, name, quantity, price) VALUES ?`,
      [orders.map(({ id, skuId, productId }) => [id, 0, skuId, productId, NAME, 1, PRICE])],
    ),
    run(HISTORY, [
      orders.map((one) => [one.id, 1, null, "placing", null, `customer:${one.userId}`, now]),
    ]),
    run(
      `INSERT INTO sagas (id, type, status, log, context, lease_owner, lease_until, next_at) VALUES ?`,
      [orders.map(sagaRow)],
    ),
  ]);
}

function keyRow(order: FloorOrder, answer: string | null): unknown[] {
  const state = answer === null ? "running" : "done";
  return [order.userId, ROUTE, order.key, FINGERPRINT, state, order.id, answer, KEY_END];
}

function sagaRow(order: FloorOrder): unknown[] {
  const claim = { userId: order.userId, route: ROUTE, key: order.key, fingerprint: FINGERPRINT };
  const context = JSON.stringify(claim);
  return [order.id, "place-order", "running", "[]", context, "floor", LEASE_END, LEASE_END];
}

/** Stock, ledger, reservation and its line, under the lock of the SKUs. */
export async function reserve(run: Run, orders: readonly FloorOrder[]): Promise<void> {
  const [stock] = await Promise.all([
    lockStock(run, orders),
    run("SELECT order_id, status FROM reservations WHERE order_id IN (?)", [idsOf(orders)]),
  ]);
  await Promise.all([
    ...writeStock(run, stock, { orders, kind: "reserve", available: -1, reserved: 1 }),
    run("INSERT INTO reservations (order_id, status) VALUES ?", [
      orders.map(({ id }) => [id, "held"]),
    ]),
    run("INSERT INTO reservation_lines (order_id, sku_id, quantity) VALUES ?", [
      orders.map(({ id, skuId }) => [id, skuId, 1]),
    ]),
  ]);
}

async function lockStock(run: Run, orders: readonly FloorOrder[]): Promise<Rows> {
  const skuIds = [...new Set(orders.map(({ skuId }) => skuId))].sort();
  return await run(
    `SELECT sku_id, available, reserved, allotted, safety_stock, version FROM stock
     WHERE sku_id IN (?) ORDER BY sku_id FOR UPDATE`,
    [skuIds],
  );
}

interface Booking {
  readonly orders: readonly FloorOrder[];
  readonly kind: "reserve" | "commit";
  readonly available: number;
  readonly reserved: number;
}

function writeStock(run: Run, stock: Rows, booking: Booking): Promise<unknown>[] {
  const { orders, kind, available, reserved } = booking;
  const sold = new Map<string, number>();
  for (const { skuId } of orders) sold.set(skuId, (sold.get(skuId) ?? 0) + 1);
  const rows = stock.map((row) => {
    const units = sold.get(String(row["sku_id"])) ?? 0;
    return [
      row["sku_id"],
      Number(row["available"]) + units * available,
      Number(row["reserved"]) + units * reserved,
      row["allotted"],
      row["safety_stock"],
      Number(row["version"]) + 1,
    ];
  });
  return [
    run(
      `INSERT INTO stock (sku_id, available, reserved, allotted, safety_stock, version) VALUES ?
       ON DUPLICATE KEY UPDATE available = VALUES(available), reserved = VALUES(reserved),
         allotted = VALUES(allotted), safety_stock = VALUES(safety_stock), version = VALUES(version)`,
      [rows],
    ),
    run(
      `INSERT INTO stock_movements (sku_id, kind, available_delta, reserved_delta, allotted_delta,
         cause_type, cause_id, reason) VALUES ?`,
      [orders.map(({ id, skuId }) => [skuId, kind, available, reserved, 0, "order", id, null])],
    ),
  ];
}

/** Order, history, event, saga and the key's answer. */
export async function confirm(run: Run, orders: readonly FloorOrder[]): Promise<void> {
  const ids = idsOf(orders);
  const now = nowOf(
    await run(
      `SELECT id, status, NOW(3) AS now FROM orders FORCE INDEX (PRIMARY)
       WHERE id IN (?) ORDER BY id FOR UPDATE`,
      [ids],
    ),
  );
  const expiresAt = new Date(now.getTime() + WINDOW_MS);
  await Promise.all([
    run(
      `UPDATE orders SET status = 'pending_payment', version = version + 1, expires_at = ?,
         updated_at = ? WHERE id IN (?) AND status = 'placing'`,
      [expiresAt, now, ids],
    ),
    run(HISTORY, [ids.map((id) => [id, 2, "placing", "pending_payment", null, "system", now])]),
    run(OUTBOX, [orders.map((one) => createdEvent(one, expiresAt))]),
    run(
      `UPDATE sagas SET status = 'done', next_at = NULL, lease_owner = NULL, lease_until = NULL,
         version = version + 1, updated_at = NOW(3)
       WHERE type = 'place-order' AND id IN (?) AND next_at IS NOT NULL`,
      [ids],
    ),
    run(
      `INSERT INTO idempotency_keys (${KEY_COLUMNS}) VALUES ? ON DUPLICATE KEY UPDATE
         answer = IF(reference = VALUES(reference), VALUES(answer), answer),
         state = IF(reference = VALUES(reference), 'done', state)`,
      [orders.map((one) => keyRow(one, answerText(one, now, expiresAt)))],
    ),
  ]);
}

function factOf({ id, userId }: FloorOrder): object {
  return { order_id: id, user_id: userId, sale_id: null };
}

function createdEvent(order: FloorOrder, expiresAt: Date): unknown[] {
  const lines = [{ sku_id: order.skuId, quantity: 1, price: PRICE }];
  const money = { total_price: PRICE, currency: "CNY" };
  const payload = { ...factOf(order), lines, ...money, expires_at: expiresAt.toISOString() };
  return ["order.created.v1", order.id, 2, JSON.stringify(payload), null, order.key];
}

function answerText(order: FloorOrder, now: Date, expiresAt: Date): string {
  const { id, userId, skuId, productId } = order;
  const at = now.toISOString();
  const items = [{ sku_id: skuId, product_id: productId, name: NAME, quantity: 1, price: PRICE }];
  const money = { total_price: PRICE, discount: 0, refunded_amount: 0, currency: "CNY" };
  const rest = { address: null, note: null, sale_id: null, cancel_reason: null };
  const times = { expires_at: expiresAt.toISOString(), paid_at: null, created_at: at };
  const head = { id, user_id: userId, status: "pending_payment", items };
  return JSON.stringify({ ok: { ...head, ...money, ...rest, ...times, updated_at: at } });
}

/** What payment.succeeded.v1 does to orders. */
export async function markPaid(run: Run, events: readonly FloorEvent[]): Promise<void> {
  await receive(run, "order", events);
  const orders = events.map(({ order }) => order).sort(byId);
  const ids = idsOf(orders);
  const [locked] = await Promise.all([
    run(
      `SELECT ${ORDER_COLUMNS}, NOW(3) AS now FROM orders FORCE INDEX (PRIMARY)
       WHERE id IN (?) ORDER BY id FOR UPDATE`,
      [ids],
    ),
    run(
      `SELECT order_id, sku_id, product_id, name, quantity, price FROM order_items
       WHERE order_id IN (?) ORDER BY order_id, line`,
      [ids],
    ),
  ]);
  const now = nowOf(locked);
  const paid = (one: FloorOrder): State => ["paid", 3, { paymentId: one.paymentId, at: now }];
  await Promise.all([
    run(
      `INSERT INTO orders (${ORDER_COLUMNS}) VALUES ? ON DUPLICATE KEY UPDATE
         status = IF(VALUES(version) - orders.version IN (0, 1), VALUES(status), 'conflict'),
         refunded_amount = VALUES(refunded_amount), cancel_reason = VALUES(cancel_reason),
         payment_id = VALUES(payment_id), expires_at = VALUES(expires_at),
         paid_at = VALUES(paid_at), updated_at = VALUES(updated_at), version = VALUES(version)`,
      [orders.map((one) => orderRow(one, paid(one), now))],
    ),
    run(HISTORY, [ids.map((id) => [id, 3, "pending_payment", "paid", null, "system", now])]),
    run(OUTBOX, [orders.map(paidEvent)]),
  ]);
}

/** An event on its way to a consumer. */
export interface FloorEvent {
  readonly id: string;
  readonly order: FloorOrder;
}

function paidEvent(order: FloorOrder): unknown[] {
  const lines = [{ sku_id: order.skuId, quantity: 1, price: PRICE }];
  const fact = { ...factOf(order), payment_id: order.paymentId, total_price: PRICE, lines };
  return ["order.paid.v1", order.id, 3, JSON.stringify(fact), null, order.key];
}

async function receive(run: Run, consumer: string, events: readonly FloorEvent[]): Promise<void> {
  const ids = events.map(({ id }) => id).sort();
  await run("INSERT INTO inbox (consumer, event_id) VALUES ?", [ids.map((id) => [consumer, id])]);
}

/** What order.paid.v1 does to stock. */
export async function commitStock(run: Run, events: readonly FloorEvent[]): Promise<void> {
  await receive(run, "inventory", events);
  const orders = events.map(({ order }) => order).sort(byId);
  const ids = idsOf(orders);
  await run(
    `SELECT r.order_id, r.status, l.sku_id, l.quantity
     FROM reservations r LEFT JOIN reservation_lines l ON l.order_id = r.order_id
     WHERE r.order_id IN (?) ORDER BY r.order_id, l.sku_id`,
    [ids],
  );
  const stock = await lockStock(run, orders);
  await run(
    "SELECT order_id, status FROM reservations WHERE order_id IN (?) ORDER BY order_id FOR UPDATE",
    [ids],
  );
  await Promise.all([
    run(
      `UPDATE reservations SET status = 'committed', updated_at = NOW(3)
       WHERE order_id IN (?) AND status = 'held'`,
      [ids],
    ),
    ...writeStock(run, stock, { orders, kind: "commit", available: 0, reserved: -1 }),
  ]);
}

export function idsOf(orders: readonly FloorOrder[]): string[] {
  return orders.map(({ id }) => id);
}

function nowOf(rows: Rows): Date {
  return rows[0]?.["now"] as Date;
}
