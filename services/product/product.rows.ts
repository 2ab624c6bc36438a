// Rows of the product tables as plain values: to the domain's state and to the contract's objects.
import type { Product, ProductStatus, QuotedLine } from "../contracts/product.ts";
import { assert } from "../kernel/assert.ts";
import { type Attributes, lowestPrice, type ProductState, quotedName } from "./domain/product.ts";

export interface ProductRow {
  id: string;
  name: string;
  description: string;
  category_id: string | null;
  price: string;
  status: ProductStatus;
  version: number;
  created_at: Date;
  updated_at: Date;
}

export interface SkuRow {
  id: string;
  product_id: string;
  position: number;
  attributes: string;
  price: string;
}

export interface QuoteRow {
  id: string;
  product_id: string;
  attributes: string;
  price: string;
  name: string;
}

export function stateOf(row: ProductRow, skus: readonly SkuRow[]): ProductState {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    categoryId: row.category_id,
    status: row.status,
    skus: skus.map((sku) => ({
      id: sku.id,
      attributes: attributesFrom(sku.attributes),
      price: minorUnits(sku.price),
    })),
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

export function productOf(state: ProductState): Product {
  return {
    id: state.id,
    name: state.name,
    description: state.description,
    category_id: state.categoryId,
    price: lowestPrice(state.skus),
    status: state.status,
    skus: state.skus.map((sku) => ({
      id: sku.id,
      attributes: { ...sku.attributes },
      price: sku.price,
    })),
    version: state.version,
    created_at: state.createdAt.toISOString(),
    updated_at: state.updatedAt.toISOString(),
  };
}

export function quotedLineOf(row: QuoteRow): QuotedLine {
  return {
    sku_id: row.id,
    product_id: row.product_id,
    name: quotedName(row.name, attributesFrom(row.attributes)),
    price: minorUnits(row.price),
  };
}

/** The column's text. */
export function attributesOf(attributes: Attributes): string {
  return JSON.stringify(attributes);
}

function attributesFrom(text: string): Attributes {
  return JSON.parse(text) as Attributes;
}

function minorUnits(column: string): number {
  const value = Number(column);
  assert(Number.isSafeInteger(value), "a price is a safe integer");
  return value;
}
