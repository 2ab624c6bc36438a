// What the public sees where it differs from an action's own result: the gateway's compositions.
import { type TSchema, Type } from "@sinclair/typebox";
import { Id, Money, Nullable, Page } from "../kernel/schema.ts";
import { ApiClient } from "../contracts/operations.ts";
import { Order } from "../contracts/order.ts";
import { Product, Sku } from "../contracts/product.ts";
import { PromisedOrder } from "./promised-orders.ts";
import type { PublicRoute } from "./route-table.ts";

export const ProductView = Type.Composite([
  Type.Omit(Product, ["skus", "version"]),
  Type.Object({
    skus: Type.Array(
      Type.Object({
        ...Sku.properties,
        id: Id,
        price: Money,
        /** Null while inventory cannot be asked. */
        available: Nullable(Type.Integer()),
      }),
    ),
  }),
]);

const ApiClientView = Type.Composite([
  ApiClient,
  Type.Object({
    secret: Nullable(
      Type.String({
        description: "Told this once; null for a revoked client, and in a shop without such a key",
      }),
    ),
  }),
]);

const COMPOSED: Readonly<Record<string, TSchema>> = {
  "operations.setApiClient": ApiClientView,
  "product.get": ProductView,
  "product.create": ProductView,
  "product.update": ProductView,
  "product.putOnShelf": ProductView,
  "product.takeOffShelf": ProductView,
  "product.list": Page(ProductView),
  "order.get": Type.Union([Order, PromisedOrder]),
  "product.hot": Type.Object({ items: Type.Array(ProductView) }),
};

export function publicResult({ action, contract }: PublicRoute): TSchema {
  return COMPOSED[action] ?? contract.result;
}
