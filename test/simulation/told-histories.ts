// What the clients of a schedule heard, judged when the shop has come to rest: all of it, with the orders
// and units that are in the books then, must be what a shop could have said that does one thing at a time.
import { faultOf, STALE_SOLD_OUT_MAX_MS } from "../support/history/check.ts";
import type { Observation, OrderState } from "../support/history/operation.ts";
import { SALE, SALE_UNITS, SKU, SKU_UNITS } from "./scenarios.ts";
import type { Shop } from "./world/shop.ts";
import type { World } from "./world/world.ts";

/** Deadlines are moved by scenarios: an order may be cancelled as soon as it is there. */
const PAYMENT_WINDOW_MS = 0;
const LAST_BUYER = "199";
const STATES: Readonly<Record<string, OrderState>> = {
  pending_payment: "pending",
  paid: "paid",
  cancelled: "cancelled",
  refunded: "refunded",
};

/**
 * What cannot be explained, in sentences. Whatever is left at rest must still be sold: somebody new asks
 * for it, later than a "sold out" may be stale.
 */
export async function historyFaults(world: World, shop: Shop): Promise<readonly string[]> {
  const looks = [unitsOfSale(world), unitsOfSku(world)] as const;
  const orders = ordersOf(world, shop.operations);
  await world.simulation.sleep(STALE_SOLD_OUT_MAX_MS + 1);
  if (isLeft(looks[0])) await shop.buy(SALE, LAST_BUYER);
  if (isLeft(looks[1])) await shop.place(SKU, LAST_BUYER);
  const objects = [
    { object: SALE, units: SALE_UNITS, isOnePerUser: true, free: looks[0] },
    { object: SKU, units: SKU_UNITS, isOnePerUser: false, free: looks[1] },
  ];
  return objects.flatMap(({ object, units, isOnePerUser, free }) => {
    const operations = shop.operations.filter((one) => one.object === object);
    const known = new Set(operations.map(({ orderId }) => orderId));
    const seen = orders.filter(({ orderId }) => known.has(orderId));
    const observations = [...seen, ...free];
    const paymentWindowMs = PAYMENT_WINDOW_MS;
    return faultOf({ units, isOnePerUser, paymentWindowMs, operations, observations }) ?? [];
  });
}

function isLeft(looks: readonly FreeUnits[]): boolean {
  return looks.some(({ units }) => units > 0);
}

type FreeUnits = Extract<Observation, { readonly kind: "free" }>;
type SeenOrder = Extract<Observation, { readonly kind: "order" }>;

function ordersOf(world: World, operations: Shop["operations"]): readonly SeenOrder[] {
  const told = new Set(
    operations.flatMap(({ outcome, orderId }) =>
      outcome === "done" && orderId !== undefined ? [orderId] : [],
    ),
  );
  return world
    .query<{ id: string; status: string }>("order", "SELECT id, status FROM orders")
    .flatMap(({ id, status }) => {
      const state = STATES[status];
      return told.has(id) && state !== undefined
        ? [{ kind: "order" as const, orderId: id, state, ...now(world) }]
        : [];
    });
}

/** Nothing is known of the units of a sale that has ended: they are in the stock. */
function unitsOfSale(world: World): readonly FreeUnits[] {
  return world
    .query<{ units: string }>(
      "seckill",
      "SELECT quantity - admitted AS units FROM sales WHERE id = ? AND status = 'published'",
      [SALE],
    )
    .map(({ units }) => freeUnits(world, units));
}

function unitsOfSku(world: World): readonly FreeUnits[] {
  const [sale] = world.query("seckill", "SELECT id FROM sales WHERE status = 'published'");
  if (sale === undefined) return [];
  return world
    .query<{ units: string }>("inventory", "SELECT available AS units FROM stock")
    .map(({ units }) => freeUnits(world, units));
}

function freeUnits(world: World, units: string): FreeUnits {
  return { kind: "free", units: Number(units), isLeast: false, ...now(world) };
}

function now({ simulation }: World): { readonly from: number; readonly until: number } {
  return { from: simulation.now, until: simulation.now };
}
