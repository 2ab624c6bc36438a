// The OpenAPI 3.1 document, generated from the contracts' own schemas and the error catalogue.
import type { TSchema } from "@sinclair/typebox";
import { ACCEPTED_SIGNATURE } from "../../mixins/signing/request-signature.ts";
import type { ActionContract, RestBinding } from "../contracts/contract.ts";
import { ERROR_CATALOGUE, errorCode, type ErrorSlug } from "../contracts/errors.ts";
import { ERROR_SCHEMA, errorReferences, errorResponses } from "./openapi-errors.ts";
import { pathParameters } from "./request.ts";
import { SIGNATURE_WINDOW_S } from "./request-signatures.ts";
import { API_PREFIX, type PublicRoute } from "./route-table.ts";

const JSON_TYPE = "application/json";

const FORM_TYPE = "application/x-www-form-urlencoded";
/** A success beside the usual one: the return of a sale's units is still being booked. */
const OTHER_SUCCESS: Readonly<Record<string, number>> = { "seckill.close": 202 };

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
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
        signature: { type: "apiKey", in: "header", name: "Signature", description: SIGNING },
      },
      schemas: { Error: ERROR_SCHEMA },
      responses: errorResponses(),
    },
  };
}

const SIGNING = [
  "Optional, beside the token, on every operation; the shop can demand it for some. RFC 9421 with",
  `HMAC-SHA256 and exactly this profile: \`${ACCEPTED_SIGNATURE}\`, and "authorization" last when that`,
  "header is sent. Content-Digest is RFC 9530's sha-256, of no bytes without a body. A signature is good",
  `for ${String(SIGNATURE_WINDOW_S)} s before and after its time, and once.`,
].join(" ");

function operation(route: PublicRoute, result: TSchema): object {
  const { contract, rest, action } = route;
  const takesQuery = rest.method === "GET" || rest.method === "DELETE";
  const names = pathParameters(rest.path);
  const others = Object.entries(contract.params.properties as Record<string, TSchema>).filter(
    ([name]) => !names.includes(name),
  );
  const required = new Set(contract.params.required as readonly string[] | undefined);
  return {
    operationId: action,
    summary: rest.summary,
    ...(rest.description === undefined ? {} : { description: rest.description }),
    tags: [rest.tag],
    ...(contract.auth === "public" ? {} : { security: security(contract) }),
    parameters: [
      ...names.map((name) => parameter(name, "path", contract.params.properties[name], true)),
      ...(takesQuery
        ? others.map(([name, schema]) => parameter(name, "query", schema, required.has(name)))
        : []),
      ...idempotencyParameter(contract),
    ],
    ...(takesQuery || others.length === 0 ? {} : { requestBody: body(rest, others, required) }),
    responses: responses(route, result),
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

function body(
  { acceptsForm = false }: RestBinding,
  fields: readonly (readonly [string, TSchema])[],
  required: ReadonlySet<string>,
) {
  const mustHave = fields.map(([name]) => name).filter((name) => required.has(name));
  const schema = {
    type: "object",
    additionalProperties: false,
    properties: Object.fromEntries(fields),
    ...(mustHave.length === 0 ? {} : { required: mustHave }),
  };
  const form = acceptsForm ? { [FORM_TYPE]: { schema: { type: "object" } } } : {};
  return {
    required: mustHave.length > 0,
    content: { [JSON_TYPE]: { schema }, ...form },
  };
}

function responses({ contract, rest, action }: PublicRoute, result: TSchema): object {
  const success = successOf(rest, result);
  const other = OTHER_SUCCESS[action];
  return {
    [String(rest.status ?? 200)]: success,
    ...(other === undefined ? {} : { [String(other)]: success }),
    ...(rest.acceptsForm === true ? { "200": ACCEPTED_FORM } : {}),
    ...errorReferences(contract),
  };
}

const ACCEPTED_FORM = {
  description: "A form is answered with the word its sender waits for",
  content: { "text/plain": { schema: { const: "success" } } },
};

function successOf({ status, isStream = false }: RestBinding, result: TSchema): object {
  if (status === 204) return { description: "Done" };
  const envelope = {
    type: "object",
    required: ["code", "message", "data"],
    properties: { code: { const: 0 }, message: { const: "OK" }, data: result },
  };
  return {
    description: "OK",
    content: isStream ? stream(result) : { [JSON_TYPE]: { schema: envelope } },
  };
}

/** OpenAPI 3.1 describes one event's data; there is no word for a sequence of them. */
function stream(data: TSchema): object {
  return { "text/event-stream": { schema: data } };
}

function errorTable(): string {
  const rows = (Object.keys(ERROR_CATALOGUE) as ErrorSlug[]).map(
    (slug) => `| ${String(errorCode(slug))} | ${slug} | ${ERROR_CATALOGUE[slug].message} |`,
  );
  return ["Errors:", "", "| code | error | message |", "|---|---|---|", ...rows].join("\n");
}
