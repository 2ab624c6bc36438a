// The error answers of the OpenAPI document: one response per status, with an example that is made
// as a real answer is made, and which of them an operation can give.
import { Type } from "@sinclair/typebox";
import type { ActionContract } from "../contracts/contract.ts";
import { ERROR_CATALOGUE, type ErrorSlug } from "../contracts/errors.ts";
import { errorBody } from "./http-errors.ts";

export const ERROR_SCHEMA = Type.Object({
  code: Type.Integer({ description: "HTTP status x 100 + n" }),
  error: Type.String({ description: "Stable slug" }),
  message: Type.String(),
  details: Type.Unknown(),
  request_id: Type.String(),
});

/** What any operation can answer: refusals of the listener and of the edge, and faults of ours. Whatever
 * is asked, a token, a password or a signature that comes with it can be refused. */
const EVERYWHERE = [400, 401, 404, 405, 408, 409, 413, 414, 415, 422, 429, 431, 500, 503] as const;
const EXAMPLE_REQUEST_ID = "3f0c2b1e-8c5d-4f6a-9b7e-1d2c3b4a5f60";
const EXAMPLE_DETAILS: Readonly<Partial<Record<ErrorSlug, unknown>>> = {
  VALIDATION_FAILED: [{ field: "page_size", rule: "maximum", message: "must be <= 100" }],
  RATE_LIMITED: { retry_after_s: 0.4, limit: 40 },
};

const header = (description: string, type = "integer") => ({ description, schema: { type } });
const RETRY_AFTER = { "Retry-After": header("Seconds to wait before the next try") };
const HEADERS: Readonly<Record<number, object>> = {
  401: { "WWW-Authenticate": header("How to authenticate", "string") },
  405: { Allow: header("Methods that this path has", "string") },
  429: {
    ...RETRY_AFTER,
    "RateLimit-Limit": header("Requests that may come at once"),
    "RateLimit-Remaining": header("Requests that may still come at once"),
    "RateLimit-Reset": header("Seconds until the limit is whole again, or lets one more in"),
  },
  503: RETRY_AFTER,
};

/** The responses by name (`Error422`), for `components`. */
export function errorResponses(): Readonly<Record<string, object>> {
  const slugs = Object.keys(ERROR_CATALOGUE) as ErrorSlug[];
  const statuses = [...new Set(slugs.map((slug) => ERROR_CATALOGUE[slug].status))];
  return Object.fromEntries(
    statuses.map((status) => {
      const own = slugs.filter((slug) => ERROR_CATALOGUE[slug].status === status);
      return [nameOf(status), errorResponse(status, own)];
    }),
  );
}

function errorResponse(status: number, slugs: readonly ErrorSlug[]): object {
  const examples = slugs.map((slug) => {
    const value = errorBody(slug, EXAMPLE_DETAILS[slug], EXAMPLE_REQUEST_ID);
    return [slug, { summary: ERROR_CATALOGUE[slug].message, value }] as const;
  });
  return {
    description: slugs.join(", "),
    ...(HEADERS[status] === undefined ? {} : { headers: HEADERS[status] }),
    content: {
      "application/json": {
        schema: { $ref: "#/components/schemas/Error" },
        examples: Object.fromEntries(examples),
      },
    },
  };
}

/** Which error responses an operation can give, by status. */
export function errorReferences({ auth }: ActionContract): Readonly<Record<string, object>> {
  const statuses: number[] = [...EVERYWHERE];
  if (auth !== "public") statuses.push(403);
  return Object.fromEntries(
    statuses.map((status) => [
      String(status),
      { $ref: `#/components/responses/${nameOf(status)}` },
    ]),
  );
}

function nameOf(status: number): string {
  return `Error${String(status)}`;
}
