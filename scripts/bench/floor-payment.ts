// Floor T, the part of payments and of the mock provider: the rows and transactions of
// services/payment by bare mysql2.
import { byId, type FloorOrder, idsOf, PRICE } from "./floor-order.ts";
import type { FloorDatabase, Run, Rows } from "./floor-database.ts";

const DELIVERIES_MAX = 32;
const RELAY_BATCH_MAX = 256;
const WINDOW_MS = 1_800_000;
const HASH = "a".repeat(64);

const LOCK_ORDERS = `SELECT order_id, closing_at, closed_at, NOW(3) AS read_at FROM payment_orders
  WHERE order_id IN (?) ORDER BY order_id FOR UPDATE`;
const LOCK_PAYMENTS = `SELECT p.id, p.order_id, p.user_id, p.channel, p.amount, p.currency, p.status,
    p.live, p.refund_reserved, p.refunded_amount, p.pay_url, p.version, p.expires_at,
    p.captured_at, p.created_at, p.updated_at
  FROM payments p WHERE p.order_id IN (?) ORDER BY p.id FOR UPDATE`;
const LOCK_CALLBACKS = `SELECT c.id, p.order_id, c.payment_id, c.source, c.outcome, c.received_at
  FROM payments p JOIN callbacks c ON c.payment_id = p.id AND c.applied_at IS NULL
  WHERE p.order_id IN (?) ORDER BY c.id FOR UPDATE`;
const REGISTER = `INSERT INTO charges (payment_id, amount, currency, status, provider_ref) VALUES ?
  ON DUPLICATE KEY UPDATE payment_id = VALUES(payment_id)`;

/** The row that stands for the order, and its payment. */
export async function openPayments(run: Run, given: readonly FloorOrder[]): Promise<void> {
  const orders = [...given].sort(byId);
  const ids = idsOf(orders);
  await Promise.all([
    run(
      `INSERT INTO payment_orders (order_id) VALUES ?
       ON DUPLICATE KEY UPDATE closing_at = closing_at`,
      [ids.map((id) => [id])],
    ),
    run(LOCK_ORDERS, [ids]),
    run(LOCK_PAYMENTS, [ids]),
  ]);
  const now = new Date();
  const end = new Date(now.getTime() + WINDOW_MS);
  await run(
    `INSERT INTO payments (id, order_id, user_id, channel, amount, currency, live, expires_at,
       created_at, updated_at) VALUES ?`,
    [
      orders.map((one) => [
        ...[one.paymentId, one.id, one.userId, "mock", PRICE, "CNY", 1, end, now, now],
      ]),
    ],
  );
}

/** Outside of a transaction, as the provider does it. */
export async function registerCharges(
  provider: FloorDatabase,
  orders: readonly FloorOrder[],
): Promise<void> {
  await provider.run(REGISTER, [orders.map(chargeRow)]);
}

function chargeRow({ paymentId }: FloorOrder): unknown[] {
  return [paymentId, PRICE, "CNY", "open", `mock_ch_${paymentId}`];
}

/** The buyer pays at the provider, which notes what it has to tell the shop. */
export async function capture(run: Run, order: FloorOrder): Promise<void> {
  const { paymentId } = order;
  await run(REGISTER, [[chargeRow(order)]]);
  await run(
    `SELECT payment_id, amount, currency, status, provider_ref, captured_at FROM charges
     WHERE payment_id IN (?) ORDER BY payment_id FOR UPDATE`,
    [[paymentId]],
  );
  await run(
    `UPDATE charges SET status = 'captured', amount = ?, currency = ?, captured_at = NOW(3)
     WHERE payment_id = ?`,
    [PRICE, "CNY", paymentId],
  );
  const body = { payment_id: paymentId, status: "succeeded", amount: PRICE, provider_ref: "ref" };
  await run(
    `INSERT INTO deliveries (webhook_id, payment_id, body) VALUES (?, ?, ?)
     ON DUPLICATE KEY UPDATE next_at = IF(delivered_at IS NULL, NOW(3), NULL)`,
    [`evt_${paymentId}_succeeded`, paymentId, JSON.stringify(body)],
  );
}

/** Callbacks that are due, taken for sending. */
export async function claimDeliveries(run: Run): Promise<Rows> {
  const rows = await run(
    `SELECT id, webhook_id, payment_id, body, attempts FROM deliveries WHERE next_at <= NOW(3)
     ORDER BY next_at LIMIT ? FOR UPDATE SKIP LOCKED`,
    [DELIVERIES_MAX],
  );
  if (rows.length === 0) return rows;
  await run(
    `UPDATE deliveries SET attempts = attempts + 1, next_at = NOW(3) + INTERVAL 15000000 MICROSECOND
     WHERE id IN (?)`,
    [rows.map((row) => row["id"])],
  );
  return rows;
}

