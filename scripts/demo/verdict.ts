// Holds what the buyers heard against what the shop says of itself, when everything has come to rest.
import { setTimeout as delay } from "node:timers/promises";
import { type HttpAnswer, requestText } from "../bench/http-socket.ts";
import type { SaleAudit } from "../../services/contracts/seckill.ts";
import type { Buyer } from "./buyers.ts";
import type { Connections } from "./connections.ts";
import type { Admin } from "./demo-sale.ts";
import type { Promised, Witness } from "./witness.ts";

const POLL_MS = 500;
/** After the last deadline: closing sagas, refunds, events that wait for a restarted server. */
const SETTLE_MS = 30_000;
const CLOSE_MS = 15_000;
const READ_TRIES_MAX = 20;
/** Statuses from which an order moves on by itself. */
export const UNSETTLED = ["queued", "pending_payment", "closing"] as const;

export interface Check {
  readonly name: string;
  /** What was found, as a figure or a few words. */
  readonly found: string;
  readonly isGood: boolean;
}

export interface Verdict {
  readonly audit: SaleAudit;
  readonly checks: readonly Check[];
  readonly isPassed: boolean;
}

export interface VerdictParts {
  readonly saleId: string;
  readonly admin: Admin;
  readonly witness: Witness;
  readonly connections: Connections;
  readonly buyerOf: (index: number) => Buyer;
  /** Time to pay an order, ms; unpaid orders are waited for only when it is short. */
  readonly paymentWindowMs: number;
  readonly say: (text: string) => void;
}

const WINDOW_WAITED_MAX_MS = 60_000;

/** Whether a demonstration has the time to see unpaid orders end. */
export function waitsForUnpaid(paymentWindowMs: number): boolean {
  return paymentWindowMs <= WINDOW_WAITED_MAX_MS;
}

export async function judge(parts: VerdictParts): Promise<Verdict> {
  const { admin, saleId, say, witness, paymentWindowMs } = parts;
  const isPatient = waitsForUnpaid(paymentWindowMs);
  say("waiting for the last payments and cancellations");
  await until(isPatient ? paymentWindowMs + SETTLE_MS : SETTLE_MS, async () => {
    const audit = await admin.audit(saleId);
    return isPatient ? unsettled(audit) === 0 : (audit.orders["paid"] ?? 0) >= witness.counts.paid;
  });
  say("closing the sale");
  await until(CLOSE_MS, async () => (await admin.close(saleId)).status === "closed");
  say("reading every promised order");
  const lost = await lostOrders(parts);
  say("auditing");
  await until(SETTLE_MS, async () => {
    const [audit, broken] = [await admin.audit(saleId), await admin.brokenInvariants()];
    return audit.holds && broken.length === 0;
  });
  const [audit, broken] = [await admin.audit(saleId), await admin.brokenInvariants()];
  const { promised, faults } = witness.counts;
  const ever = audit.live + audit.given_back;
  const checks: readonly Check[] = [
    check("promises without their order", lost.length, 0),
    check("units promised beyond what was there", Math.max(0, audit.live - audit.quantity), 0),
    check("units neither sold nor returned", audit.quantity - audit.live - audit.returned, 0),
    atLeast("admissions, against promises heard", ever, promised),
    check("orders, against admissions", ordersOf(audit), ever),
    ...(isPatient ? [check("orders that are in between", unsettled(audit), 0)] : []),
    list(
      "rules of the sale that do not hold",
      audit.offending.map(({ rule }) => rule),
    ),
    list(
      "invariants of the shop that do not hold",
      broken.map(({ name }) => name),
    ),
    list("answers that must never be", faults),
  ];
  return { audit, checks, isPassed: checks.every(({ isGood }) => isGood) };
}

function check(name: string, found: number, wanted: number): Check {
  const isGood = found === wanted;
  return { name, found: isGood ? String(found) : `${found}, not ${wanted}`, isGood };
}

function atLeast(name: string, found: number, least: number): Check {
  return { name, found: `${found} / ${least}`, isGood: found >= least };
}

function list(name: string, found: readonly string[]): Check {
  return { name, found: found.length === 0 ? "0" : found.join("; "), isGood: found.length === 0 };
}

function ordersOf({ orders }: SaleAudit): number {
  return Object.values(orders).reduce((sum, count) => sum + count, 0);
}

/** Orders that are on their way to an end. */
export function unsettled({ orders }: SaleAudit): number {
  return UNSETTLED.reduce((sum, status) => sum + (orders[status] ?? 0), 0);
}

/** Returns when it is so or the time is over; what a busy shop does not answer counts as "not yet". */
async function until(timeoutMs: number, isSo: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (performance.now() < deadlineMs) {
    if (await isSo().catch(() => false)) return;
    await delay(POLL_MS);
  }
}

/** Promised orders that their buyers cannot read. */
async function lostOrders({
  witness,
  connections,
  buyerOf,
}: VerdictParts): Promise<readonly string[]> {
  const isThere = async ({ buyer, orderId }: Promised): Promise<boolean> => {
    const path = `/api/v1/orders/${orderId}`;
    const text = requestText({ method: "GET", path, ...buyerOf(buyer) });
    for (let tries = 1; tries <= READ_TRIES_MAX; tries += 1) {
      const answer = await connections.send(text).catch(() => undefined);
      if (answer?.status === 200) return idOf(answer) === orderId;
      await delay(POLL_MS);
    }
    return false;
  };
  const found = await Promise.all(witness.promises.map(isThere));
  return witness.promises.filter((_, at) => found[at] === false).map(({ orderId }) => orderId);
}

function idOf({ body }: HttpAnswer): string | undefined {
  return (JSON.parse(body) as { data?: { id?: string } }).data?.id;
}
