// A sale's way from draft to closed. Publish and close each go through another service; what is left
// of them when a node dies is the sale's status, and any node goes on from there.
//
//   publish   draft ─▶ publishing (tx) ─▶ inventory.allot(sale, attempt) ─▶ published | draft (tx)
//   close     published ─▶ closing + seckill.closed.v1 (tx) ─▶ booked by inventory ─▶ closed (tx)
//
// inventory answers an attempt the same for ever, so two nodes that drive one publish agree.
import type { Context, ServiceBroker } from "moleculer";
import type { Database } from "../../mixins/database/database.ts";
import { runIdempotent } from "../../mixins/idempotency/idempotency.repository.ts";
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import { type ActionParams, call } from "../contracts/actions.ts";
import { unchanged } from "../contracts/decision.ts";
import { PlatformError } from "../contracts/errors.ts";
import { must } from "../kernel/assert.ts";
import { type Clock, SECOND_MS } from "../kernel/clock.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import {
  endClosing,
  endPublishing,
  type Sale,
  startClosing,
  startPublishing,
} from "./domain/sale.ts";
import { SECKILL_FAILPOINTS } from "./failpoints.ts";
import { existing, findSale, insertSale, isFullOfSales, updateSale } from "./sale.repository.ts";

const QUOTE_TIMEOUT_MS = SECOND_MS;
const ALLOT_TIMEOUT_MS = 2 * SECOND_MS;
/** An admin who closes a sale waits this long for the booking. */
const CLOSE_WAIT_MS = 3 * SECOND_MS;
const CLOSE_POLL_MS = 50;

export interface SaleLifeDeps {
  readonly database: Database;
  readonly ids: IdGenerator;
  readonly currency: string;
  readonly clock: Clock;
  readonly failpoint: Failpoint;
  /** Called after a commit that left events for the relay. */
  readonly onEvents: () => void;
  /** Tells the other nodes that a sale has changed; may be lost. */
  readonly onChanged: (saleId: string) => void;
}

type Caller = Context | ServiceBroker;

export interface CreateSale {
  readonly params: ActionParams<"seckill.createSale">;
  readonly adminId: string;
  readonly claim: IdempotencyClaim | undefined;
}

export interface CreatedSale {
  readonly sale: Sale;
  readonly isReplay: boolean;
}

/** Errors: VALIDATION_FAILED, SKU_UNAVAILABLE, those of Idempotency-Keys. */
export async function createSale(
  deps: SaleLifeDeps,
  caller: Caller,
  { params, adminId, claim }: CreateSale,
): Promise<CreatedSale> {
  const [startsAt, endsAt] = windowOf(deps, params);
  const { lines } = await call(
    caller,
    "product.quote",
    { sku_ids: [params.sku_id] },
    { timeout: QUOTE_TIMEOUT_MS },
  );
  const line = must(lines[0], "the quote of the SKU");
  const draft: Sale = {
    id: deps.ids.next(),
    skuId: params.sku_id,
    productId: line.product_id,
    name: line.name,
    title: params.title ?? line.name.slice(0, TITLE_LENGTH_MAX),
    price: params.price,
    currency: deps.currency,
    quantity: params.quantity,
    isPassRequired: params.pass_required ?? false,
    strategy: params.strategy ?? "gate",
    startsAt,
    endsAt,
    ...NEW_SALE,
  };
  const { value: id, isReplay } = await deps.database.transaction("seckill.sales.create", (tx) =>
    runIdempotent(tx, claim, async () => {
      await insertSale(tx, draft, adminId);
      return draft.id;
    }),
  );
  return { sale: existing(await findSale(deps.database, id)), isReplay };
}

const TITLE_LENGTH_MAX = 200;

const NEW_SALE = {
  admitted: 0,
  granted: 0,
  returned: 0,
  status: "draft",
  attempt: 0,
  mode: "db",
  epoch: 0,
  version: 0,
  gateRunId: null,
} as const;

