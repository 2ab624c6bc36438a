// Values for a schema, and values against one. Ids are written as `@@order:3@@` and become those of
// things that exist only when a request is sent, so that a seed means the same in every shop.
import fc, { type Arbitrary } from "fast-check";
import type { Schema } from "./operations.ts";

/** Stands in every hostile text: no refusal may quote it. */
export const CANARY = "c4n4ry";
const ID_CHOICES = 8;
const TEXT_LENGTH_USUAL = 40;
const ITEMS_USUAL = 4;
const INTEGER_USUAL = 1_000;
const HUGE_TEXT_LENGTH = 5_000;
const DEEP = 12;
const UNKNOWN_ID = "4611686018427387904";

const KIND_OF_FIELD: Readonly<Record<string, string>> = {
  sku_id: "sku",
  order_id: "order",
  payment_id: "payment",
  address_id: "address",
  category_id: "category",
  parent_id: "category",
};

const KIND_OF_PATH: readonly (readonly [RegExp, string])[] = [
  [/\/orders\/\{id\}/, "order"],
  [/\/payments\/\{id\}/, "payment"],
  [/\/products\/\{id\}/, "product"],
  [/\/categories\/\{id\}/, "category"],
  [/\/inventory\/\{sku_id\}/, "sku"],
  [/\/seckill\/sales\/\{id\}/, "sale"],
  [/\/addresses\/\{id\}/, "address"],
  [/\/users\/\{id\}/, "user"],
];

/** Which things' ids a path or a field takes; undefined for any. */
export function kindOf(path: string, field: string): string | undefined {
  return KIND_OF_FIELD[field] ?? KIND_OF_PATH.find(([pattern]) => pattern.test(path))?.[1];
}

export function idOf(kind: string | undefined): Arbitrary<string> {
  const unknown = fc.constantFrom(UNKNOWN_ID, "1", "9223372036854775807");
  if (kind === undefined) return unknown;
  const known = fc.nat({ max: ID_CHOICES - 1 }).map((index) => `@@${kind}:${String(index)}@@`);
  return fc.oneof({ weight: 6, arbitrary: known }, { weight: 1, arbitrary: unknown });
}

/** Values that the schema takes. */
export function valid(schema: Schema, field: string, path: string): Arbitrary<unknown> {
  if ("const" in schema) return fc.constant(schema.const);
  if (schema.anyOf !== undefined) {
    return fc.oneof(...schema.anyOf.map((one) => valid(one, field, path)));
  }
  const make = MAKERS[schema.type ?? ""];
  return make === undefined ? fc.constant(null) : make(schema, field, path);
}

type Maker = (schema: Schema, field: string, path: string) => Arbitrary<unknown>;

const MAKERS: Readonly<Record<string, Maker>> = {
  string: validText,
  integer: (schema) => validInteger(schema),
  number: (schema) => validInteger(schema),
  boolean: () => fc.boolean(),
  null: () => fc.constant(null),
  array: ({ items = {}, minItems = 0, maxItems = ITEMS_USUAL }, field, path) =>
    fc.array(valid(items, field, path), {
      minLength: minItems,
      maxLength: Math.max(minItems, Math.min(maxItems, ITEMS_USUAL)),
    }),
  object: (schema, _field, path) => validObject(schema, path),
};

function validText(schema: Schema, field: string, path: string): Arbitrary<unknown> {
  if (schema.pattern?.startsWith("^[1-9][0-9]") === true) return idOf(kindOf(path, field));
  if (schema.pattern !== undefined) return fc.stringMatching(new RegExp(schema.pattern));
  const formatted = FORMATS[schema.format ?? ""];
  return formatted ?? plainText(schema);
}

const FORMATS: Readonly<Record<string, Arbitrary<string>>> = {
  email: fc.uuid().map((id) => `${id}@example.test`),
  "date-time": fc.constantFrom("2020-01-01T00:00:00.000Z", "2098-01-01T00:00:00.000Z"),
  date: fc.constantFrom("2026-01-01", "2026-02-28"),
};

