// What there is to send to, read from the document that the running platform serves: nothing here
// knows a route by heart.
import assert from "node:assert/strict";
import { HttpClient } from "../http-client.ts";

/** The part of JSON Schema that the document uses. */
export interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
}

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly schema: Schema;
}

export interface FuzzedOperation {
  readonly method: string;
  /** With placeholders: `/api/v1/orders/{id}`. */
  readonly path: string;
  readonly parameters: readonly Parameter[];
  /** Undefined when it takes none. */
  readonly body: Schema | undefined;
  /** Its success never ends. */
  readonly isStream: boolean;
}

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}
interface Operation {
  readonly parameters: readonly Parameter[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export async function operationsOf(url: string): Promise<readonly FuzzedOperation[]> {
  const { status, body } = await new HttpClient(url).get("/openapi.json");
  assert.equal(status, 200);
  const { paths } = body as unknown as Document;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters, requestBody, responses }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      body: requestBody?.content?.["application/json"]?.schema,
      isStream: responses["200"]?.content?.["text/event-stream"] !== undefined,
    })),
  );
}
