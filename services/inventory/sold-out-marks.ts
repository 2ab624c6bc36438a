// Which SKUs had nothing left for orders a moment ago. A mark only refuses, lives at most
// SOLD_OUT_MARK_TTL_MS, and may be lost or late without harm: the locked row decides.
import type { Clock } from "../kernel/clock.ts";

export const SOLD_OUT_MARK_TTL_MS = 200;
const MARKS_MAX = 10_000;

/** What one node tells the others. */
export interface StockHint {
  readonly sold_out: readonly string[];
  readonly returned: readonly string[];
}

export const STOCK_HINT_EVENT = "inventory.stock_hint";

export interface SoldOutMarks {
  /** Those of the SKUs that are marked now. */
  soldOutOf(skuIds: readonly string[]): readonly string[];
  /** Marks SKUs here and tells the other nodes. */
  mark(skuIds: readonly string[]): void;
  /** Units came back: clears the marks here and tells the other nodes. */
  clear(skuIds: readonly string[]): void;
  /** Another node's hint. */
  accept(hint: StockHint): void;
}

export function createSoldOutMarks(
  clock: Clock,
  broadcast: (hint: StockHint) => void,
): SoldOutMarks {
  const endsAt = new Map<string, number>();

  const isMarked = (skuId: string): boolean => (endsAt.get(skuId) ?? 0) > clock.monotonic();

  const set = (skuIds: readonly string[]): void => {
    for (const skuId of skuIds) {
      endsAt.delete(skuId);
      endsAt.set(skuId, clock.monotonic() + SOLD_OUT_MARK_TTL_MS);
    }
    dropOldest();
  };

  const remove = (skuIds: readonly string[]): void => {
    for (const skuId of skuIds) endsAt.delete(skuId);
  };

  /** Oldest first in the map, so the first ones are expired or closest to it. */
  const dropOldest = (): void => {
    for (const skuId of endsAt.keys()) {
      if (endsAt.size <= MARKS_MAX && isMarked(skuId)) return;
      endsAt.delete(skuId);
    }
  };

  return {
    soldOutOf: (skuIds) => (endsAt.size === 0 ? [] : skuIds.filter(isMarked)),
    mark(skuIds) {
      const fresh = skuIds.filter((skuId) => !isMarked(skuId));
      if (fresh.length === 0) return;
      set(fresh);
      broadcast({ sold_out: fresh, returned: [] });
    },
    clear(skuIds) {
      if (skuIds.length === 0) return;
      remove(skuIds);
      broadcast({ sold_out: [], returned: skuIds });
    },
    accept({ sold_out, returned }) {
      set(sold_out);
      remove(returned);
    },
  };
}
