// Holds every answer of a running platform against its own OpenAPI document: a status it does not
// name, a body of another form and a field it does not know are failures of the test that got them.
import assert from "node:assert/strict";
import { type AnySchemaObject, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { type Answer, HttpClient, type ObservedAnswer } from "./http-client.ts";

interface ResponseObject {
  readonly $ref?: string;
  readonly content?: Readonly<Record<string, { readonly schema: AnySchemaObject }>>;
}
interface OpenApi {
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly responses: Record<string, ResponseObject> }>>>
  >;
  readonly components: {
    readonly schemas: Readonly<Record<string, AnySchemaObject>>;
    readonly responses: Readonly<Record<string, ResponseObject>>;
  };
}

interface Described {
  readonly pattern: RegExp;
  readonly method: string;
  readonly label: string;
  readonly responses: Readonly<Record<string, ResponseObject>>;
}

export class ContractCheck {
  readonly #operations: readonly Described[];
  readonly #components: OpenApi["components"];
  readonly #validators = new Map<string, ValidateFunction>();
  readonly #seen = new Set<string>();
  readonly #ajv = new Ajv2020({ allErrors: true, strict: false });

  constructor(document: OpenApi) {
    addFormats.default(this.#ajv);
    this.#components = closed(document.components) as OpenApi["components"];
    this.#operations = Object.entries(document.paths)
      // A fixed word in a path wins over a parameter, as in the router.
      .sort(([a], [b]) => a.split("{").length - b.split("{").length)
      .flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, { responses }]) => ({
          pattern: new RegExp(`^${path.replaceAll(/\{[a-z_]+\}/g, "[^/]+")}$`),
          method: method.toUpperCase(),
          label: `${method.toUpperCase()} ${path}`,
          responses: closed(responses) as Record<string, ResponseObject>,
        })),
      );
  }

  /** The check of the platform at `url`, by the document it serves. */
  static async of(url: string): Promise<ContractCheck> {
    const { status, body } = await new HttpClient(url).get("/openapi.json");
    assert.equal(status, 200);
    return new ContractCheck(body as unknown as OpenApi);
  }

  /** Operations and statuses met so far, such as `GET /api/v1/orders 200`. */
  get seen(): ReadonlySet<string> {
    return this.#seen;
  }

  /** Throws when the answer is not as the document says; passes over paths it does not know. */
  readonly check = ({ method, path, answer }: ObservedAnswer): void => {
    const operation = this.#operations.find(
      (one) => one.method === method && one.pattern.test(path),
    );
    if (operation === undefined) return;
    const name = `${operation.label} ${String(answer.status)}`;
    const found = operation.responses[String(answer.status)];
    assert.ok(
      found !== undefined,
      `${name} is not in the document: ${JSON.stringify(answer.body)}`,
    );
    this.#seen.add(name);
    const response = this.#resolved(found);
    const [type] = String(answer.headers["content-type"] ?? "").split(";");
    const types = Object.keys(response.content ?? {});
    if (types.length === 0) assert.equal(type, "", `${name} has a body`);
    else assert.ok(types.includes(type ?? ""), `${name} is ${String(type)}`);
    this.#checkBody(name, response, answer);
  };

  #checkBody(name: string, { content }: ResponseObject, { body }: Answer): void {
    const schema = content?.["application/json"]?.schema;
    if (schema === undefined) return;
    let validate = this.#validators.get(name);
    if (validate === undefined) {
      validate = this.#ajv.compile({ ...schema, components: this.#components });
      this.#validators.set(name, validate);
    }
    const faults = validate(body) ? [] : (validate.errors ?? []);
    assert.deepEqual(
      faults.map(({ instancePath, message, params }) => ({ instancePath, message, params })),
      [],
      `${name}: ${JSON.stringify(faults)} in ${JSON.stringify(body)}`,
    );
  }

  #resolved(response: ResponseObject): ResponseObject {
    const name = response.$ref?.split("/").pop();
    return name === undefined ? response : (this.#components.responses[name] ?? {});
  }
}

/** A copy whose objects know no other fields than those they name. */
function closed(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(closed);
  if (typeof node !== "object" || node === null) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, closed(value)]));
  const isOpen = copy["type"] === "object" && typeof copy["properties"] === "object";
  return isOpen ? { additionalProperties: false, ...copy } : copy;
}
