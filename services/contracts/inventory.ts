// Contract of the inventory service: stock per SKU, reservations, movements.
import { type Static, Type } from "@sinclair/typebox";
import {
  Id,
  Nullable,
  PAGE_PARAMS,
  Page,
  QUANTITY_MAX,
  Strict,
  Timestamp,
} from "../kernel/schema.ts";
import { defineContract } from "./contract.ts";
import { ORDER_LINES_MAX, SKUS_PER_PRODUCT_MAX } from "./product.ts";

const Quantity = Type.Integer({ minimum: 0, maximum: QUANTITY_MAX });

/** SKUs of one availability question: a page of products with their SKUs. */
export const AVAILABILITY_SKUS_MAX = 2_000;

export const StockLevel = Type.Object({
  sku_id: Id,
  /** available + reserved + allotted, always. */
  on_hand: Type.Integer(),
  reserved: Type.Integer(),
  available: Type.Integer(),
  allotted: Type.Integer(),
  /** Units of `available` that orders may not take. */
  safety_stock: Type.Integer(),
});
export type StockLevel = Static<typeof StockLevel>;

export const MovementKind = Type.Union([
  Type.Literal("receipt"),
  Type.Literal("adjustment"),
  Type.Literal("reserve"),
  Type.Literal("release"),
  Type.Literal("commit"),
  Type.Literal("restock"),
  Type.Literal("allot"),
  Type.Literal("return"),
]);
export type MovementKind = Static<typeof MovementKind>;

export const Movement = Type.Object({
  id: Id,
  sku_id: Id,
  kind: MovementKind,
  /** Signed changes of the three buckets. */
  available_delta: Type.Integer(),
  reserved_delta: Type.Integer(),
  allotted_delta: Type.Integer(),
  /** What caused it: an order, a sale, an admin's request. */
  cause_type: Type.String(),
  cause_id: Type.String(),
  reason: Nullable(Type.String()),
  created_at: Timestamp,
});
export type Movement = Static<typeof Movement>;

const ReservationLine = Strict({
  sku_id: Id,
  quantity: Type.Integer({ minimum: 1, maximum: QUANTITY_MAX }),
});

const TAG = { tag: "Inventory" } as const;

export const inventoryContract = defineContract({
  get: {
    params: Strict({ sku_id: Id }),
    result: StockLevel,
    auth: "admin",
    idempotent: true,
    rest: { method: "GET", path: "/inventory/:sku_id", summary: "Stock of a SKU", ...TAG },
  },
  put: {
    params: Strict({
      sku_id: Id,
      on_hand: Quantity,
      safety_stock: Type.Optional(Quantity),
    }),
    result: StockLevel,
    auth: "admin",
    idempotent: true,
    rest: { method: "PUT", path: "/inventory/:sku_id", summary: "Set the stock", ...TAG },
  },
  adjust: {
    params: Strict({
      sku_id: Id,
      delta: Type.Integer({ minimum: -QUANTITY_MAX, maximum: QUANTITY_MAX, not: { const: 0 } }),
      reason: Type.String({ minLength: 1, maxLength: 200 }),
    }),
    result: StockLevel,
    auth: "admin",
    idempotent: false,
    idempotencyKey: "accepted",
    rest: {
      method: "POST",
      path: "/inventory/:sku_id/adjustments",
      status: 201,
      summary: "Add or take units",
      ...TAG,
    },
  },
  movements: {
    params: Strict({ sku_id: Id, ...PAGE_PARAMS }),
    result: Page(Movement),
    auth: "admin",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/inventory/:sku_id/movements",
      summary: "The stock ledger, newest first",
      ...TAG,
    },
  },
  /** What orders may take of each SKU now, at most a few seconds old; unknown SKUs are left out. */
  availability: {
    params: Strict({
      sku_ids: Type.Array(Id, { minItems: 0, maxItems: AVAILABILITY_SKUS_MAX }),
    }),
    result: Type.Object({
      items: Type.Array(Type.Object({ sku_id: Id, available: Type.Integer() })),
    }),
    auth: "internal",
    idempotent: true,
  },
  /** Books the first stock of new SKUs, once per SKU. */
  open: {
    params: Strict({
      skus: Type.Array(Strict({ sku_id: Id, stock: Quantity }), {
        minItems: 1,
        maxItems: SKUS_PER_PRODUCT_MAX,
      }),
    }),
    result: Type.Null(),
    auth: "internal",
    idempotent: true,
  },
  /** Reserves all lines or none. INVENTORY_OUT_OF_STOCK names the SKUs. */
  reserve: {
    params: Strict({
      order_id: Id,
      lines: Type.Array(ReservationLine, { minItems: 1, maxItems: ORDER_LINES_MAX }),
    }),
    result: Type.Null(),
    auth: "internal",
    idempotent: true,
  },
  /**
   * Hands units to a flash sale. The first answer to an attempt is its answer for ever: a refused one
   * is never granted later. Safety stock is not for sales.
   */
  allot: {
    params: Strict({
      sale_id: Id,
      /** Counts the sale's publishes from 1. */
      attempt: Type.Integer({ minimum: 1 }),
      sku_id: Id,
      quantity: Type.Integer({ minimum: 1, maximum: QUANTITY_MAX }),
    }),
    result: Type.Object({
      outcome: Type.Union([Type.Literal("allotted"), Type.Literal("refused")]),
    }),
    auth: "internal",
    idempotent: true,
  },
  /** Whether the units that a closed sale did not sell are back in the stock. */
  isReturned: {
    params: Strict({ sale_id: Id }),
    result: Type.Object({ is_returned: Type.Boolean() }),
    auth: "internal",
    idempotent: true,
  },
  /** Compensates reserve: releases what is held, and refuses a reserve that comes later. */
  release: {
    params: Strict({ order_id: Id }),
    result: Type.Null(),
    auth: "internal",
    idempotent: true,
  },
});
