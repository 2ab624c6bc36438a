// The mock provider's books. A charge's row is locked before its status changes; what is to be sent
// to the shop is stored in the same transaction as the change it tells of.
import { type Database, sql } from "../../../mixins/database/database.ts";
import { DAY_MS } from "../../kernel/clock.ts";
import { must } from "../../kernel/assert.ts";
import type {
  CallbackBody,
  ChargeView,
  RefundRequest,
  RegisterRequest,
  SimulateRequest,
} from "./provider-api.ts";

const US_PER_MS = 1_000;
/** The one status with which the shop takes a callback. */
export const TAKEN_STATUS = 204;
/** Of a charge that was closed before it was registered. */
const NO_CURRENCY = "N/A";
const COLUMNS = "payment_id, amount, currency, status, provider_ref, captured_at";

const REGISTER = sql(
  "provider.charges.register",
  `INSERT INTO charges (payment_id, amount, currency, status, provider_ref) VALUES ?
   ON DUPLICATE KEY UPDATE payment_id = VALUES(payment_id)`,
);
const FIND = sql("provider.charges.find", `SELECT ${COLUMNS} FROM charges WHERE payment_id IN (?)`);
const LOCK = sql(
  "provider.charges.lock",
  `SELECT ${COLUMNS} FROM charges WHERE payment_id IN (?) ORDER BY payment_id FOR UPDATE`,
);
const CLOSE = sql(
  "provider.charges.close",
  "UPDATE charges SET status = 'closed' WHERE payment_id IN (?) AND status <> 'captured'",
);
/** Of rows that are there and locked: an insert is only the form in which many can be given. */
const CAPTURE = sql(
  "provider.charges.capture",
  `INSERT INTO charges (payment_id, amount, currency, status, provider_ref) VALUES ?
   ON DUPLICATE KEY UPDATE status = 'captured', amount = VALUES(amount),
     currency = VALUES(currency), captured_at = NOW(3)`,
);
const FAIL = sql(
  "provider.charges.fail",
  "UPDATE charges SET status = 'failed' WHERE payment_id IN (?) AND status = 'open'",
);
const DELIVER = sql(
  "provider.deliveries.add",
  `INSERT INTO deliveries (webhook_id, payment_id, body) VALUES ?
   ON DUPLICATE KEY UPDATE next_at = IF(delivered_at IS NULL, NOW(3), NULL)`,
);
const CAPTURED = sql(
  "provider.charges.captured",
  `SELECT ${COLUMNS} FROM charges
   WHERE captured_at >= ? AND captured_at < ? AND payment_id > ?
   ORDER BY payment_id LIMIT ?`,
);
const REFUND = sql(
  "provider.refunds.add",
  `INSERT INTO charge_refunds (refund_id, payment_id, amount, provider_ref, is_capture_known)
   VALUES (?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE refund_id = VALUES(refund_id)`,
);

interface ChargeRow {
  readonly payment_id: string;
  readonly amount: string;
  readonly currency: string;
  readonly status: Exclude<ChargeView["status"], "unknown">;
  readonly provider_ref: string;
  readonly captured_at: Date | null;
}

function viewOf(row: ChargeRow): ChargeView {
  return {
    payment_id: row.payment_id,
    status: row.status,
    amount: Number(row.amount),
    provider_ref: row.provider_ref,
    captured_at: row.captured_at?.toISOString() ?? null,
  };
}

function unknownCharge(paymentId: string): ChargeView {
  return {
    payment_id: paymentId,
    status: "unknown",
    amount: 0,
    provider_ref: "",
    captured_at: null,
  };
}

/** The provider's own number of a charge. */
function referenceOf(paymentId: string): string {
  return `mock_ch_${paymentId}`;
}

/** Opens charges that are new; one that is known stays as it is. */
export async function registerCharges(
  database: Database,
  charges: RegisterRequest["charges"],
): Promise<void> {
  await database.run(REGISTER, [charges.map((charge) => newRow(charge, "open"))]);
}

function newRow(
  charge: RegisterRequest["charges"][number],
  status: "open" | "closed",
): readonly unknown[] {
  const { payment_id, amount, currency } = charge;
  return [payment_id, amount, currency, status, referenceOf(payment_id)];
}

export async function queryCharges(
  database: Database,
  paymentIds: readonly string[],
): Promise<readonly ChargeView[]> {
  const rows = await database.rows<ChargeRow>(FIND, [paymentIds]);
  return inOrder(paymentIds, rows.map(viewOf));
}

function inOrder(paymentIds: readonly string[], views: readonly ChargeView[]): ChargeView[] {
  const byId = new Map(views.map((view) => [view.payment_id, view]));
  return paymentIds.map((paymentId) => byId.get(paymentId) ?? unknownCharge(paymentId));
}

/** Ends charges that are not captured, also ones that were never registered. */
export async function closeCharges(
  database: Database,
  paymentIds: readonly string[],
): Promise<readonly ChargeView[]> {
  return await database.transaction("provider.close", async (tx) => {
    // A registration that is still on its way must find the charge closed.
    const tombstones = [...paymentIds]
      .sort()
      .map((id) => newRow({ payment_id: id, amount: 0, currency: NO_CURRENCY }, "closed"));
    await tx.run(REGISTER, [tombstones]);
    await tx.rows<ChargeRow>(LOCK, [paymentIds]);
    await tx.run(CLOSE, [paymentIds]);
    return inOrder(paymentIds, (await tx.rows<ChargeRow>(FIND, [paymentIds])).map(viewOf));
  });
}

