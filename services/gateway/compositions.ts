// Answers that need more than one service. The gateway is the only place above all of them, so it
// joins a product with its stock; nothing is decided here.
import { call, type ActionResult } from "../contracts/actions.ts";
import type { Product } from "../contracts/product.ts";
import type { PlatformCallContext } from "../../mixins/service.ts";
import type { Log } from "../../mixins/log.ts";

/** Turns an action's result into the public answer. */
export type Composition = (ctx: PlatformCallContext, result: never) => Promise<unknown>;

export function createCompositions(log: Log): Readonly<Record<string, Composition>> {
  /** Availability is a hint on a page: when inventory is away it is null, and the page is served. */
  async function availabilityOf(
    ctx: PlatformCallContext,
    products: readonly Product[],
  ): Promise<ReadonlyMap<string, number>> {
    const skuIds = products.flatMap((product) => product.skus.map((sku) => sku.id));
    if (skuIds.length === 0) return new Map();
    try {
      const { items } = await call(ctx, "inventory.availability", { sku_ids: skuIds });
      return new Map(items.map((item) => [item.sku_id, item.available]));
    } catch (error) {
      log.warn({ err: error }, "availability is left out");
      return new Map();
    }
  }

  async function withAvailability(ctx: PlatformCallContext, products: readonly Product[]) {
    const available = await availabilityOf(ctx, products);
    return products.map((product) => viewOf(product, available));
  }

  async function one(ctx: PlatformCallContext, product: Product) {
    const [view] = await withAvailability(ctx, [product]);
    return view;
  }

  async function list(ctx: PlatformCallContext, result: { items: Product[] }) {
    return { ...result, items: await withAvailability(ctx, result.items) };
  }

  async function created(ctx: PlatformCallContext, result: ActionResult<"product.create">) {
    // The durable event does the same; doing it at once lets a new product be bought at once.
    await call(ctx, "inventory.open", { skus: result.opening_stock }).catch((error: unknown) => {
      log.warn({ err: error }, "opening stock is left to the event");
    });
    return one(ctx, result.product);
  }

  return {
    "product.get": one,
    "product.update": one,
    "product.putOnShelf": one,
    "product.takeOffShelf": one,
    "product.list": list,
    "product.hot": list,
    "product.create": created,
  };
}

/** Copies: the product may be a shared, frozen object of this process's cache. */
function viewOf(product: Product, available: ReadonlyMap<string, number>) {
  return {
    id: product.id,
    name: product.name,
    description: product.description,
    category_id: product.category_id,
    price: product.price,
    status: product.status,
    skus: product.skus.map((sku) => ({ ...sku, available: available.get(sku.id) ?? null })),
    created_at: product.created_at,
    updated_at: product.updated_at,
  };
}
