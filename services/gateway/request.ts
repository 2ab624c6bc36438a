// From an HTTP request to the parameters of an action: path, query and body each go through the
// action's own schema at the edge. Only query and path are text and therefore converted.
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type TSchema, Type } from "@sinclair/typebox";
import { Ajv, type ValidateFunction } from "ajv";
import addFormats from "ajv-formats";
import type { CallHeaders } from "../../mixins/service.ts";
import { describeFaults, faultsOf } from "../../mixins/validation/ajv.ts";
import type { ActionContract, RestBinding } from "../contracts/contract.ts";
import { type FieldFault, PlatformError } from "../contracts/errors.ts";

const coercing = new Ajv({
  allErrors: true,
  coerceTypes: true,
  strict: false,
  ownProperties: true,
});
addFormats.default(coercing, ["date-time", "date", "email", "uri"]);

export interface RouteInput {
  readonly path: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | readonly string[]>>;
  readonly body: unknown;
}

export interface RequestReader {
  /** Parameters of the action. Throws VALIDATION_FAILED, or NOT_FOUND for an impossible path id. */
  read(input: RouteInput): Record<string, unknown>;
}

/** Names of the `:parameters` in a route's path. */
export function pathParameters(path: string): readonly string[] {
  return [...path.matchAll(/:([a-z_]+)/g)].map((match) => match[1] ?? "");
}

/** Prepares the reader of one route; GET and DELETE take a query, the others a JSON body. */
export function createReader(contract: ActionContract, rest: RestBinding): RequestReader {
  const names = pathParameters(rest.path);
  const all = contract.params.properties as Record<string, TSchema>;
  const pathSchema = coercing.compile(Type.Object(pick(all, (name) => names.includes(name))));
  const restSchema = Type.Object(
    pick(all, (name) => !names.includes(name)),
    { additionalProperties: false },
  );
  const takesQuery = rest.method === "GET" || rest.method === "DELETE";
  const readRest = takesQuery ? queryReader(restSchema) : bodyReader(restSchema);
  return {
    read(input) {
      const path = { ...input.path };
      if (!pathSchema(path)) throw new PlatformError("NOT_FOUND");
      const rest = readRest(input);
      return { ...rest, ...path };
    },
  };
}

function pick(all: Record<string, TSchema>, keep: (name: string) => boolean) {
  return Object.fromEntries(Object.entries(all).filter(([name]) => keep(name)));
}

function queryReader(schema: TSchema): (input: RouteInput) => Record<string, unknown> {
  const validate: ValidateFunction = coercing.compile(schema);
  return ({ query, body }) => {
    const faults: FieldFault[] = bodyFaults(body);
    const values: Record<string, unknown> = { ...query };
    if (!validate(values)) faults.push(...describeFaults(validate.errors ?? []));
    if (faults.length > 0) throw new PlatformError("VALIDATION_FAILED", faults);
    return values;
  };
}

function bodyReader(schema: TSchema): (input: RouteInput) => Record<string, unknown> {
  return ({ query, body }) => {
    const faults: FieldFault[] = Object.keys(query).map((field) => ({
      field,
      rule: "additionalProperties",
      message: "is not known",
    }));
    const value = body ?? {};
    faults.push(...faultsOf(schema, value));
    if (faults.length > 0) throw new PlatformError("VALIDATION_FAILED", faults);
    return value as Record<string, unknown>;
  };
}

function bodyFaults(body: unknown): FieldFault[] {
  const isEmpty = body === undefined || (typeof body === "object" && isEmptyObject(body));
  return isEmpty ? [] : [{ field: "", rule: "body", message: "this method takes no body" }];
}

function isEmptyObject(value: object | null): boolean {
  return value === null || Object.keys(value).length === 0;
}

const KEY_FORM = /^[\x21-\x7e]{1,255}$/;

/** The headers that carry an idempotency key to the service that keeps it. */
export function idempotencyHeaders(
  request: IncomingMessage,
  contract: ActionContract,
  route: string,
  params: Record<string, unknown>,
): CallHeaders {
  if (contract.idempotencyKey === undefined) return {};
  const key = request.headers["idempotency-key"];
  if (key === undefined) {
    if (contract.idempotencyKey === "required") throw new PlatformError("IDEMPOTENCY_KEY_REQUIRED");
    return {};
  }
  if (typeof key !== "string" || !KEY_FORM.test(key)) {
    throw new PlatformError("IDEMPOTENCY_KEY_MALFORMED");
  }
  return {
    idempotency_route: route,
    idempotency_key: key,
    idempotency_fingerprint: createHash("sha256").update(canonicalJson(params)).digest("hex"),
  };
}

/** JSON with sorted keys: the order of fields in a body does not make it another body. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(",")}}`;
}
