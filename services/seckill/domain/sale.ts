// A flash sale and what may happen to it. Pure: the caller holds the row lock and gives the
// database's time. A command that was carried out before changes nothing; one that the status does
// not allow is SECKILL_ILLEGAL_TRANSITION.
//
//   draft ⇄ publishing ─▶ published ─▶ closing ─▶ closed
//
// `publishing`: the units are being asked for; refused ones lead back to `draft`. `closing`: nobody
// is let in any more, the units that are left go back to the stock. `open` and `sold_out` are what a
// published sale is called while its time runs.
import type { Decision } from "../../contracts/decision.ts";
import { PlatformError } from "../../contracts/errors.ts";
import type { SaleStatus, SaleStrategy, StoredSaleStatus } from "../../contracts/seckill.ts";
import { assert } from "../../kernel/assert.ts";

/** Where the winners of a published sale are chosen; `loading`: the gate is being filled. */
export type SaleMode = "db" | "loading" | "redis";

export interface Sale {
  readonly id: string;
  readonly skuId: string;
  readonly productId: string;
  /** Of the SKU, as it will stand on the orders. */
  readonly name: string;
  readonly title: string;
  /** Minor units. */
  readonly price: number;
  readonly currency: string;
  readonly quantity: number;
  /** Admissions that are live now. */
  readonly admitted: number;
  /** All admissions ever, voids apart. */
  readonly granted: number;
  /** Units booked back into the stock since the end. */
  readonly returned: number;
  readonly isPassRequired: boolean;
  readonly strategy: SaleStrategy;
  readonly status: StoredSaleStatus;
  /** Counts the publishes. */
  readonly attempt: number;
  readonly mode: SaleMode;
  /** 0 before the first publish. */
  readonly epoch: number;
  /** Counts the events. */
  readonly version: number;
  /** The run of the server that holds the gate of this epoch. */
  readonly gateRunId: string | null;
  readonly startsAt: Date;
  readonly endsAt: Date;
}

/** Units nobody has now. */
export function remainingOf({ quantity, admitted, returned }: Sale): number {
  const remaining = quantity - admitted - returned;
  assert(remaining >= 0, "a sale never has fewer than no units");
  return remaining;
}

/** The status as clients see it. */
export function shownStatus(sale: Sale, nowMs: number): SaleStatus {
  if (sale.status !== "published" || nowMs < sale.startsAt.getTime()) return sale.status;
  if (nowMs >= sale.endsAt.getTime()) return "closing";
  return remainingOf(sale) === 0 ? "sold_out" : "open";
}

function illegal(sale: Sale, wanted: StoredSaleStatus): PlatformError {
  return new PlatformError("SECKILL_ILLEGAL_TRANSITION", { status: sale.status, wanted });
}

/** Errors: SECKILL_ENDED when its time is over, SECKILL_ILLEGAL_TRANSITION. */
export function startPublishing(sale: Sale, now: Date): Sale {
  if (sale.status === "publishing" || sale.status === "published") return sale;
  if (sale.status !== "draft") throw illegal(sale, "publishing");
  if (now >= sale.endsAt) throw new PlatformError("SECKILL_ENDED");
  return { ...sale, status: "publishing", attempt: sale.attempt + 1 };
}

/** What inventory answered to an attempt; the sale as it is when that attempt is not its last. */
export function endPublishing(
  sale: Sale,
  { attempt, isAllotted }: { readonly attempt: number; readonly isAllotted: boolean },
): Sale {
  if (sale.status !== "publishing" || sale.attempt !== attempt) return sale;
  if (!isAllotted) return { ...sale, status: "draft" };
  return { ...sale, status: "published", mode: "db", epoch: 1 };
}

/**
 * Ends the sale: the new epoch refuses winners that are not committed yet. Errors:
 * SECKILL_ILLEGAL_TRANSITION unless it is published, closing or closed.
 */
export function startClosing(sale: Sale): Decision<Sale> {
  if (sale.status === "closing" || sale.status === "closed") return { state: sale, events: [] };
  if (sale.status !== "published") throw illegal(sale, "closing");
  const returned = remainingOf(sale);
  const state: Sale = {
    ...sale,
    status: "closing",
    mode: "db",
    epoch: sale.epoch + 1,
    version: sale.version + 1,
    returned,
  };
  return {
    state,
    events: [
      {
        name: "seckill.closed.v1",
        aggregateId: sale.id,
        aggregateVersion: state.version,
        payload: { sale_id: sale.id, sku_id: sale.skuId, returned },
      },
    ],
  };
}

/** Inventory has booked the return. */
export function endClosing(sale: Sale): Sale {
  if (sale.status === "closed") return sale;
  if (sale.status !== "closing") throw illegal(sale, "closed");
  return { ...sale, status: "closed" };
}

/**
 * A buyer gives his unit back: to the sale while it is published, afterwards to the stock. The lock
 * on the sale decides which of the two it is.
 */
export function takeBack(sale: Sale, orderId: string): Decision<Sale> {
  assert(sale.admitted > 0, "only an admitted unit comes back");
  const admitted = sale.admitted - 1;
  if (sale.status === "published") return { state: { ...sale, admitted }, events: [] };
  const version = sale.version + 1;
  return {
    state: { ...sale, admitted, version, returned: sale.returned + 1 },
    events: [
      {
        name: "seckill.unit_returned.v1",
        aggregateId: sale.id,
        aggregateVersion: version,
        payload: { sale_id: sale.id, sku_id: sale.skuId, order_id: orderId },
      },
    ],
  };
}
