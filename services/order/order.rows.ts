// Orders between table, domain and contract: three shapes of the same thing.
import type { Order as OrderDto } from "../contracts/order.ts";
import type { Address } from "../contracts/user.ts";
import { assert, must } from "../kernel/assert.ts";
import { type Actor, isShown, type Order, type OrderLine, type Status } from "./domain/order.ts";

export interface OrderRow {
  readonly id: string;
  readonly user_id: string;
  readonly status: Status;
  readonly version: number;
  readonly total_price: string;
  readonly discount: string;
  readonly refunded_amount: string;
  readonly currency: string;
  readonly address: string | null;
  readonly note: string | null;
  readonly sale_id: string | null;
  readonly cancel_reason: string | null;
  readonly payment_id: string | null;
  readonly expires_at: Date | null;
  readonly paid_at: Date | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** In the order of orderValues(). */
export const ORDER_COLUMNS = [
  "id, user_id, status, version, total_price, discount, refunded_amount, currency, address, note",
  "sale_id, cancel_reason, payment_id, expires_at, paid_at, created_at, updated_at",
].join(", ");

export interface ItemRow {
  readonly order_id: string;
  readonly sku_id: string;
  readonly product_id: string;
  readonly name: string;
  readonly quantity: number;
  readonly price: string;
}

export function lineOf(row: ItemRow): OrderLine {
  return {
    skuId: row.sku_id,
    productId: row.product_id,
    name: row.name,
    quantity: row.quantity,
    price: Number(row.price),
  };
}

export function orderOf(row: OrderRow, lines: readonly OrderLine[]): Order {
  assert(lines.length > 0, "an order has lines");
  return {
    id: row.id,
    userId: row.user_id,
    status: row.status,
    version: row.version,
    lines,
    totalPrice: Number(row.total_price),
    discount: Number(row.discount),
    refundedAmount: Number(row.refunded_amount),
    currency: row.currency,
    address: row.address === null ? null : (JSON.parse(row.address) as Address),
    note: row.note,
    saleId: row.sale_id,
    cancelReason: row.cancel_reason,
    paymentId: row.payment_id,
    expiresAt: row.expires_at,
    paidAt: row.paid_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

export type SqlValue = string | number | Date | null;

/** In the order of ORDER_COLUMNS. */
export function orderValues(order: Order): readonly SqlValue[] {
  return [
    order.id,
    order.userId,
    order.status,
    order.version,
    order.totalPrice,
    order.discount,
    order.refundedAmount,
    order.currency,
    order.address === null ? null : JSON.stringify(order.address),
    order.note,
    order.saleId,
    order.cancelReason,
    order.paymentId,
    order.expiresAt,
    order.paidAt,
    order.createdAt,
    order.updatedAt,
  ];
}

/** In the order of order_id, line, sku_id, product_id, name, quantity, price. */
export function itemValues(order: Pick<Order, "id" | "lines">): readonly SqlValue[][] {
  return order.lines.map(({ skuId, productId, name, quantity, price }, line) => [
    order.id,
    line,
    skuId,
    productId,
    name,
    quantity,
    price,
  ]);
}

export function actorText({ who, id }: Actor): string {
  return id === null ? who : `${who}:${id}`;
}

/** The order as clients see it; only for statuses that are shown. */
export function orderDto(order: Order): OrderDto {
  assert(isShown(order.status), `an order that is ${order.status} is never shown`);
  return {
    id: order.id,
    user_id: order.userId,
    status: order.status,
    items: order.lines.map(({ skuId, productId, name, quantity, price }) => ({
      sku_id: skuId,
      product_id: productId,
      name,
      quantity,
      price,
    })),
    total_price: order.totalPrice,
    discount: order.discount,
    refunded_amount: order.refundedAmount,
    currency: order.currency,
    address: order.address,
    note: order.note,
    sale_id: order.saleId,
    cancel_reason: order.status === "cancelled" ? order.cancelReason : null,
    expires_at: must(order.expiresAt, "the deadline of a shown order").toISOString(),
    paid_at: order.paidAt?.toISOString() ?? null,
    created_at: order.createdAt.toISOString(),
    updated_at: order.updatedAt.toISOString(),
  };
}

/** Compares decimal ids by number; row locks are taken in this order. */
export function byNumericId(left: string, right: string): number {
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : left > right ? 1 : 0;
}
