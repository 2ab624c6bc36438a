// Answers that need more than one service. The gateway is the only place above all of them, so it
// joins a product with its stock, and an API client with its secret; nothing is decided here.
import { type CommitQueue, createCommitQueue } from "../../mixins/database/commit-queue.ts";
import type { PlatformCallContext } from "../../mixins/service.ts";
import { clientSecret } from "../../mixins/signing/request-signature.ts";
import { call, type ActionResult } from "../contracts/actions.ts";
import { AVAILABILITY_SKUS_MAX } from "../contracts/inventory.ts";
import type { ApiClient } from "../contracts/operations.ts";
import type { Product } from "../contracts/product.ts";
import { must } from "../kernel/assert.ts";
import { SECOND_MS } from "../kernel/clock.ts";
import type { PlatformNode } from "../node.ts";
import type { Caller } from "./authenticate.ts";

/** Turns an action's result into the public answer. */
export type Composition = (
  ctx: PlatformCallContext,
  result: never,
  asked: Asked,
) => Promise<unknown>;

export interface Asked {
  readonly params: Readonly<Record<string, unknown>>;
  readonly caller: Caller;
}

/** Pages that share a question about stock; those that come while one is asked share the next. */
const PAGES_AT_ONCE_MAX = 256;
const PAGES_WAITING_MAX = 4_096;
/** A page is not kept waiting for what is a hint on it. */
const AVAILABILITY_TIMEOUT_MS = SECOND_MS;

interface Page {
  readonly ctx: PlatformCallContext;
  readonly skuIds: readonly string[];
}

type Availability = ReadonlyMap<string, number>;

export function createCompositions({
  log,
  settings,
}: Pick<PlatformNode, "log" | "settings">): Readonly<Record<string, Composition>> {
  // Secrets of API clients are made from it; empty = there are none.
  const shopKey = settings.API_CLIENT_SECRET;
  const pages: CommitQueue<Page, Availability> = createCommitQueue({
    name: "gateway.availability",
    batchSizeMax: PAGES_AT_ONCE_MAX,
    queueLengthMax: PAGES_WAITING_MAX,
    // Never rejects: a queue asks again what failed, and a page does not wait for that.
    commit: async (batch: readonly Page[]) => {
      const known = await askAvailability(batch).catch(leaveOut);
      return batch.map(() => known);
    },
  });

  /** Availability is a hint on a page: when inventory is away it is null, and the page is served. */
  function leaveOut(error: unknown): Availability {
    log.warn({ err: error }, "availability is left out");
    return new Map();
  }

  async function availabilityOf(
    ctx: PlatformCallContext,
    products: readonly Product[],
  ): Promise<Availability> {
    const skuIds = products.flatMap((product) => product.skus.map((sku) => sku.id));
    if (skuIds.length === 0) return new Map();
    return await pages.submit({ ctx, skuIds }).catch(leaveOut);
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

  /** Made here, the secret crosses no wire but the admin's. */
  function withSecret(_ctx: PlatformCallContext, client: ApiClient) {
    const { key_id: keyId, version, is_active: isActive } = client;
    const isGiven = isActive && shopKey !== "";
    return Promise.resolve({
      ...client,
      secret: isGiven ? clientSecret(shopKey, keyId, version) : null,
    });
  }

  return {
    "operations.setApiClient": withSecret,
    "product.get": one,
    "product.update": one,
    "product.putOnShelf": one,
    "product.takeOffShelf": one,
    "product.list": list,
    "product.hot": list,
    "product.create": created,
  };
}

/** What all SKUs of the pages have, each asked for once. */
async function askAvailability(pages: readonly Page[]): Promise<Availability> {
  const skuIds = [...new Set(pages.flatMap((page) => page.skuIds))];
  const caller = must(pages[0], "a page that asks").ctx.broker;
  const asked: Promise<ActionResult<"inventory.availability">>[] = [];
  for (let first = 0; first < skuIds.length; first += AVAILABILITY_SKUS_MAX) {
    const params = { sku_ids: skuIds.slice(first, first + AVAILABILITY_SKUS_MAX) };
    const options = { timeout: AVAILABILITY_TIMEOUT_MS };
    asked.push(call(caller, "inventory.availability", params, options));
  }
  const answers = await Promise.all(asked);
  return new Map(
    answers.flatMap(({ items }) => items.map((item) => [item.sku_id, item.available] as const)),
  );
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
