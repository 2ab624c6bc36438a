// What an order costs: the product service's prices and the buyer's quantities, nothing else.
import { PlatformError } from "../../contracts/errors.ts";
import type { QuotedLine } from "../../contracts/product.ts";
import { must } from "../../kernel/assert.ts";
import { MONEY_MINOR_MAX } from "../../kernel/schema.ts";
import type { OrderLine } from "./order.ts";

export interface RequestedLine {
  readonly sku_id: string;
  readonly quantity: number;
}

/** @throws VALIDATION_FAILED with a fault for each line whose SKU stood in an earlier line. */
export function refuseRepeatedSkus(items: readonly RequestedLine[]): void {
  const seen = new Set<string>();
  const faults = items.flatMap(({ sku_id: skuId }, index) => {
    if (!seen.has(skuId)) {
      seen.add(skuId);
      return [];
    }
    return [
      {
        field: `items.${index}.sku_id`,
        rule: "uniqueItems",
        message: "stands in an earlier line; use its quantity",
      },
    ];
  });
  if (faults.length > 0) throw new PlatformError("VALIDATION_FAILED", faults);
}

/** The lines in the order they were asked for, as quoted. */
export function priceLines(
  items: readonly RequestedLine[],
  quoted: readonly QuotedLine[],
): readonly OrderLine[] {
  const bySku = new Map(quoted.map((line) => [line.sku_id, line]));
  return items.map(({ sku_id: skuId, quantity }) => {
    const { product_id: productId, name, price } = must(bySku.get(skuId), "a quote per SKU");
    return { skuId, productId, name, quantity, price };
  });
}

/** Minor units. @throws VALIDATION_FAILED when the sum is more than a payment can be. */
export function totalOf(lines: readonly OrderLine[]): number {
  const total = lines.reduce((sum, { price, quantity }) => sum + price * quantity, 0);
  if (total <= MONEY_MINOR_MAX) return total;
  throw new PlatformError("VALIDATION_FAILED", [
    { field: "items", rule: "maximum", message: "cost more than one order may" },
  ]);
}
