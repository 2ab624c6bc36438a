// The order service: prices, placing, payment, cancelling and the way to the buyer. What runs in
// the background is in order.worker.ts.
import type { ServiceSchema } from "moleculer";
import { type BackPressure, createBackPressure } from "../../mixins/channels/back-pressure.ts";
import type { Principal } from "../../mixins/auth/tokens.ts";
import { type ActionCall, implement } from "../../mixins/service.ts";
import { call } from "../contracts/actions.ts";
import { PlatformError } from "../contracts/errors.ts";
import { type Order as OrderDto, orderContract } from "../contracts/order.ts";
import type { Payment, PaymentChannel } from "../contracts/payment.ts";
import type { PlatformNode } from "../node.ts";
import { cancelOrder, type CloseOrderDeps } from "./close-order.saga.ts";
import { type Actor, complete, type Order, ship } from "./domain/order.ts";
import { priceLines, refuseRepeatedSkus, totalOf } from "./domain/pricing.ts";
import { listOrders } from "./order-list.ts";
import { createOrderReader, type OrderReader } from "./order-reader.ts";
import { updateOrder } from "./order.repository.ts";
import { orderDto } from "./order.rows.ts";
import { type OpenedPayment, payOrder, type PayOrderDeps } from "./pay-order.ts";
import { PLACE_LEASE_MS, placeOrder, type PlaceOrderDeps } from "./place-order.saga.ts";
import { createPlacing, type Placing } from "./placing.repository.ts";
import { createQuotes } from "./quotes.ts";
import { historyOf, ordersOfAdmissions, statusesOf, sumsOfSale } from "./sale-orders.ts";

const CHANNEL_DEFAULT: PaymentChannel = "mock";

export interface OrderDeps extends PlaceOrderDeps, CloseOrderDeps, PayOrderDeps {
  readonly reader: OrderReader;
  readonly pressure: BackPressure;
  /** Told once of every order that goes on its way, and who said so. */
  readonly onShipped: (source: string) => void;
}

export function wire(node: PlatformNode): ServiceSchema {
  const { log, metrics, settings } = node;
  const database = node.database("order");
  return createOrderService({
    ...closeDeps(node),
    pressure: createBackPressure({
      ...{ owner: "order", database, bus: node.bus(), log, metrics },
      backlogMax: settings.ORDER_BACKLOG_MAX,
    }),
    ids: node.ids,
    quotes: createQuotes(node.broker),
    currency: settings.CURRENCY,
    placing: wirePlacing(node),
    reader: createOrderReader(database),
    onShipped: (source) => metrics.increment("app_shipping_success_total", { source }),
  });
}

/** What ending orders needs; the worker needs the same. */
export function closeDeps(node: PlatformNode): CloseOrderDeps {
  const { log, failpoint, random, nodeId } = node;
  return {
    database: node.database("order"),
    lease: { owner: nodeId },
    failpoint,
    log,
    random,
    onEvents: () => node.bus().hintOutbox("order"),
  };
}

export function wirePlacing(node: PlatformNode): Placing {
  return createPlacing({
    database: node.database("order"),
    paymentWindowMs: node.settings.ORDER_PAYMENT_WINDOW_MS,
    lease: { owner: node.nodeId, leaseMs: PLACE_LEASE_MS },
    onEvents: () => node.bus().hintOutbox("order"),
  });
}

