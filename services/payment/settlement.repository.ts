// Writes what settlements decided: payments, callbacks, refunds, ledger, events. One transaction for
// a batch of orders, a few statements for each kind of change.
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import { appendEvents } from "../../mixins/outbox/outbox.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import { SECOND_MS } from "../kernel/clock.ts";
import type { LedgerEntry } from "./domain/ledger.ts";
import type { CallbackEffect, PaymentChange, Settlement } from "./domain/settlement.ts";

const US_PER_MS = 1_000;
/** Younger callbacks are left to the node that received them. */
const SWEEP_MIN_AGE_MS = 0.5 * SECOND_MS;

const END = sql(
  "payment.payments.end",
  `UPDATE payments SET status = ?, live = NULL, version = version + 1 WHERE id IN (?)`,
);
const CAPTURE = sql(
  "payment.payments.capture",
  `UPDATE payments p JOIN callbacks c ON c.payment_id = p.id
   SET p.status = 'succeeded', p.live = 1, p.captured_at = c.received_at, p.version = p.version + 1
   WHERE c.id IN (?)`,
);
const CAPTURE_TO_REFUND = sql(
  "payment.payments.capture_to_refund",
  `UPDATE payments p JOIN callbacks c ON c.payment_id = p.id
   SET p.status = 'closed', p.live = NULL, p.captured_at = c.received_at,
       p.refund_reserved = p.amount, p.version = p.version + 1
   WHERE c.id IN (?)`,
);
const APPLY = sql(
  "payment.callbacks.apply",
  "UPDATE callbacks SET applied_at = NOW(3), effect = ? WHERE id IN (?)",
);
const INSERT_REFUNDS = sql(
  "payment.refunds.insert",
  "INSERT INTO refunds (id, payment_id, refund_key, amount, reason) VALUES ?",
);
const INSERT_ENTRIES = sql(
  "payment.ledger.insert",
  "INSERT INTO ledger_entries (cause_type, cause_id, account, amount, payment_id) VALUES ?",
);
const UNAPPLIED_ORDERS = sql(
  "payment.callbacks.unapplied",
  `SELECT p.order_id FROM callbacks c JOIN payments p ON p.id = c.payment_id
   WHERE c.applied_at IS NULL AND c.received_at < NOW(3) - INTERVAL ? MICROSECOND
   ORDER BY c.received_at LIMIT ?`,
);

export async function writeSettlements(
  tx: Transaction,
  settlements: readonly Settlement[],
  ids: IdGenerator,
): Promise<void> {
  const changes = settlements.flatMap((settlement) => settlement.changes);
  // What ceases to count for its order goes first: one payment may take another's place.
  await writeEnded(tx, changes);
  await Promise.all([
    writeCaptured(tx, changes),
    writeApplied(tx, settlements),
    insertAutomaticRefunds(tx, changes, ids),
    insertEntries(
      tx,
      settlements.flatMap((settlement) => settlement.entries),
    ),
    appendEvents(
      tx,
      settlements.flatMap((settlement) => settlement.events),
    ),
  ]);
}

async function writeEnded(tx: Transaction, changes: readonly PaymentChange[]): Promise<void> {
  for (const status of ["failed", "closed"] as const) {
    const ended = changes.filter((one) => one.status === status && one.capturedBy === null);
    if (ended.length > 0) await tx.run(END, [status, ended.map(({ payment }) => payment.id)]);
  }
  const toRefund = callbackIdsOf(changes.filter((one) => one.refund !== null));
  if (toRefund.length > 0) await tx.run(CAPTURE_TO_REFUND, [toRefund]);
}

async function writeCaptured(tx: Transaction, changes: readonly PaymentChange[]): Promise<void> {
  const captured = callbackIdsOf(changes.filter((one) => one.refund === null));
  if (captured.length > 0) await tx.run(CAPTURE, [captured]);
}

function callbackIdsOf(changes: readonly PaymentChange[]): readonly string[] {
  return changes.flatMap(({ capturedBy }) => (capturedBy === null ? [] : [capturedBy.id]));
}

async function writeApplied(tx: Transaction, settlements: readonly Settlement[]): Promise<void> {
  const byEffect = Map.groupBy(
    settlements.flatMap((settlement) => settlement.effects),
    ({ effect }): CallbackEffect => effect,
  );
  await Promise.all(
    [...byEffect].map(([effect, applied]) =>
      tx.run(APPLY, [effect, applied.map(({ callbackId }) => callbackId)]),
    ),
  );
}

async function insertAutomaticRefunds(
  tx: Transaction,
  changes: readonly PaymentChange[],
  ids: IdGenerator,
): Promise<void> {
  const rows = changes.flatMap(({ payment, refund }) =>
    refund === null ? [] : [[ids.next(), payment.id, refund, payment.amount, refund]],
  );
  if (rows.length > 0) await tx.run(INSERT_REFUNDS, [rows]);
}

export async function insertEntries(
  tx: Transaction,
  entries: readonly LedgerEntry[],
): Promise<void> {
  if (entries.length === 0) return;
  const rows = entries.map((one) => [
    one.causeType,
    one.causeId,
    one.account,
    one.amount,
    one.paymentId,
  ]);
  await tx.run(INSERT_ENTRIES, [rows]);
}

/** Orders with callbacks that nobody has applied for a while, oldest first. */
export async function unappliedOrders(
  database: Database,
  limit: number,
): Promise<readonly string[]> {
  const rows = await database.rows<{ order_id: string }>(UNAPPLIED_ORDERS, [
    SWEEP_MIN_AGE_MS * US_PER_MS,
    limit,
  ]);
  return [...new Set(rows.map((row) => row.order_id))];
}
