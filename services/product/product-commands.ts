// What admins do to products. The database first; then this node forgets the old version, Redis is
// told, then the other nodes. Everything after the commit is best effort: the event repeats it.
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import type { PlatformCallContext } from "../../mixins/service.ts";
import type { Product, ProductStatus } from "../contracts/product.ts";
import type { Decision } from "../contracts/decision.ts";
import type { Clock } from "../kernel/clock.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import {
  changeProduct,
  createProduct,
  type NewProduct,
  type ProductChange,
  type ProductState,
  shelve,
} from "./domain/product.ts";
import type { ProductCache } from "./product-cache.ts";
import type { ProductHints } from "./product-hints.ts";
import type { ProductReader } from "./product-reader.ts";
import type { CreatedProduct, ProductRepository } from "./product.repository.ts";

export interface ProductCommands {
  create(
    input: NewProduct,
    claim: IdempotencyClaim | undefined,
    ctx: PlatformCallContext,
  ): Promise<CreatedProduct>;
  update(change: ProductChange & { readonly id: string }): Promise<Product>;
  shelve(id: string, status: ProductStatus): Promise<Product>;
}

export interface ProductCommandsParts {
  readonly products: Pick<ProductRepository, "create" | "update">;
  readonly reader: Pick<ProductReader, "outdate" | "appear">;
  readonly cache: Pick<ProductCache, "outdate">;
  readonly hints: ProductHints;
  /** Wakes the outbox relay. */
  readonly hintOutbox: () => void;
  readonly ids: IdGenerator;
  readonly clock: Clock;
}

export function createProductCommands(parts: ProductCommandsParts): ProductCommands {
  const { products, reader, cache, hints, hintOutbox, ids, clock } = parts;
  const now = (): Date => new Date(clock.now());

  async function update(
    id: string,
    decide: (product: ProductState) => Decision<ProductState>,
  ): Promise<Product> {
    const { product, isChanged } = await products.update(id, decide);
    if (!isChanged) return product;
    reader.outdate(id, product.version);
    hintOutbox();
    await cache.outdate(id, product.version);
    hints.outdated(id, product.version);
    return product;
  }

  return {
    async create(input, claim, ctx) {
      const { value, isReplay } = await products.create(claim, () =>
        createProduct(input, ids, now()),
      );
      if (isReplay) {
        ctx.meta.isReplay = true;
        return value;
      }
      reader.appear([value.product.id]);
      hintOutbox();
      hints.appeared([value.product.id]);
      return value;
    },
    update: ({ id, ...change }) => update(id, (product) => changeProduct(product, change, now())),
    shelve: (id, status) => update(id, (product) => shelve(product, status, now())),
  };
}
