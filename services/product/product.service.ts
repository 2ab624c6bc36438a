// Products, SKUs and categories: browsing from the cache, changes by admins, prices for orders.
import type { ServiceSchema } from "moleculer";
import { databaseCredentials } from "../../config/database.ts";
import { repeatEvery } from "../../mixins/channels/repeat.ts";
import type { Database } from "../../mixins/database/database.ts";
import { createRedis } from "../../mixins/redis/redis.ts";
import { implement } from "../../mixins/service.ts";
import { productContract } from "../contracts/product.ts";
import type { PlatformNode } from "../node.ts";
import { createCategoryCommands } from "./category-commands.ts";
import { createCategoryStore } from "./category-store.ts";
import { createCategoryTree } from "./category-tree.ts";
import { createCategoryRepository } from "./category.repository.ts";
import { createHotProducts, VIEW_FLUSH_INTERVAL_MS } from "./hot-products.ts";
import { createProductCache } from "./product-cache.ts";
import { createProductCommands } from "./product-commands.ts";
import { createProductHints, hintListeners } from "./product-hints.ts";
import { createProductIdFilter, FILTER_REBUILD_INTERVAL_MS } from "./product-id-filter.ts";
import { createProductLoader } from "./product-loader.ts";
import { createProductQueries } from "./product-queries.ts";
import { createProductReader } from "./product-reader.ts";
import { createProductRepository } from "./product.repository.ts";
import { createReadTally } from "./read-tally.ts";
import { createRedisGuard } from "./redis-guard.ts";

/** What a reader may lose to a Redis that does not answer, once. */
const REDIS_TIMEOUT_MS = 100;

export function wire(node: PlatformNode): ServiceSchema {
  const { broker, clock, log, random, settings } = node;
  const database = node.database("product");
  const redis = createRedis(settings.REDIS_URL, {
    name: `${node.nodeId}-product`,
    log,
    commandTimeoutMs: REDIS_TIMEOUT_MS,
    isAutoPipelined: true,
  });
  const guard = createRedisGuard(redis, log);
  const products = createProductRepository(database);
  const cache = createProductCache({ guard, namespace: settings.NAMESPACE, random });
  const filter = createProductIdFilter({ products, clock, log });
  const loader = createProductLoader(products);
  const tally = createReadTally(node.metrics);
  const reader = createProductReader({ products: loader, cache, filter, clock, tally });
  const hot = createHotProducts({ guard, namespace: settings.NAMESPACE, clock });
  const store = createCategoryStore(broker, databaseCredentials(settings, "product"));
  const tree = createCategoryTree(store, clock);
  const hints = createProductHints(broker);
  const { ids } = node;
  const hintOutbox = (): void => node.bus().hintOutbox("product");
  return createProductService({
    database,
    queries: createProductQueries({ database, products, reader, hot, clock }),
    commands: createProductCommands({ products, reader, cache, hints, hintOutbox, ids, clock }),
    categories: createCategoryCommands({
      categories: createCategoryRepository(database),
      tree,
      hints,
      ids,
    }),
    events: hintListeners(reader, tree),
    background: [
      repeatEvery(FILTER_REBUILD_INTERVAL_MS, log, () => filter.rebuild()),
      repeatEvery(VIEW_FLUSH_INTERVAL_MS, log, () => hot.flush()),
    ],
    close: () => guard.close(),
  });
}

export interface ProductServiceParts {
  readonly database: Database;
  readonly queries: ReturnType<typeof createProductQueries>;
  readonly commands: ReturnType<typeof createProductCommands>;
  readonly categories: ReturnType<typeof createCategoryCommands>;
  readonly events: NonNullable<ServiceSchema["events"]>;
  readonly background: readonly ReturnType<typeof repeatEvery>[];
  readonly close: () => void;
}

function createProductService(parts: ProductServiceParts): ServiceSchema {
  const { queries, commands, categories, background } = parts;
  return {
    name: "product",
    actions: implement(productContract, {
      list: ({ params, principal }) => queries.list(params, principal),
      hot: ({ params }) => queries.hot(params.limit),
      get: ({ params, principal }) => queries.get(params.id, principal),
      quote: ({ params }) => queries.quote(params.sku_ids),
      create: ({ params, idempotency, ctx }) => commands.create(params, idempotency, ctx),
      update: ({ params }) => commands.update(params),
      putOnShelf: ({ params }) => commands.shelve(params.id, "listed"),
      takeOffShelf: ({ params }) => commands.shelve(params.id, "unlisted"),
      listCategories: () => categories.list(),
      createCategory: ({ params, idempotency, ctx }) => categories.create(params, idempotency, ctx),
      updateCategory: ({ params }) => categories.update(params),
    }),
    events: parts.events,
    started() {
      for (const job of background) job.start();
    },
    async stopped() {
      await Promise.all(background.map((job) => job.stop()));
      parts.close();
    },
  };
}
