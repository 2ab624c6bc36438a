// Placing an order, from the buyer's lines to an order that can be paid.
//
//   quote ─▶ begin ─▶ inventory.reserve ─┬─ held ─────────────▶ end: confirm
//   (prices) (tx)     (outside, by id)   ├─ refused (4xx) ────▶ end: refuse, the answer is kept
//                                        └─ not known ────────▶ end: abandon, then release
//
// A crash leaves the order `placing` under a lease. When the lease ends any node abandons it: the
// order fails, its key may be used again, and inventory.release is repeated until it succeeds; it
// leaves a tombstone when there was nothing to release. A step whose outcome is not known is
// compensated as if it had been done. See saga-recovery.ts for the way back.
import type { BackPressure } from "../../mixins/channels/back-pressure.ts";
import { currentContext } from "../../mixins/context.ts";
import { refusalOf, valueOf } from "../../mixins/idempotency/idempotency.repository.ts";
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import type { Log } from "../../mixins/log.ts";
import type { PlatformCallContext } from "../../mixins/service.ts";
import type { Database } from "../../mixins/database/database.ts";
import { type ActionParams, call } from "../contracts/actions.ts";
import { isPlatformError, PlatformError } from "../contracts/errors.ts";
import type { Order as OrderDto } from "../contracts/order.ts";
import type { Address } from "../contracts/user.ts";
import { SECOND_MS } from "../kernel/clock.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import type { Draft, Order } from "./domain/order.ts";
import { priceLines, refuseRepeatedSkus, totalOf } from "./domain/pricing.ts";
import { ORDER_FAILPOINTS } from "./failpoints.ts";
import { answerAgain, findKey } from "./order-keys.ts";
import type { Placing, PlacingEnd } from "./placing.repository.ts";
import type { Quotes } from "./quotes.ts";

/** Longer than a placing takes whose caller still waits, with the retries of its transactions. */
export const PLACE_LEASE_MS = 10 * SECOND_MS;
const ADDRESS_TIMEOUT_MS = SECOND_MS;
/** Leaves time to tell the buyer within the gateway's own time-out. */
const RESERVE_TIMEOUT_MS = 1_500;

export interface PlaceOrderDeps {
  readonly database: Database;
  readonly placing: Placing;
  readonly quotes: Quotes;
  readonly ids: IdGenerator;
  readonly currency: string;
  readonly failpoint: Failpoint;
  readonly log: Log;
  readonly pressure: Pick<BackPressure, "refuses">;
}

export interface PlaceOrderRequest {
  readonly ctx: PlatformCallContext;
  readonly userId: string;
  readonly params: ActionParams<"order.place">;
  readonly claim: IdempotencyClaim;
}

export interface PlacedOrder {
  readonly order: OrderDto;
  /** True when an earlier request with this key had placed it. */
  readonly isReplay: boolean;
}

/**
 * Errors: VALIDATION_FAILED, COUPON_UNKNOWN, SKU_UNAVAILABLE, INVENTORY_OUT_OF_STOCK, those of
 * Idempotency-Keys, SERVICE_UNAVAILABLE or OVERLOADED when nothing was ordered.
 */
export async function placeOrder(
  deps: PlaceOrderDeps,
  request: PlaceOrderRequest,
): Promise<PlacedOrder> {
  const { placing, database, failpoint } = deps;
  const { claim } = request;
  refuseBeforehand(request.params);
  let draft: Draft;
  try {
    if (deps.pressure.refuses(1)) throw new PlatformError("OVERLOADED");
    draft = await draftOf(deps, request);
  } catch (error) {
    // What could be bought when the key was first used may be gone now: the first answer holds.
    const known = await findKey<OrderDto>(database, claim);
    if (known.kind === "fresh") throw error;
    return { order: answerAgain(known), isReplay: true };
  }
  await failpoint(ORDER_FAILPOINTS.placeBeforeBegin);
  const begun = await placing.begin({ draft, claim });
  if (begun.kind !== "begun") return { order: answerAgain(begun), isReplay: true };
  await failpoint(ORDER_FAILPOINTS.placeAfterBegin);
  const order = await reserveAndEnd(deps, request, begun.order);
  return { order, isReplay: false };
}

function refuseBeforehand({ items, coupon_code: couponCode }: PlaceOrderRequest["params"]): void {
  refuseRepeatedSkus(items);
  if (couponCode !== undefined) throw new PlatformError("COUPON_UNKNOWN");
}

async function draftOf(deps: PlaceOrderDeps, request: PlaceOrderRequest): Promise<Draft> {
  const { ctx, userId, params } = request;
  const [quoted, address] = await Promise.all([
    deps.quotes.quote(params.items.map(({ sku_id: skuId }) => skuId)),
    addressOf(ctx, userId, params.address_id),
  ]);
  const lines = priceLines(params.items, quoted);
  return {
    id: deps.ids.next(),
    userId,
    lines,
    totalPrice: totalOf(lines),
    discount: 0,
    currency: deps.currency,
    address,
    note: params.note ?? null,
    saleId: null,
  };
}

async function addressOf(
  ctx: PlatformCallContext,
  userId: string,
  addressId: string | undefined,
): Promise<Address | null> {
  if (addressId === undefined) return null;
  try {
    const params = { user_id: userId, address_id: addressId };
    return await call(ctx, "user.addressSnapshot", params, { timeout: ADDRESS_TIMEOUT_MS });
  } catch (error) {
    if (!isPlatformError(error, "ADDRESS_NOT_FOUND")) throw error;
    throw new PlatformError("VALIDATION_FAILED", [
      { field: "address_id", rule: "exists", message: "is none of your addresses" },
    ]);
  }
}

async function reserveAndEnd(
  deps: PlaceOrderDeps,
  { ctx, claim }: PlaceOrderRequest,
  order: Order,
): Promise<OrderDto> {
  const { placing, failpoint, log } = deps;
  const { end, error } = await reserve(ctx, order);
  if (end.kind === "abandon") log.warn({ err: error, orderId: order.id }, "reserve is unknown");
  await failpoint(ORDER_FAILPOINTS.placeAfterReserve);
  const ended = await placing.end({ order, claim, end, origin: currentContext() });
  if (ended.kind === "confirmed") {
    await failpoint(ORDER_FAILPOINTS.placeAfterConfirm);
    return ended.order;
  }
  if (ended.kind === "failed" && end.kind === "refuse") return valueOf(end.answer);
  throw new PlatformError(
    isPlatformError(error, "OVERLOADED") ? "OVERLOADED" : "SERVICE_UNAVAILABLE",
  );
}

/** What the answer of inventory means for the order. */
async function reserve(
  ctx: PlatformCallContext,
  { id, lines }: Order,
): Promise<{ readonly end: PlacingEnd; readonly error?: unknown }> {
  const params = {
    order_id: id,
    lines: lines.map(({ skuId, quantity }) => ({ sku_id: skuId, quantity })),
  };
  try {
    await call(ctx, "inventory.reserve", params, { timeout: RESERVE_TIMEOUT_MS });
    return { end: { kind: "confirm" } };
  } catch (error) {
    const answer = refusalOf(error);
    // Released before it was reserved: another node has given this placing up.
    const isGivenUp = isPlatformError(error, "ORDER_ILLEGAL_TRANSITION");
    if (answer === undefined || isGivenUp) return { end: { kind: "abandon" }, error };
    const isSoldOut = isPlatformError(error, "INVENTORY_OUT_OF_STOCK");
    return {
      end: { kind: "refuse", reason: isSoldOut ? "out_of_stock" : "refused", answer },
      error,
    };
  }
}