function windowOf(
  { clock }: SaleLifeDeps,
  params: ActionParams<"seckill.createSale">,
): readonly [Date, Date] {
  const startsAt = new Date(params.start_at);
  const endsAt = new Date(params.end_at);
  const fault = (message: string): PlatformError =>
    new PlatformError("VALIDATION_FAILED", [{ field: "end_at", rule: "window", message }]);
  if (endsAt <= startsAt) throw fault("must be after start_at");
  if (endsAt.getTime() <= clock.now()) throw fault("must be in the future");
  return [startsAt, endsAt];
}

/**
 * Errors: INVENTORY_OUT_OF_STOCK, SECKILL_ENDED, SECKILL_ILLEGAL_TRANSITION, SECKILL_SALES_FULL; when
 * inventory does not answer the sale stays `publishing` and is carried on in the background.
 */
export async function publishSale(deps: SaleLifeDeps, caller: Caller, id: string): Promise<Sale> {
  const isFull = await isFullOfSales(deps.database);
  const { sale } = await updateSale(deps.database, id, (known, now) => {
    if (isFull && known.status === "draft") throw new PlatformError("SECKILL_SALES_FULL");
    return unchanged(startPublishing(known, now));
  });
  if (sale.status !== "publishing") return sale;
  await deps.failpoint(SECKILL_FAILPOINTS.publishAfterStart);
  const published = await carryOnPublishing(deps, caller, sale);
  if (published.status === "draft") {
    throw new PlatformError("INVENTORY_OUT_OF_STOCK", { sku_ids: [sale.skuId] });
  }
  return published;
}

/** Asks inventory for the units of a sale that is `publishing`. */
export async function carryOnPublishing(
  deps: SaleLifeDeps,
  caller: Caller,
  { id, attempt, skuId, quantity }: Sale,
): Promise<Sale> {
  const { outcome } = await call(
    caller,
    "inventory.allot",
    { sale_id: id, attempt, sku_id: skuId, quantity },
    { timeout: ALLOT_TIMEOUT_MS },
  );
  await deps.failpoint(SECKILL_FAILPOINTS.publishAfterAllot);
  const isAllotted = outcome === "allotted";
  const { sale } = await updateSale(deps.database, id, (known) =>
    unchanged(endPublishing(known, { attempt, isAllotted })),
  );
  deps.onChanged(id);
  return sale;
}

/** Ends a sale and waits a while for the return to be booked. Errors: SECKILL_ILLEGAL_TRANSITION. */
export async function closeSale(deps: SaleLifeDeps, caller: Caller, id: string): Promise<Sale> {
  let sale = await beginClosing(deps, id);
  const deadline = deps.clock.monotonic() + CLOSE_WAIT_MS;
  while (sale.status !== "closed" && deps.clock.monotonic() < deadline) {
    sale = await carryOnClosing(deps, caller, sale);
    if (sale.status !== "closed")
      await new Promise((resolve) => setTimeout(resolve, CLOSE_POLL_MS));
  }
  return sale;
}

/** From here on nobody is let in, and the units that are left are on their way back. */
export async function beginClosing(deps: SaleLifeDeps, id: string): Promise<Sale> {
  const { sale, isChange } = await updateSale(deps.database, id, startClosing);
  if (isChange) {
    deps.onEvents();
    deps.onChanged(id);
    await deps.failpoint(SECKILL_FAILPOINTS.closeAfterStart);
  }
  return sale;
}

/** `closed` once inventory has booked the return; else the sale as it is. */
export async function carryOnClosing(
  deps: SaleLifeDeps,
  caller: Caller,
  sale: Sale,
): Promise<Sale> {
  if (sale.status !== "closing") return sale;
  const { is_returned: isReturned } = await call(caller, "inventory.isReturned", {
    sale_id: sale.id,
  });
  if (!isReturned) return sale;
  const closed = await updateSale(deps.database, sale.id, (known) => unchanged(endClosing(known)));
  deps.onChanged(sale.id);
  return closed.sale;
}
