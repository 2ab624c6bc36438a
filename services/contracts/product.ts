// Contract of the product service: products, SKUs, categories, and the price of a set of lines.
import { type Static, Type } from "@sinclair/typebox";
import {
  Id,
  Money,
  Nullable,
  PAGE_PARAMS,
  Page,
  SortParam,
  Strict,
  Timestamp,
} from "../kernel/schema.ts";
import { defineContract } from "./contract.ts";

export const SKUS_PER_PRODUCT_MAX = 100;
export const ORDER_LINES_MAX = 50;
export const LINE_QUANTITY_MAX = 99;
export const HOT_LIST_SIZE_MAX = 50;
/** Price 0 would make an order that no payment can pay. */
const Price = Type.Integer({ minimum: 1, maximum: 100_000_000_000, description: "Minor units" });
const Stock = Type.Integer({ minimum: 0, maximum: 1_000_000_000 });
const Name = Type.String({ minLength: 1, maxLength: 200, pattern: "\\S" });
const Attributes = Type.Record(
  Type.String({ pattern: "^[\\w \\-]{1,50}$" }),
  Type.String({ maxLength: 100 }),
  { maxProperties: 20 },
);

export const ProductStatus = Type.Union([Type.Literal("listed"), Type.Literal("unlisted")]);
export type ProductStatus = Static<typeof ProductStatus>;

export const Sku = Type.Object({ id: Id, attributes: Attributes, price: Money });

/** What the product service knows; `available` is inventory's and joined by the gateway. */
export const Product = Type.Object({
  id: Id,
  name: Type.String(),
  description: Type.String(),
  category_id: Nullable(Id),
  /** The lowest price of its SKUs. */
  price: Money,
  status: ProductStatus,
  skus: Type.Array(Sku),
  version: Type.Integer(),
  created_at: Timestamp,
  updated_at: Timestamp,
});
export type Product = Static<typeof Product>;

export const Category = Type.Object({
  id: Id,
  name: Type.String(),
  parent_id: Nullable(Id),
  position: Type.Integer(),
});
export type Category = Static<typeof Category>;

const TAG = { tag: "Products" } as const;

const CategoryFields = {
  name: Name,
  parent_id: Type.Optional(Nullable(Id)),
  position: Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000 })),
};

export const QuotedLine = Type.Object({
  sku_id: Id,
  product_id: Id,
  name: Type.String(),
  price: Money,
});
export type QuotedLine = Static<typeof QuotedLine>;

export const productContract = defineContract({
  list: {
    params: Strict({
      ...PAGE_PARAMS,
      category_id: Type.Optional(Id),
      status: Type.Optional(ProductStatus),
      q: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
      sort: SortParam(["created_at", "price", "name"]),
    }),
    result: Page(Product),
    auth: "optional",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/products",
      summary: "Products; only listed ones for the public",
      ...TAG,
    },
  },
  hot: {
    params: Strict({
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: HOT_LIST_SIZE_MAX })),
    }),
    result: Type.Object({ items: Type.Array(Product) }),
    auth: "public",
    idempotent: true,
    rest: { method: "GET", path: "/products/hot", summary: "The most viewed products", ...TAG },
  },
  get: {
    params: Strict({ id: Id }),
    result: Product,
    auth: "optional",
    idempotent: true,
    rest: { method: "GET", path: "/products/:id", summary: "A product with its SKUs", ...TAG },
  },
  create: {
    params: Strict({
      name: Name,
      description: Type.Optional(Type.String({ maxLength: 5_000 })),
      category_id: Type.Optional(Nullable(Id)),
      price: Price,
      stock: Type.Optional(Stock),
      skus: Type.Optional(
        Type.Array(Strict({ attributes: Attributes, price: Price, stock: Stock }), {
          minItems: 1,
          maxItems: SKUS_PER_PRODUCT_MAX,
        }),
      ),
    }),
    /** `opening_stock` names each SKU's first stock; the gateway hands it to inventory at once, and
     * product.created.v1 does so again should the gateway die in between. */
    result: Type.Object({
      product: Product,
      opening_stock: Type.Array(Type.Object({ sku_id: Id, stock: Type.Integer() })),
    }),
    auth: "admin",
    idempotent: false,
    idempotencyKey: "accepted",
    rest: { method: "POST", path: "/products", status: 201, summary: "Create a product", ...TAG },
  },
  update: {
    params: Strict({
      id: Id,
      name: Type.Optional(Name),
      description: Type.Optional(Type.String({ maxLength: 5_000 })),
      category_id: Type.Optional(Nullable(Id)),
      /** Sets the price of every SKU. */
      price: Type.Optional(Price),
      skus: Type.Optional(
        Type.Array(
          Strict({
            id: Id,
            attributes: Type.Optional(Attributes),
            price: Type.Optional(Price),
          }),
          { minItems: 1, maxItems: SKUS_PER_PRODUCT_MAX },
        ),
      ),
    }),
    result: Product,
    auth: "admin",
    idempotent: true,
    rest: { method: "PATCH", path: "/products/:id", summary: "Change a product", ...TAG },
  },
  putOnShelf: {
    params: Strict({ id: Id }),
    result: Product,
    auth: "admin",
    idempotent: true,
    rest: { method: "POST", path: "/products/:id/list", summary: "Put on the shelf", ...TAG },
  },
  takeOffShelf: {
    params: Strict({ id: Id }),
    result: Product,
    auth: "admin",
    idempotent: true,
    rest: { method: "POST", path: "/products/:id/unlist", summary: "Take off the shelf", ...TAG },
  },
  listCategories: {
    params: Strict({}),
    /** The tree, as a flat list in tree order; `parent_id` links it. */
    result: Type.Object({ items: Type.Array(Category) }),
    auth: "public",
    idempotent: true,
    rest: { method: "GET", path: "/categories", summary: "The category tree", ...TAG },
  },
  createCategory: {
    params: Strict(CategoryFields),
    result: Category,
    auth: "admin",
    idempotent: false,
    idempotencyKey: "accepted",
    rest: {
      method: "POST",
      path: "/categories",
      status: 201,
      summary: "Create a category",
      ...TAG,
    },
  },
  updateCategory: {
    params: Strict({ id: Id, ...Type.Partial(Type.Object(CategoryFields)).properties }),
    result: Category,
    auth: "admin",
    idempotent: true,
    rest: { method: "PATCH", path: "/categories/:id", summary: "Change a category", ...TAG },
  },
  /** Name and price of each SKU; SKU_UNAVAILABLE names those unknown or not listed. */
  quote: {
    params: Strict({
      sku_ids: Type.Array(Id, { minItems: 1, maxItems: ORDER_LINES_MAX, uniqueItems: true }),
    }),
    result: Type.Object({ lines: Type.Array(QuotedLine) }),
    auth: "internal",
    idempotent: true,
  },
});
