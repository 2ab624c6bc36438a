// One request to one operation: mostly right, with one thing wrong about it in a way that clients,
// proxies and attackers get things wrong.
import fc, { type Arbitrary } from "fast-check";
import type { FuzzedOperation, Parameter, Schema } from "./operations.ts";
import { beyond, hostile, hostileText, idOf, kindOf, valid } from "./values.ts";

export const SENDERS = ["owner", "other", "admin", "nobody", "forger"] as const;
export type Sender = (typeof SENDERS)[number];

export interface FuzzRequest {
  readonly operation: FuzzedOperation;
  readonly sender: Sender;
  /** Values by name, not yet encoded. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: readonly (readonly [string, string])[];
  /** Text of the body; "" for none. */
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

type Entries = readonly (readonly [string, unknown])[];

/** Fields that somebody would like to set who may not. */
const COVETED = [
  "id",
  "user_id",
  "role",
  "is_admin",
  "price",
  "total_price",
  "status",
  "paid",
  "refunded_amount",
  "created_at",
  "__proto__",
  "constructor",
  "prototype",
] as const;

const GARBAGE = [
  "{",
  "}",
  "[]",
  "null",
  '"text"',
  "0",
  "{]",
  "{'a':1}",
  '{"a":1}}',
  '{"a":NaN}',
  '{"a":1e999}',
  '{"a":"\\ud800"}',
  '{"a":"\\u0000"}',
  '{"__proto__":{"role":"admin"}}',
  '{"constructor":{"prototype":{"role":"admin"}}}',
  `{"a":${"[".repeat(2_000)}${"]".repeat(2_000)}}`,
  `{"a":"${"x".repeat(40_000)}"}`,
  "\ufeff{}",
  "a=1&b=2",
  "<?xml version='1.0'?><a/>",
] as const;

const MANY_KEYS = 60;

/** Requests to all of the operations, each as often as the others. */
export function requests(operations: readonly FuzzedOperation[]): Arbitrary<FuzzRequest> {
  return fc.oneof(...operations.map(requestTo));
}

function requestTo(operation: FuzzedOperation): Arbitrary<FuzzRequest> {
  return fc.record({
    operation: fc.constant(operation),
    sender: senders,
    path: pathOf(operation),
    query: queryOf(operation),
    body: bodyOf(operation),
    headers: headersOf(operation),
  });
}

const senders = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom("owner" as const, "admin" as const) },
  { weight: 1, arbitrary: fc.constantFrom(...SENDERS) },
);

function pathOf({ path, parameters, isStream }: FuzzedOperation) {
  const names = parameters.filter((one) => one.in === "path").map(({ name }) => name);
  const model = Object.fromEntries(
    names.map((name) => [
      name,
      // The success of a stream is not an answer that ends.
      fc.oneof(
        { weight: 9, arbitrary: idOf(isStream ? undefined : kindOf(path, name)) },
        { weight: 1, arbitrary: hostileText },
      ),
    ]),
  );
  return fc.record(model);
}

function queryOf(operation: FuzzedOperation): Arbitrary<readonly (readonly [string, string])[]> {
  const known = operation.parameters.filter((one) => one.in === "query");
  const right = fc.record(modelOf(known, operation.path), { requiredKeys: [] });
  const usual = right.map((values) =>
    Object.entries(values).map(([name, value]) => [name, String(value)] as const),
  );
  const names = [...known.map(({ name }) => name), ...COVETED, "a[__proto__][x]", "debug"];
  const wrong = fc
    .tuple(usual, fc.constantFrom(...names), hostileText)
    .map(([entries, name, value]) => [...entries, [name, value] as const]);
  const many = Array.from({ length: MANY_KEYS }, (_, n) => [`a${String(n)}`, "1"] as const);
  return fc.oneof(
    { weight: 6, arbitrary: usual },
    { weight: 2, arbitrary: known.length === 0 ? usual : wrong },
    { weight: 1, arbitrary: fc.constant(known.length === 0 ? [] : many) },
  );
}

