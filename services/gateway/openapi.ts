// The OpenAPI 3.1 document, generated from the contracts' own schemas and the error catalogue.
import { type TSchema, Type } from "@sinclair/typebox";
import type { ActionContract, RestBinding } from "../contracts/contract.ts";
import { ERROR_CATALOGUE, errorCode, type ErrorSlug } from "../contracts/errors.ts";
import { pathParameters } from "./request.ts";
import { API_PREFIX, type PublicRoute } from "./route-table.ts";

export const ERROR_SCHEMA = Type.Object({
  code: Type.Integer({ description: "HTTP status x 100 + n" }),
  error: Type.String({ description: "Stable slug" }),
  message: Type.String(),
  details: Type.Unknown(),
  request_id: Type.String(),
});

const JSON_TYPE = "application/json";

/** Statuses that any operation can answer, whatever it does. */
const EVERYWHERE = [400, 404, 413, 415, 422, 429, 500, 503] as const;

export function openApiDocument(
  routes: readonly PublicRoute[],
  resultOf: (route: PublicRoute) => TSchema,
): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = API_PREFIX + route.rest.path.replaceAll(/:([a-z_]+)/g, "{$1}");
    const operations = (paths[path] ??= {});
    operations[route.rest.method.toLowerCase()] = operation(route, resultOf(route));
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Flash-sale commerce platform",
      version: "1",
      description: errorTable(),
    },
    servers: [{ url: "/" }],
    paths,
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
      schemas: { Error: ERROR_SCHEMA },
    },
  };
}

function operation({ contract, rest, action }: PublicRoute, result: TSchema): object {
  const takesQuery = rest.method === "GET" || rest.method === "DELETE";
  const names = pathParameters(rest.path);
  const others = Object.entries(contract.params.properties as Record<string, TSchema>).filter(
    ([name]) => !names.includes(name),
  );
  const required = new Set(contract.params.required as readonly string[] | undefined);
  return {
    operationId: action,
    summary: rest.summary,
    tags: [rest.tag],
    ...(contract.auth === "public" ? {} : { security: security(contract) }),
    parameters: [
      ...names.map((name) => parameter(name, "path", contract.params.properties[name], true)),
      ...(takesQuery
        ? others.map(([name, schema]) => parameter(name, "query", schema, required.has(name)))
        : []),
      ...idempotencyParameter(contract),
    ],
    ...(takesQuery || others.length === 0 ? {} : { requestBody: body(others, required) }),
    responses: responses(contract, rest, result),
  };
}

function security(contract: ActionContract): object[] {
  return contract.auth === "optional" ? [{}, { bearer: [] }] : [{ bearer: [] }];
}

function parameter(name: string, where: string, schema: TSchema | undefined, isRequired: boolean) {
  return { name, in: where, required: isRequired, schema: schema ?? {} };
}

function idempotencyParameter({ idempotencyKey }: ActionContract): object[] {
  if (idempotencyKey === undefined) return [];
  return [
    {
      name: "Idempotency-Key",
      in: "header",
      required: idempotencyKey === "required",
      schema: { type: "string", minLength: 1, maxLength: 255 },
    },
  ];
}

function body(fields: readonly (readonly [string, TSchema])[], required: ReadonlySet<string>) {
  const mustHave = fields.map(([name]) => name).filter((name) => required.has(name));
  const schema = {
    type: "object",
    additionalProperties: false,
    properties: Object.fromEntries(fields),
    ...(mustHave.length === 0 ? {} : { required: mustHave }),
  };
  return { required: mustHave.length > 0, content: { [JSON_TYPE]: { schema } } };
}

function responses(contract: ActionContract, rest: RestBinding, result: TSchema): object {
  const { status = 200, isStream = false } = rest;
  const envelope = {
    type: "object",
    required: ["code", "message", "data"],
    properties: { code: { const: 0 }, message: { const: "OK" }, data: result },
  };
  const success =
    status === 204
      ? { description: "Done" }
      : {
          description: "OK",
          content: isStream ? stream(result) : { [JSON_TYPE]: { schema: envelope } },
        };
  const failures: number[] = [...EVERYWHERE, 409];
  if (contract.auth !== "public") failures.push(401, 403);
  const entries = failures.map((code) => [String(code), failure(code)] as const);
  return { [String(status)]: success, ...Object.fromEntries(entries) };
}

/** OpenAPI 3.1 describes one event's data; there is no word for a sequence of them. */
function stream(data: TSchema): object {
  return { "text/event-stream": { schema: data } };
}

function failure(status: number): object {
  const slugs = slugsOf(status).join(", ");
  const schema = { $ref: "#/components/schemas/Error" };
  return { description: slugs, content: { [JSON_TYPE]: { schema } } };
}

function slugsOf(status: number): readonly ErrorSlug[] {
  const slugs = Object.keys(ERROR_CATALOGUE) as ErrorSlug[];
  return slugs.filter((slug) => ERROR_CATALOGUE[slug].status === status);
}

function errorTable(): string {
  const rows = (Object.keys(ERROR_CATALOGUE) as ErrorSlug[]).map(
    (slug) => `| ${String(errorCode(slug))} | ${slug} | ${ERROR_CATALOGUE[slug].message} |`,
  );
  return ["Errors:", "", "| code | error | message |", "|---|---|---|", ...rows].join("\n");
}