function plainText({ minLength = 0, maxLength = TEXT_LENGTH_USUAL }: Schema): Arbitrary<string> {
  const usual = { minLength, maxLength: Math.max(minLength, Math.min(maxLength, 40)) };
  return fc.oneof(
    fc.string(usual),
    fc.string({ ...usual, unit: "grapheme-ascii" }),
    fc.constantFrom("a".repeat(minLength), "b".repeat(Math.min(maxLength, HUGE_TEXT_LENGTH))),
  );
}

function validInteger({ minimum = 0, maximum = INTEGER_USUAL }: Schema): Arbitrary<number> {
  const usual = { min: minimum, max: Math.min(maximum, minimum + INTEGER_USUAL) };
  return fc.oneof(
    { weight: 6, arbitrary: fc.integer(usual) },
    { weight: 1, arbitrary: fc.constantFrom(minimum, maximum) },
  );
}

function validObject(schema: Schema, path: string): Arbitrary<unknown> {
  const fields = Object.entries(schema.properties ?? {});
  if (fields.length === 0) return fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 });
  const model = Object.fromEntries(fields.map(([name, one]) => [name, valid(one, name, path)]));
  const required = (schema.required ?? []).filter((name) => name in model);
  return fc.record(model, { requiredKeys: required });
}

/** One step beyond what the schema's numbers and lengths allow. */
export function beyond(schema: Schema): Arbitrary<unknown> {
  const steps: unknown[] = [];
  if (schema.minimum !== undefined) steps.push(schema.minimum - 1);
  if (schema.maximum !== undefined) steps.push(schema.maximum + 1);
  if (schema.minLength !== undefined) steps.push("a".repeat(Math.max(0, schema.minLength - 1)));
  if (schema.maxLength !== undefined) {
    steps.push("a".repeat(Math.min(schema.maxLength, HUGE_TEXT_LENGTH) + 1));
  }
  if (schema.maxItems !== undefined) steps.push(Array(schema.maxItems + 1).fill(0));
  return steps.length === 0 ? hostile : fc.constantFrom(...steps);
}

const HOSTILE_TEXTS = [
  "",
  " ",
  "\u0000",
  "\u0000x",
  "\ud800",
  "\ufeff",
  "\u202etxet",
  "👩‍👩‍👧‍👦".repeat(40),
  "e\u0301".repeat(30),
  "' OR 1=1-- ",
  "1; DROP TABLE orders",
  '"; SELECT SLEEP(9); --',
  "<img src=x onerror=alert(1)>",
  "${7*7}{{7*7}}#{7*7}",
  "../../../../etc/passwd",
  "%00%2e%2e%2f",
  "\r\nSet-Cookie: a=b",
  '=cmd|" /C calc"!A0',
  "__proto__",
  "constructor",
  "toString",
  "NaN",
  "-0",
  "0x10",
  "1e309",
  "18446744073709551616",
  "9223372036854775808",
  "true",
  "null",
  "[object Object]",
  "(a+)+$".repeat(20),
] as const;

const deep = Array.from({ length: DEEP }).reduce<unknown>((inner) => [inner], CANARY);
const withPrototype = Object.fromEntries([["__proto__", { role: "admin" }]]);

/** What belongs nowhere. */
export const hostile: Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...HOSTILE_TEXTS).map((text) => `${text}${CANARY}`),
  fc.constantFrom(...HOSTILE_TEXTS),
  fc.string({ unit: "binary" }).map((text) => `${CANARY}${text}`),
  fc.constantFrom("a".repeat(HUGE_TEXT_LENGTH), "字".repeat(HUGE_TEXT_LENGTH)),
  fc.constantFrom(-1, 0, 1.5, -0, 1e-7, 2 ** 31, 2 ** 53, 2 ** 63, -(2 ** 63), 1e300),
  fc.constantFrom(null, true, false, [], {}, [[]], deep, withPrototype),
  fc.constantFrom({ $gt: "" }, { $ne: null }, { toString: CANARY }, { length: -1 }),
  fc.array(fc.constant(CANARY), { minLength: 60, maxLength: 60 }),
);

export const hostileText: Arbitrary<string> = hostile.map((value) =>
  typeof value === "string" ? value : JSON.stringify(value),
);
