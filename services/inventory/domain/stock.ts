// The stock of SKUs as arithmetic: three buckets, and the bookings that move units between them or
// in and out of the house. Pure; the caller holds the row locks. A booking that would make a bucket
// negative is a programmer's error here: rules that can refuse are checked before.
import type { MovementKind } from "../../contracts/inventory.ts";
import { assert, must } from "../../kernel/assert.ts";

export interface Stock {
  readonly skuId: string;
  readonly available: number;
  readonly reserved: number;
  readonly allotted: number;
  /** Units of `available` that orders may not take. */
  readonly safetyStock: number;
  /** Counts the transactions that changed this SKU; 0 = row made, nothing booked yet. */
  readonly version: number;
}

export interface StockDelta {
  readonly available: number;
  readonly reserved: number;
  readonly allotted: number;
}

export type CauseType = "opening" | "admin" | "order" | "sale";

/** One line of the ledger. (causeType, causeId, kind, skuId) happens once. */
export interface StockMovement {
  readonly skuId: string;
  readonly kind: MovementKind;
  readonly delta: StockDelta;
  readonly causeType: CauseType;
  readonly causeId: string;
  readonly reason: string | null;
}

const delta = (available: number, reserved: number, allotted: number): StockDelta => ({
  available,
  reserved,
  allotted,
});

/** What each booking of `quantity` units does to the buckets. */
export const BOOKINGS = {
  /** Units come in (or, negative, are written off). */
  receive: (quantity: number) => delta(quantity, 0, 0),
  reserve: (quantity: number) => delta(-quantity, quantity, 0),
  release: (quantity: number) => delta(quantity, -quantity, 0),
  /** Sold: the units leave the house's stock. */
  commitReserved: (quantity: number) => delta(0, -quantity, 0),
  commitAllotted: (quantity: number) => delta(0, 0, -quantity),
  restock: (quantity: number) => delta(quantity, 0, 0),
  /** To a flash sale, and back from it. */
  allot: (quantity: number) => delta(-quantity, 0, quantity),
  returnAllotted: (quantity: number) => delta(quantity, 0, -quantity),
} as const satisfies Record<string, (quantity: number) => StockDelta>;

export function onHand(stock: Stock): number {
  return stock.available + stock.reserved + stock.allotted;
}

/** Units that orders may take. */
export function orderable(stock: Stock): number {
  return Math.max(0, stock.available - stock.safetyStock);
}

/** The stock after a booking, in the same version. */
export function applyDelta(stock: Stock, change: StockDelta): Stock {
  const next: Stock = {
    ...stock,
    available: stock.available + change.available,
    reserved: stock.reserved + change.reserved,
    allotted: stock.allotted + change.allotted,
  };
  for (const bucket of ["available", "reserved", "allotted"] as const) {
    assert(Number.isSafeInteger(next[bucket]), `${bucket} is a whole number`);
    assert(next[bucket] >= 0, `${bucket} of SKU ${stock.skuId} stays >= 0`);
  }
  return next;
}

/**
 * The locked rows of one transaction and what it books on them. Every changed SKU goes up by exactly
 * one version, however many bookings it gets.
 */
export class StockBook {
  readonly #stocks = new Map<string, Stock>();
  readonly #changed = new Set<string>();
  readonly #movements: StockMovement[] = [];

  constructor(locked: readonly Stock[]) {
    for (const stock of locked) this.#stocks.set(stock.skuId, stock);
  }

  /** The SKU as it stands after the bookings so far; undefined when it has no stock row. */
  find(skuId: string): Stock | undefined {
    return this.#stocks.get(skuId);
  }

  get(skuId: string): Stock {
    return must(this.#stocks.get(skuId), `stock of SKU ${skuId}`);
  }

  book(movement: StockMovement): void {
    this.#replace(applyDelta(this.get(movement.skuId), movement.delta));
    this.#movements.push(movement);
  }

  setSafetyStock(skuId: string, safetyStock: number): void {
    assert(safetyStock >= 0, "safety stock is not negative");
    this.#replace({ ...this.get(skuId), safetyStock });
  }

  /** Counts the SKU as changed without a booking: it was opened with no units. */
  touch(skuId: string): void {
    this.#replace(this.get(skuId));
  }

  /** The changed SKUs with their new version, by id: what has to be written. */
  changed(): Stock[] {
    return [...this.#changed]
      .sort(byNumericId)
      .map((skuId) => ({ ...this.get(skuId), version: this.get(skuId).version + 1 }));
  }

  movements(): readonly StockMovement[] {
    return this.#movements;
  }

  #replace(stock: Stock): void {
    this.#stocks.set(stock.skuId, stock);
    this.#changed.add(stock.skuId);
  }
}

/** Order of ids as numbers: the one order in which rows are locked. */
export function byNumericId(left: string, right: string): number {
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : Number(left > right);
}