function modelOf(parameters: readonly Parameter[], path: string) {
  return Object.fromEntries(
    parameters.map(({ name, schema }) => [name, valid(schema, name, path)]),
  );
}

function bodyOf({ body, path }: FuzzedOperation): Arbitrary<string> {
  const garbage = fc.constantFrom(...GARBAGE);
  if (body === undefined) {
    return fc.oneof({ weight: 9, arbitrary: fc.constant("") }, { weight: 1, arbitrary: garbage });
  }
  const right = valid(body, "", path).map((value) => Object.entries(value as object));
  const text = (from: Arbitrary<Entries>): Arbitrary<string> => from.map(textOf);
  return fc.oneof(
    { weight: 8, arbitrary: text(right) },
    { weight: 4, arbitrary: text(fc.tuple(right, changes(body, hostile)).map(replaced)) },
    { weight: 2, arbitrary: text(fc.tuple(right, beyondOf(body)).map(replaced)) },
    { weight: 2, arbitrary: text(fc.tuple(right, coveted).map(added)) },
    { weight: 1, arbitrary: text(right.map((entries) => entries.slice(1))) },
    { weight: 1, arbitrary: text(right.map((entries) => [...entries, ...entries.slice(0, 1)])) },
    { weight: 2, arbitrary: garbage },
    { weight: 1, arbitrary: fc.constant("") },
  );
}

type Change = readonly [name: string, value: unknown];

const coveted = fc.tuple(fc.constantFrom(...COVETED), fc.oneof(hostile, fc.constant("admin")));
const added = ([entries, change]: [Entries, Change]): Entries => [...entries, change];
const replaced = ([entries, change]: [Entries, Change]): Entries => [
  ...entries.filter(([name]) => name !== change[0]),
  change,
];

function changes({ properties = {} }: Schema, values: Arbitrary<unknown>): Arbitrary<Change> {
  const names = Object.keys(properties);
  return fc.tuple(names.length === 0 ? fc.constant("x") : fc.constantFrom(...names), values);
}

function beyondOf({ properties = {} }: Schema): Arbitrary<Change> {
  const fields = Object.entries(properties);
  if (fields.length === 0) return coveted;
  return fc.oneof(...fields.map(([name, schema]) => fc.tuple(fc.constant(name), beyond(schema))));
}

/** Not by JSON.stringify as a whole: a name may come twice. */
function textOf(entries: Entries): string {
  const fields = entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  return `{${fields.join(",")}}`;
}

const ODD_HEADERS: readonly Readonly<Record<string, string>>[] = [
  { "content-type": "text/plain" },
  { "content-type": "application/json; charset=utf-16" },
  { "content-type": "application/x-www-form-urlencoded" },
  { "content-encoding": "gzip" },
  { "x-request-id": "../../x" },
  { traceparent: "00-zz-zz-01" },
  { "x-forwarded-for": "127.0.0.1, ::1, nobody" },
  { "x-seckill-pass": "9999999999999.AAAA" },
  { "x-http-method-override": "DELETE" },
  { origin: "null" },
  { accept: "text/html;q=0.1, */*" },
  { authorization: "Basic YWRtaW46YWRtaW4=" },
  { "idempotency-key": "with space" },
  { "idempotency-key": "k".repeat(300) },
];

function headersOf({ parameters }: FuzzedOperation): Arbitrary<Readonly<Record<string, string>>> {
  const takesKey = parameters.some((one) => one.in === "header");
  const key = fc
    .oneof({ weight: 9, arbitrary: fc.uuid() }, { weight: 1, arbitrary: fc.constant("the-same") })
    .map((one) => (takesKey ? { "idempotency-key": one } : {}));
  const odd = fc.oneof(
    { weight: 9, arbitrary: fc.constant({}) },
    { weight: 1, arbitrary: fc.constantFrom(...ODD_HEADERS) },
  );
  return fc.tuple(key, odd).map(([one, other]) => ({ ...one, ...other }));
}