/**
 * Does what the charges' buyers would do, in their order, in one transaction. A success is possible
 * after the charge was closed: money that was on its way already. Answers, at the same index, false
 * for a failure of a captured charge.
 */
export async function simulateAll(
  database: Database,
  requests: readonly SimulateRequest[],
): Promise<readonly boolean[]> {
  const charges = new Map(requests.map(({ charge }) => [charge.payment_id, charge]));
  const ids = [...charges.keys()].sort();
  return await database.transaction("provider.simulate", async (tx) => {
    const opened = ids.map((id) => newRow(must(charges.get(id), "an asked charge"), "open"));
    await tx.run(REGISTER, [opened]);
    const rows = await tx.rows<ChargeRow>(LOCK, [ids]);
    const isCaptured = new Set(
      rows.filter(({ status }) => status === "captured").map(({ payment_id }) => payment_id),
    );
    const captures: SimulateRequest["charge"][] = [];
    const done = requests.map(({ charge, outcome }) => {
      if (isCaptured.has(charge.payment_id)) return outcome === "succeeded";
      if (outcome === "succeeded") {
        isCaptured.add(charge.payment_id);
        captures.push(charge);
      }
      return true;
    });
    const told = requests.filter((_request, index) => done[index] === true);
    const failed = told.filter(({ outcome }) => outcome === "failed");
    // A charge that failed and then succeeded in this batch ends as captured.
    if (failed.length > 0) await tx.run(FAIL, [failed.map(({ charge }) => charge.payment_id)]);
    if (captures.length > 0) {
      await tx.run(CAPTURE, [captures.map((charge) => newRow(charge, "open"))]);
    }
    if (told.length > 0) await tx.run(DELIVER, [told.map(deliveryOf)]);
    return done;
  });
}

/** One notification per charge and outcome, whatever repeats it. */
function deliveryOf({ charge: { payment_id, amount }, outcome }: SimulateRequest): unknown[] {
  const body: CallbackBody = {
    payment_id,
    status: outcome,
    amount,
    provider_ref: referenceOf(payment_id),
  };
  return [`evt_${payment_id}_${outcome}`, payment_id, JSON.stringify(body)];
}

/** Charges captured on a UTC day, by payment id, after `after`. */
export async function capturedOn(
  database: Database,
  page: { readonly day: string; readonly after: string; readonly limit: number },
): Promise<readonly ChargeView[]> {
  const from = new Date(`${page.day}T00:00:00.000Z`);
  const to = new Date(from.getTime() + DAY_MS);
  const rows = await database.rows<ChargeRow>(CAPTURED, [from, to, page.after, page.limit]);
  return rows.map(viewOf);
}

/** Carries a refund out once. One of a capture that was not made here is taken on and noted: the
 * shop holds a callback that somebody signed by hand. */
export async function addRefund(database: Database, request: RefundRequest): Promise<void> {
  const { refund_id, payment_id, amount } = request;
  const charge = await database.row<ChargeRow>(FIND, [[payment_id]]);
  const isKnown = charge?.status === "captured" ? 1 : 0;
  await database.run(REFUND, [refund_id, payment_id, amount, `mock_re_${refund_id}`, isKnown]);
}

const CLAIM = sql(
  "provider.deliveries.claim",
  `SELECT id, webhook_id, payment_id, body, attempts FROM deliveries WHERE next_at <= NOW(3)
   ORDER BY next_at LIMIT ? FOR UPDATE SKIP LOCKED`,
);
const HOLD = sql(
  "provider.deliveries.hold",
  `UPDATE deliveries SET attempts = attempts + 1, next_at = NOW(3) + INTERVAL ? MICROSECOND
   WHERE id IN (?)`,
);
const TAKEN = sql(
  "provider.deliveries.taken",
  "UPDATE deliveries SET delivered_at = NOW(3), next_at = NULL, last_status = ? WHERE id IN (?)",
);
const POSTPONE = sql(
  "provider.deliveries.postpone",
  `UPDATE deliveries SET next_at = NOW(3) + INTERVAL ? MICROSECOND, last_status = ?
   WHERE id = ? AND delivered_at IS NULL`,
);
const GIVE_UP = sql(
  "provider.deliveries.give_up",
  "UPDATE deliveries SET next_at = NULL, last_status = ? WHERE id = ?",
);

/** A callback that is to be sent. */
export interface Delivery {
  readonly id: string;
  readonly webhook_id: string;
  readonly payment_id: string;
  readonly body: string;
  /** Tries before this one. */
  readonly attempts: number;
}

/** Takes up to `limit` due callbacks for `leaseMs`. */
export async function claimDeliveries(
  database: Database,
  limit: number,
  leaseMs: number,
): Promise<readonly Delivery[]> {
  return await database.transaction("provider.deliveries.claim", async (tx) => {
    const rows = await tx.rows<Delivery>(CLAIM, [limit]);
    if (rows.length > 0) await tx.run(HOLD, [leaseMs * US_PER_MS, rows.map(({ id }) => id)]);
    return rows;
  });
}

/** @param ids not empty. */
export async function markTaken(database: Database, ids: readonly string[]): Promise<void> {
  await database.run(TAKEN, [TAKEN_STATUS, ids]);
}

/** @param delayMs undefined to give it up. */
export async function markRefused(
  database: Database,
  id: string,
  status: number,
  delayMs: number | undefined,
): Promise<void> {
  if (delayMs === undefined) await database.run(GIVE_UP, [status, id]);
  else await database.run(POSTPONE, [delayMs * US_PER_MS, status, id]);
}
