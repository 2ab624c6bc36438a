// TypeBox building blocks shared by all contracts: ids, money, time, paging.
import { type Static, type TObject, type TProperties, type TSchema, Type } from "@sinclair/typebox";

/** Decimal string of an unsigned 63-bit id; opaque to clients. */
export const Id = Type.String({ pattern: "^[1-9][0-9]{0,18}$", description: "Opaque id" });

/** Money in minor units (cents); never a float. Bounded so that sums stay exact in a double. */
export const MONEY_MINOR_MAX = 1_000_000_000_000;
export const Money = Type.Integer({
  minimum: 0,
  maximum: MONEY_MINOR_MAX,
  description: "Minor units (cents)",
});

/** RFC 3339, UTC, milliseconds. */
export const Timestamp = Type.String({ format: "date-time", description: "RFC 3339 UTC, ms" });

export const QUANTITY_MAX = 1_000_000_000;

/** An object schema that refuses unknown fields. */
export function Strict<T extends TProperties>(properties: T, options = {}): TObject<T> {
  return Type.Object(properties, { additionalProperties: false, ...options });
}

export function Nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

export const PAGE_SIZE_DEFAULT = 20;
export const PAGE_SIZE_MAX = 100;
/** Pages beyond this are refused: a deep OFFSET reads and throws away every row before it. */
export const PAGE_MAX = 10_000;

export const PAGE_PARAMS = {
  page: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_MAX, default: 1 })),
  page_size: Type.Optional(
    Type.Integer({ minimum: 1, maximum: PAGE_SIZE_MAX, default: PAGE_SIZE_DEFAULT }),
  ),
};

/** `sort=field,asc|desc` with an allowlist of fields. */
export function SortParam(fields: readonly string[]) {
  return Type.Optional(
    Type.String({ pattern: `^(${fields.join("|")}),(asc|desc)$`, description: "field,asc|desc" }),
  );
}

export function Page<T extends TSchema>(item: T) {
  return Type.Object({
    items: Type.Array(item),
    page: Type.Integer(),
    page_size: Type.Integer(),
    total: Type.Integer(),
  });
}

export interface PageOf<T> {
  items: T[];
  page: number;
  page_size: number;
  total: number;
}

/** Fills in the paging defaults. `offset` is in rows. */
export function pageOf(params: { page?: number; page_size?: number }): {
  page: number;
  pageSize: number;
  offset: number;
} {
  const page = params.page ?? 1;
  const pageSize = params.page_size ?? PAGE_SIZE_DEFAULT;
  return { page, pageSize, offset: (page - 1) * pageSize };
}

export type Timestamp = Static<typeof Timestamp>;
