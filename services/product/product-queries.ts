// What is read of products. The public sees listed ones only; an admin sees all.
import type { Principal } from "../../mixins/auth/tokens.ts";
import type { Database } from "../../mixins/database/database.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { Product, QuotedLine } from "../contracts/product.ts";
import { type Clock, SECOND_MS } from "../kernel/clock.ts";
import { must } from "../kernel/assert.ts";
import { type PageOf, pageOf } from "../kernel/schema.ts";
import { HOT_IDS_MAX, type HotProducts } from "./hot-products.ts";
import { listProducts, type ProductListQuery } from "./product-list.ts";
import type { ProductReader } from "./product-reader.ts";
import type { ProductRepository } from "./product.repository.ts";

const HOT_LIMIT_DEFAULT = 10;
/** One list serves all visitors of a node for this long. */
const HOT_TTL_MS = SECOND_MS;

export interface ProductQueries {
  /** @throws PRODUCT_NOT_FOUND, for the public also when it is off the shelf. */
  get(id: string, principal: Principal | undefined): Promise<Product>;
  list(query: ProductListQuery, principal: Principal | undefined): Promise<PageOf<Product>>;
  hot(limit?: number): Promise<{ items: Product[] }>;
  /** A line per SKU, in the order of the ids. @throws SKU_UNAVAILABLE with details.sku_ids. */
  quote(skuIds: readonly string[]): Promise<{ lines: QuotedLine[] }>;
}

export interface ProductQueriesParts {
  readonly database: Database;
  readonly products: Pick<ProductRepository, "find" | "quote">;
  readonly reader: Pick<ProductReader, "find" | "findAll">;
  readonly hot: Pick<HotProducts, "view" | "top">;
  readonly clock: Clock;
}

export function createProductQueries(parts: ProductQueriesParts): ProductQueries {
  const { database, products, reader, hot } = parts;
  const readHot = rememberHot(parts);

  return {
    async get(id, principal) {
      const product = await reader.find(id);
      const isAdmin = principal?.role === "admin";
      if (product === undefined || (product.status !== "listed" && !isAdmin)) {
        throw new PlatformError("PRODUCT_NOT_FOUND");
      }
      if (!isAdmin) hot.view(id);
      return product;
    },
    async list(query, principal) {
      if (principal?.role === "admin") return await listProducts(database, products, query);
      if (query.status === "unlisted") {
        const { page, pageSize } = pageOf(query);
        return { items: [], page, page_size: pageSize, total: 0 };
      }
      return await listProducts(database, products, { ...query, status: "listed" });
    },
    async hot(limit = HOT_LIMIT_DEFAULT) {
      return { items: (await readHot()).slice(0, limit) };
    },
    async quote(skuIds) {
      const lines = new Map((await products.quote(skuIds)).map((line) => [line.sku_id, line]));
      const unavailable = skuIds.filter((id) => !lines.has(id));
      if (unavailable.length > 0) {
        throw new PlatformError("SKU_UNAVAILABLE", { sku_ids: unavailable });
      }
      return { lines: skuIds.map((id) => must(lines.get(id), "the line of a SKU on sale")) };
    },
  };
}

/** The listed products among the hottest, read once for everybody. */
function rememberHot(parts: ProductQueriesParts): () => Promise<readonly Product[]> {
  const { reader, hot, clock } = parts;
  let known: Promise<readonly Product[]> | undefined;
  let untilMs = 0;

  async function read(): Promise<readonly Product[]> {
    const found = await reader.findAll((await hot.top()).slice(0, HOT_IDS_MAX));
    return found.filter((product) => product.status === "listed");
  }

  return () => {
    if (known !== undefined && clock.monotonic() < untilMs) return known;
    const started = read();
    known = started;
    untilMs = clock.monotonic() + HOT_TTL_MS;
    started.catch(() => {
      if (known === started) known = undefined;
    });
    return started;
  };
}