export function createOrderService(deps: OrderDeps): ServiceSchema {
  const { database } = deps;

  const pay = async (
    { ctx, principal, idempotency }: PayCall,
    id: string,
    channel: PaymentChannel,
  ): Promise<Payment> => {
    const { payment, isReplay }: OpenedPayment = await payOrder(deps, {
      ctx,
      channel,
      claim: idempotency,
      findOrder: () => deps.reader.find({ id, ownerId: principal.userId }),
    });
    if (isReplay) ctx.meta.isReplay = true;
    return payment;
  };

  return {
    name: "order",
    // Known to others only when it finds what it calls: a gateway that is ready can sell.
    dependencies: ["payment", "inventory", "product", "user"],
    actions: implement(orderContract, {
      prepare: (request) => prepare(deps, request),
      place: async ({ ctx, params, principal, idempotency }) => {
        if (idempotency === undefined) throw new PlatformError("IDEMPOTENCY_KEY_REQUIRED");
        const { userId } = principal;
        const placed = await placeOrder(deps, { ctx, userId, params, claim: idempotency });
        if (placed.isReplay) ctx.meta.isReplay = true;
        return placed.order;
      },
      list: async ({ params, principal }) => {
        const page = await listOrders(database, ownerOf(principal), params);
        return { ...page, items: page.items.map(orderDto) };
      },
      get: async ({ params, principal }) =>
        orderDto(await deps.reader.find({ id: params.id, ownerId: ownerOf(principal) })),
      cancel: async ({ ctx, params, principal }) =>
        orderDto(
          await cancelOrder(deps, ctx, {
            id: params.id,
            actor: actorOf(principal),
            reason: principal.role === "admin" ? "cancelled_by_admin" : "cancelled_by_buyer",
            ownerId: ownerOf(principal),
          }),
        ),
      statuses: ({ params }) => statusesOf(database, params.order_ids),
      history: ({ params }) => historyOf(database, params.order_id),
      ofSale: ({ params }) => sumsOfSale(database, params.sale_id),
      ofAdmissions: ({ params }) => ordersOfAdmissions(database, params.order_ids),
      pay: (request) => pay(request, request.params.id, request.params.channel ?? CHANNEL_DEFAULT),
      payByPayment: (request) => pay(request, request.params.order_id, request.params.channel),
      ship: async ({ params, principal }) => {
        const decide = (order: Order, now: Date) => ship(order, actorOf(principal), now);
        const { state, transition } = await updateOrder(database, {
          id: params.id,
          ownerId: null,
          decide,
        });
        if (transition !== null) deps.onShipped("admin");
        return orderDto(state);
      },
      complete: async ({ params, principal }) => {
        const ownerId = ownerOf(principal);
        const decide = (order: Order, now: Date) => complete(order, actorOf(principal), now);
        return orderDto((await updateOrder(database, { id: params.id, ownerId, decide })).state);
      },
    }),
    stopped: () => stop(deps),
  };
}

async function stop({ pressure, placing }: OrderDeps): Promise<void> {
  await pressure.stop();
  await placing.drain();
}

type PayCall = Pick<ActionCall<typeof orderContract.pay>, "ctx" | "principal" | "idempotency">;

async function prepare(
  deps: OrderDeps,
  { ctx, params }: ActionCall<typeof orderContract.prepare>,
): Promise<OrderPreview> {
  refuseRepeatedSkus(params.items);
  if (params.coupon_code !== undefined) throw new PlatformError("COUPON_UNKNOWN");
  const skuIds = params.items.map((item) => item.sku_id);
  const [quoted, { items: levels }] = await Promise.all([
    deps.quotes.quote(skuIds),
    call(ctx, "inventory.availability", { sku_ids: skuIds }),
  ]);
  const lines = priceLines(params.items, quoted);
  const available = new Map(levels.map((level) => [level.sku_id, level.available]));
  return {
    items: lines.map(({ skuId, productId, name, quantity, price }) => ({
      sku_id: skuId,
      product_id: productId,
      name,
      quantity,
      price,
      is_available: (available.get(skuId) ?? 0) >= quantity,
    })),
    total_price: totalOf(lines),
    discount: 0,
    currency: deps.currency,
  };
}

type OrderPreview = Pick<OrderDto, "total_price" | "discount" | "currency"> & {
  items: (OrderDto["items"][number] & { is_available: boolean })[];
};

/** Admins may see and change everybody's orders. */
function ownerOf(principal: Principal): string | null {
  return principal.role === "admin" ? null : principal.userId;
}

function actorOf(principal: Principal): Actor {
  return { who: principal.role, id: principal.userId };
}