export async function markTaken(provider: FloorDatabase, deliveryId: unknown): Promise<void> {
  await provider.run(
    "UPDATE deliveries SET delivered_at = NOW(3), next_at = NULL, last_status = 204 WHERE id = ?",
    [deliveryId],
  );
}

/** The inbox of callbacks. */
export async function storeCallbacks(run: Run, orders: readonly FloorOrder[]): Promise<void> {
  const ids = orders.map(({ paymentId }) => `evt_${paymentId}_succeeded`);
  await run(
    `SELECT channel, webhook_id, payload_hash, payment_id FROM callbacks
     WHERE channel = ? AND webhook_id IN (?)`,
    ["mock", ids],
  );
  const rows = orders.map(({ paymentId }) => {
    const told = ["provider", "succeeded", PRICE, `mock_ch_${paymentId}`, HASH];
    return ["mock", `evt_${paymentId}_succeeded`, paymentId, ...told];
  });
  await run(
    `INSERT INTO callbacks (channel, webhook_id, payment_id, source, outcome, amount, provider_ref,
       payload_hash) VALUES ? ON DUPLICATE KEY UPDATE payload_hash = payload_hash`,
    [rows.sort((left, right) => (String(left[1]) < String(right[1]) ? -1 : 1))],
  );
}

/** Payment, callback, ledger and event. */
export async function applyCallbacks(run: Run, given: readonly FloorOrder[]): Promise<void> {
  const orders = [...given].sort(byId);
  const ids = idsOf(orders);
  const [, , callbacks] = await Promise.all([
    run(LOCK_ORDERS, [ids]),
    run(LOCK_PAYMENTS, [ids]),
    run(LOCK_CALLBACKS, [ids]),
  ]);
  const callbackIds = callbacks.map((row) => row["id"]);
  await Promise.all([
    run(
      `UPDATE payments p JOIN callbacks c ON c.payment_id = p.id
       SET p.status = 'succeeded', p.live = 1, p.captured_at = c.received_at,
         p.version = p.version + 1 WHERE c.id IN (?)`,
      [callbackIds],
    ),
    run("UPDATE callbacks SET applied_at = NOW(3), effect = 'captured' WHERE id IN (?)", [
      callbackIds,
    ]),
    run("INSERT INTO ledger_entries (cause_type, cause_id, account, amount, payment_id) VALUES ?", [
      orders.flatMap(ledgerRows),
    ]),
    run(
      `INSERT INTO outbox (name, aggregate_id, aggregate_version, payload, traceparent, request_id)
       VALUES ?`,
      [orders.map(succeededEvent)],
    ),
  ]);
}

function ledgerRows({ paymentId }: FloorOrder): unknown[][] {
  return [
    ["capture", paymentId, "provider_receivable", PRICE, paymentId],
    ["capture", paymentId, "order_revenue", -PRICE, paymentId],
  ];
}

function succeededEvent({ id, userId, paymentId, key }: FloorOrder): unknown[] {
  const fact = { payment_id: paymentId, order_id: id, user_id: userId, amount: PRICE };
  const payload = JSON.stringify({ ...fact, paid_at: new Date().toISOString() });
  return ["payment.succeeded.v1", paymentId, 2, payload, null, key];
}

/** Events that wait, taken for publishing. */
export async function claimOutbox(run: Run): Promise<Rows> {
  const rows = await run(
    `SELECT id, name, aggregate_id AS aggregateId, aggregate_version AS aggregateVersion, payload,
       traceparent, request_id AS requestId, created_at AS createdAt, publish_count AS publishCount
     FROM outbox WHERE published_at IS NULL AND (claimed_until IS NULL OR claimed_until < NOW(3))
     ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED`,
    [RELAY_BATCH_MAX],
  );
  if (rows.length === 0) return rows;
  await run(
    "UPDATE outbox SET claimed_until = NOW(3) + INTERVAL 15000000 MICROSECOND WHERE id IN (?)",
    [rows.map((row) => row["id"])],
  );
  return rows;
}

export async function markPublished(owner: FloorDatabase, ids: readonly unknown[]): Promise<void> {
  await owner.run(
    `UPDATE outbox SET published_at = NOW(3), claimed_until = NULL,
       publish_count = publish_count + 1 WHERE id IN (?) AND published_at IS NULL`,
    [ids],
  );
}
