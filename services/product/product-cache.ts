// Products in Redis, shared by all nodes. An entry is `<version>:<JSON>`; only a newer version
// replaces it, and `<version>:` alone says that everything older is outdated. Losing the whole
// cache costs reads of the database, never a wrong answer.
import { PRODUCT_OUTDATE, PRODUCT_STORE } from "../../lua/product.scripts.ts";
import type { Product } from "../contracts/product.ts";
import { MINUTE_MS } from "../kernel/clock.ts";
import type { RedisGuard } from "./redis-guard.ts";

export const CACHE_TTL_MS = 10 * MINUTE_MS;
/** Entries made at one moment shall not end at one moment. */
const CACHE_TTL_JITTER = 0.1;
/** How long an outdated version is remembered: longer than any statement of a reader may run. */
const OUTDATED_TTL_MS = MINUTE_MS;

export interface ProductCache {
  /** Those of the ids that are cached. Without Redis none. Never rejects. */
  read(ids: readonly string[]): Promise<Product[]>;
  /** Best effort; never rejects. */
  store(product: Product): Promise<void>;
  /** Deletes what is older than the version. False when Redis could not be told. Never rejects. */
  outdate(id: string, version: number): Promise<boolean>;
}

export interface ProductCacheParts {
  readonly guard: RedisGuard;
  readonly namespace: string;
  readonly random: () => number;
}

export function createProductCache({ guard, namespace, random }: ProductCacheParts): ProductCache {
  const keyOf = (id: string): string => `${namespace}:product:detail:{${id}}`;

  return {
    async read(ids) {
      const [only] = ids;
      if (only === undefined) return [];
      if (ids.length === 1) {
        const entry = await guard.attempt((redis) => redis.get(keyOf(only)));
        return productsOf([entry]);
      }
      const entries = await guard.attempt((redis) => redis.mget(ids.map(keyOf)));
      return productsOf(entries ?? []);
    },
    async store(product) {
      const spread = 1 + CACHE_TTL_JITTER * (2 * random() - 1);
      await guard.attempt((redis) =>
        PRODUCT_STORE.run(
          redis,
          { entry: keyOf(product.id) },
          {
            version: product.version,
            text: JSON.stringify(product),
            ttl_ms: Math.round(CACHE_TTL_MS * spread),
          },
        ),
      );
    },
    async outdate(id, version) {
      const reply = await guard.attempt((redis) =>
        PRODUCT_OUTDATE.run(redis, { entry: keyOf(id) }, { version, ttl_ms: OUTDATED_TTL_MS }),
      );
      return reply !== undefined;
    },
  };
}

function productsOf(entries: readonly (string | null | undefined)[]): Product[] {
  const products: Product[] = [];
  for (const entry of entries) {
    if (entry === null || entry === undefined) continue;
    const text = entry.slice(entry.indexOf(":") + 1);
    if (text !== "") products.push(JSON.parse(text) as Product);
  }
  return products;
}
