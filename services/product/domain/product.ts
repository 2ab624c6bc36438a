// What may happen to a product and its SKUs. Pure: ids and times are handed in, events come out.
import type { Decision } from "../../contracts/decision.ts";
import { unchanged } from "../../contracts/decision.ts";
import { type FieldFault, PlatformError } from "../../contracts/errors.ts";
import type { NewEvent } from "../../contracts/events.ts";
import type { ProductStatus } from "../../contracts/product.ts";
import { assert, must } from "../../kernel/assert.ts";
import type { IdGenerator } from "../../kernel/ids.ts";

/** What tells the SKUs of one product apart: { colour: "red", size: "L" }. */
export type Attributes = Readonly<Record<string, string>>;

export interface SkuState {
  readonly id: string;
  readonly attributes: Attributes;
  /** Minor units. */
  readonly price: number;
}

export interface ProductState {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly categoryId: string | null;
  readonly status: ProductStatus;
  /** At least one, in the order they are shown. */
  readonly skus: readonly SkuState[];
  /** Counts the changes from 1. */
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface NewSku {
  readonly attributes: Attributes;
  readonly price: number;
  readonly stock: number;
}

export interface NewProduct {
  readonly name: string;
  readonly description?: string;
  readonly category_id?: string | null;
  /** Price and stock of the default SKU; `skus` bring their own. */
  readonly price: number;
  readonly stock?: number;
  readonly skus?: readonly NewSku[];
}

export interface ProductChange {
  readonly name?: string;
  readonly description?: string;
  readonly category_id?: string | null;
  /** Price of every SKU that is not named in `skus` with a price of its own. */
  readonly price?: number;
  readonly skus?: readonly {
    readonly id: string;
    readonly attributes?: Attributes;
    readonly price?: number;
  }[];
}

export interface OpeningStock {
  readonly sku_id: string;
  readonly stock: number;
}

export interface Created extends Decision<ProductState> {
  readonly openingStock: readonly OpeningStock[];
}

/** The lowest price of the SKUs, minor units. */
export function lowestPrice(skus: readonly SkuState[]): number {
  assert(skus.length > 0, "a product has a SKU");
  return skus.reduce((lowest, sku) => Math.min(lowest, sku.price), Number.MAX_SAFE_INTEGER);
}

/** A product that is on the shelf at once. */
export function createProduct(input: NewProduct, ids: IdGenerator, at: Date): Created {
  const given = input.skus ?? [{ attributes: {}, price: input.price, stock: input.stock ?? 0 }];
  refuseEqualAttributes(given.map((sku) => sku.attributes));
  const state: ProductState = {
    id: ids.next(),
    name: input.name.trim(),
    description: input.description ?? "",
    categoryId: input.category_id ?? null,
    status: "listed",
    skus: given.map(({ attributes, price }) => ({ id: ids.next(), attributes, price })),
    version: 1,
    createdAt: at,
    updatedAt: at,
  };
  const openingStock = state.skus.map((sku, index) => ({
    sku_id: sku.id,
    stock: must(given[index], "the SKU this one was made of").stock,
  }));
  const created: NewEvent = {
    name: "product.created.v1",
    aggregateId: state.id,
    aggregateVersion: state.version,
    payload: { product_id: state.id, skus: openingStock },
  };
  return { state, events: [created], openingStock };
}

/** @throws VALIDATION_FAILED for a SKU of another product, and for two SKUs of equal attributes. */
export function changeProduct(
  product: ProductState,
  change: ProductChange,
  at: Date,
): Decision<ProductState> {
  const skus = changedSkus(product.skus, change);
  refuseEqualAttributes(skus.map((sku) => sku.attributes));
  return changed(
    product,
    {
      ...product,
      name: change.name?.trim() ?? product.name,
      description: change.description ?? product.description,
      categoryId: change.category_id === undefined ? product.categoryId : change.category_id,
      skus,
    },
    at,
  );
}

/** Puts on the shelf or takes off it; there already, nothing happens. */
export function shelve(
  product: ProductState,
  status: ProductStatus,
  at: Date,
): Decision<ProductState> {
  return changed(product, { ...product, status }, at);
}

function changedSkus(skus: readonly SkuState[], change: ProductChange): readonly SkuState[] {
  const byId = new Map(skus.map((sku) => [sku.id, sku]));
  const faults: FieldFault[] = [];
  const changes = new Map<string, NonNullable<ProductChange["skus"]>[number]>();
  for (const [index, one] of (change.skus ?? []).entries()) {
    if (!byId.has(one.id)) faults.push(fault(`skus.${index}.id`, "is no SKU of this product"));
    if (changes.has(one.id)) faults.push(fault(`skus.${index}.id`, "is named twice"));
    changes.set(one.id, one);
  }
  if (faults.length > 0) throw new PlatformError("VALIDATION_FAILED", faults);
  return skus.map((sku) => {
    const own = changes.get(sku.id);
    return {
      id: sku.id,
      attributes: own?.attributes ?? sku.attributes,
      price: own?.price ?? change.price ?? sku.price,
    };
  });
}

function changed(before: ProductState, after: ProductState, at: Date): Decision<ProductState> {
  if (JSON.stringify(before) === JSON.stringify(after)) return unchanged(before);
  const state = { ...after, version: before.version + 1, updatedAt: at };
  const event: NewEvent = {
    name: "product.changed.v1",
    aggregateId: state.id,
    aggregateVersion: state.version,
    payload: { product_id: state.id, version: state.version },
  };
  return { state, events: [event] };
}

/** Two SKUs nobody can tell apart would be one SKU with two stocks. */
function refuseEqualAttributes(all: readonly Attributes[]): void {
  const seen = new Set<string>();
  for (const [index, attributes] of all.entries()) {
    const key = JSON.stringify(Object.entries(attributes).sort(byName));
    if (seen.has(key)) {
      throw new PlatformError("VALIDATION_FAILED", [
        fault(`skus.${index}.attributes`, "are those of another SKU of this product"),
      ]);
    }
    seen.add(key);
  }
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}

function fault(field: string, message: string): FieldFault {
  return { field, rule: "consistent", message };
}

/** Longest name a quoted line carries; the order keeps it as it was sold. */
export const QUOTED_NAME_LENGTH_MAX = 255;

/** A SKU's name as it stands on an order: the product's name and what tells this SKU apart. */
export function quotedName(name: string, attributes: Attributes): string {
  const values = Object.values(attributes).filter((value) => value !== "");
  const full = values.length === 0 ? name : `${name} (${values.join(", ")})`;
  const letters = Array.from(full);
  return letters.length <= QUOTED_NAME_LENGTH_MAX
    ? full
    : `${letters.slice(0, QUOTED_NAME_LENGTH_MAX - 1).join("")}…`;
}
