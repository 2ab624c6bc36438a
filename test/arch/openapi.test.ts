// The OpenAPI document is a valid one, and describes the routes there are: no more and no fewer.
import assert from "node:assert/strict";
import SwaggerParser from "@apidevtools/swagger-parser";
import { ERROR_CATALOGUE, errorCode } from "../../services/contracts/errors.ts";
import { openApiDocument } from "../../services/gateway/openapi.ts";
import { publicResult } from "../../services/gateway/public-results.ts";
import { API_PREFIX, publicRoutes } from "../../services/gateway/route-table.ts";

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, { readonly $ref?: string }>>;
  readonly security?: readonly object[];
}
interface Example {
  readonly value: { readonly code: number; readonly error: keyof typeof ERROR_CATALOGUE };
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly responses: Readonly<
      Record<
        string,
        {
          readonly content: {
            readonly "application/json": { readonly examples: Record<string, Example> };
          };
        }
      >
    >;
  };
}

const routes = publicRoutes();

/** As a client gets it. */
function documentOf(): Document {
  return JSON.parse(JSON.stringify(openApiDocument(routes, publicResult))) as Document;
}

/** Faults that a validator of OpenAPI finds; it changes what it is given. */
async function faultsOf(document: unknown): Promise<string | undefined> {
  const copy = structuredClone(document);
  return SwaggerParser.validate(copy as never).then(
    () => undefined,
    (error: unknown) => String(error),
  );
}

function labelsOf({ paths }: Document): readonly string[] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

describe("the OpenAPI document", () => {
  const document = documentOf();

  it("is valid", async () => {
    assert.equal(await faultsOf(document), undefined);
  });

  it("is found invalid when it is", async () => {
    const [path = ""] = Object.keys(document.paths);
    const broken = structuredClone(document) as unknown as { paths: Record<string, unknown> };
    broken.paths[path] = { get: { responses: { "200": {} } } };
    assert.match(String(await faultsOf(broken)), /description/);
    const dangling = structuredClone(document) as unknown as { paths: Record<string, unknown> };
    const nowhere = { $ref: "#/components/responses/Nothing" };
    dangling.paths[path] = { get: { responses: { "200": nowhere } } };
    assert.match(String(await faultsOf(dangling)), /Nothing/);
  });

  it("has every route and no other", () => {
    const expected = routes.map(
      ({ rest }) => `${rest.method} ${API_PREFIX}${rest.path.replaceAll(/:([a-z_]+)/g, "{$1}")}`,
    );
    assert.equal(new Set(expected).size, expected.length);
    assert.deepEqual([...labelsOf(document)].sort(), expected.sort());
  });

  it("names every operation once, and every parameter of its path", () => {
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.values(methods).map((operation) => ({ path, operation })),
    );
    const ids = operations.map(({ operation }) => operation.operationId);
    assert.equal(new Set(ids).size, ids.length);
    for (const { path, operation } of operations) {
      const inPath = operation.parameters
        .filter((one) => one.in === "path")
        .map(({ name }) => name);
      const inUrl = [...path.matchAll(/\{([a-z_]+)\}/g)].map(([, name]) => name);
      assert.deepEqual(inPath, inUrl, path);
    }
  });

  it("tells where a token is needed, and that it can be refused", () => {
    for (const { contract, rest, label } of routes) {
      const path = API_PREFIX + rest.path.replaceAll(/:([a-z_]+)/g, "{$1}");
      const operation = document.paths[path]?.[rest.method.toLowerCase()];
      assert.ok(operation !== undefined, label);
      assert.equal(operation.security !== undefined, contract.auth !== "public", label);
      if (contract.auth !== "public") {
        assert.ok("401" in operation.responses && "403" in operation.responses, label);
      }
    }
  });

  it("shows an example of every error as it is answered", () => {
    const examples = Object.values(document.components.responses).flatMap(({ content }) =>
      Object.entries(content["application/json"].examples),
    );
    assert.deepEqual(examples.map(([slug]) => slug).sort(), Object.keys(ERROR_CATALOGUE).sort());
    for (const [slug, { value }] of examples) {
      assert.equal(value.error, slug);
      assert.equal(value.code, errorCode(value.error));
    }
  });
});
