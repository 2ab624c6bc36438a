// A sale as clients and gateways see it.
import type { Sale as SaleDto, SaleSnapshot } from "../contracts/seckill.ts";
import { remainingOf, type Sale, shownStatus } from "./domain/sale.ts";

const PER_USER_LIMIT = 1;

export function saleDto(sale: Sale, nowMs: number): SaleDto {
  return {
    id: sale.id,
    sku_id: sale.skuId,
    product_id: sale.productId,
    title: sale.title,
    price: sale.price,
    quantity: sale.quantity,
    remaining: remainingOf(sale),
    status: shownStatus(sale, nowMs),
    per_user_limit: PER_USER_LIMIT,
    pass_required: sale.isPassRequired,
    start_at: sale.startsAt.toISOString(),
    end_at: sale.endsAt.toISOString(),
    server_time: new Date(nowMs).toISOString(),
  };
}

export function snapshotOf(sale: Sale): SaleSnapshot {
  return {
    id: sale.id,
    status: sale.status,
    starts_at_ms: sale.startsAt.getTime(),
    ends_at_ms: sale.endsAt.getTime(),
    pass_required: sale.isPassRequired,
    remaining: remainingOf(sale),
  };
}
