// The conventions of the public listener on the wire: what is refused, how, and in which words.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { ERROR_CATALOGUE, errorCode, type ErrorSlug } from "../../services/contracts/errors.ts";
import type { Answer, HttpClient, SendOptions } from "../support/http-client.ts";
import { type RawAnswer, sendRaw } from "../support/raw-http.ts";
import { API, FRONT_ORIGIN, openShop, type Shop } from "../support/shop.ts";

const SECURITY_HEADERS = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
};
const ID_FORM = /^[A-Za-z0-9_-]{8,64}$/;
const LOGIN = `${API}/auth/login`;
const PRODUCTS = `${API}/products`;

interface Fault {
  readonly field: string;
  readonly rule: string;
}

/** Every answer, good or bad, carries these. */
function expectHeaders(headers: Answer["headers"]): void {
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) assert.equal(headers[name], value);
  assert.match(String(headers["x-request-id"]), ID_FORM);
  assert.equal(headers["x-powered-by"], undefined);
}

/** The error envelope, exactly, and nothing beside it. */
function expectError(answer: Pick<Answer, "status" | "headers" | "body">, slug: ErrorSlug): void {
  const { status, headers, body } = answer;
  assert.equal(body.error, slug, `${String(status)} ${JSON.stringify(body)}`);
  assert.equal(status, ERROR_CATALOGUE[slug].status);
  assert.equal(body.code, errorCode(slug));
  assert.equal(body.message, ERROR_CATALOGUE[slug].message);
  assert.equal(body.request_id, headers["x-request-id"]);
  assert.deepEqual(Object.keys(body), ["code", "error", "message", "details", "request_id"]);
  assert.equal(headers["content-type"], "application/json; charset=utf-8");
  expectHeaders(headers);
}

function expectRawError(answer: RawAnswer, slug: ErrorSlug): void {
  assert.equal(answer.statuses.length, 1, `answered ${answer.statuses.join(", ")}`);
  expectError({ ...answer, body: JSON.parse(answer.text) as Answer["body"] }, slug);
}

describe("the public listener", function () {
  this.timeout(120_000);
  let shop: Shop;
  let visitor: HttpClient;
  let slow: Promise<readonly RawAnswer[]>;

  const send = (method: string, path: string, options?: SendOptions): Promise<Answer> =>
    visitor.send(method, path, options);
  const raw = (head: string, body = ""): Promise<RawAnswer> =>
    sendRaw(shop.url, `${head}\r\nHost: shop\r\nConnection: close\r\n${body}`);

  before(async () => {
    shop = await openShop();
    visitor = shop.visitor();
    // They take their time; what they are answered is looked at last.
    const slowBody = `POST ${LOGIN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{`;
    slow = Promise.all([
      sendRaw(shop.url, "GET /livez HTTP/1.1\r\nHost: x\r\n", { piece: "a: b\r\n", everyMs: 400 }),
      sendRaw(shop.url, slowBody, { piece: " ", everyMs: 400 }),
    ]);
  });

  describe("answers", () => {
    it("a success with code 0, a message and the data", async () => {
      const { status, headers, body } = await send("GET", PRODUCTS);
      assert.equal(status, 200);
      assert.deepEqual(Object.keys(body), ["code", "message", "data"]);
      assert.deepEqual([body.code, body.message], [0, "OK"]);
      assert.equal(headers["content-type"], "application/json; charset=utf-8");
      expectHeaders(headers);
    });

    it("a creation with 201 in the same envelope, and nothing to say with 204", async () => {
      const buyer = await shop.customer();
      const { skuId } = await shop.product(1);
      const placed = await shop.order(buyer, skuId);
      assert.deepEqual([placed.status, placed.body.code, placed.body.message], [201, 0, "OK"]);
      expectHeaders(placed.headers);
      const stored = await shop.callback(await shop.openPayment(buyer, placed.data.id));
      assert.deepEqual([stored.status, stored.headers["content-type"]], [204, undefined]);
      expectHeaders(stored.headers);
    });

    it("an unknown path with 404, and another one's resource with 404 of its own kind", async () => {
      expectError(await send("GET", `${API}/nothing`), "NOT_FOUND");
      expectError(await send("GET", "/"), "NOT_FOUND");
      expectError(await send("GET", `${PRODUCTS}/4611686018427387904`), "PRODUCT_NOT_FOUND");
      expectError(await send("GET", `${PRODUCTS}/..%2f..%2fetc`), "PRODUCT_NOT_FOUND");
    });

    it("a missing token with 401 and how to ask, a customer on an admin's route with 403", async () => {
      const refused = await send("GET", `${API}/users/me`);
      expectError(refused, "AUTH_REQUIRED");
      assert.match(String(refused.headers["www-authenticate"]), /^Bearer /);
      const buyer = await shop.customer();
      expectError(await buyer.get(`${API}/admin/invariants`), "FORBIDDEN");
    });
  });

  describe("refuses a body", () => {
    const login = (rawBody: string | Buffer, headers = {}): Promise<Answer> =>
      send("POST", LOGIN, { rawBody, headers });

    it("that is not JSON", async () => {
      for (const text of ["{", "nonsense", "{'a':1}", '{"a":1}}', "\ufeff{}", '{"a":"\u0000"}']) {
        expectError(await login(text), "BODY_NOT_JSON");
      }
      expectError(await login(Buffer.from('{"email":"\xff\xfe"}', "latin1")), "BODY_NOT_JSON");
    });

    it("that is JSON but not an object", async () => {
      for (const text of ["[]", "1", "null", '"a"']) {
        expectError(await login(text), "VALIDATION_FAILED");
      }
    });

    it("that is nested too deeply or holds a NUL, at once", async () => {
      const startedMs = performance.now();
      const deep = `{"a":${"[".repeat(10_000)}${"]".repeat(10_000)}}`;
      expectError(await login(deep), "REQUEST_MALFORMED");
      assert.ok(performance.now() - startedMs < 1_000);
      expectError(await login('{"email":"a\\u0000b"}'), "REQUEST_MALFORMED");
    });

    it("that is too large, however its length is told", async () => {
      const large = `{"email":"${"a".repeat(33 * 1024)}"}`;
      expectError(await login(large), "BODY_TOO_LARGE");
      const chunks = `${(0x9000).toString(16)}\r\n${"a".repeat(0x9000)}\r\n0\r\n\r\n`;
      const head = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
      expectRawError(await raw(`POST ${LOGIN} HTTP/1.1`, head + chunks), "BODY_TOO_LARGE");
    });

    it("that is not application/json in UTF-8, or is compressed", async () => {
      for (const type of ["text/plain", "application/xml", "application/json; charset=latin1"]) {
        expectError(await login("{}", { "content-type": type }), "CONTENT_TYPE_UNSUPPORTED");
      }
      const form = { "content-type": "application/x-www-form-urlencoded" };
      expectError(await login("email=a", form), "CONTENT_TYPE_UNSUPPORTED");
      expectError(await login("{}", { "content-encoding": "gzip" }), "CONTENT_TYPE_UNSUPPORTED");
      const utf8 = await login("{}", { "content-type": 'application/json; charset="UTF-8"' });
      expectError(utf8, "VALIDATION_FAILED");
    });
  });

  describe("refuses parameters", () => {
    const faults = async (answer: Promise<Answer>): Promise<string[]> => {
      const refused = await answer;
      expectError(refused, "VALIDATION_FAILED");
      return (refused.body.details as Fault[]).map(({ field }) => field).sort();
    };

    it("with one entry per fault in the query", async () => {
      const query = "page=0&page_size=101&sort=id,asc&nonsense=1&status=lost";
      const fields = ["nonsense", "page", "page_size", "sort", "status"];
      assert.deepEqual(await faults(send("GET", `${PRODUCTS}?${query}`)), fields);
    });

    it("with one entry per fault in the body", async () => {
      const body = { email: "no address", password: "short", is_admin: true };
      const fields = ["email", "is_admin", "password"];
      assert.deepEqual(await faults(send("POST", `${API}/auth/register`, { body })), fields);
    });

    it("on the wrong side: a body with GET, a query with POST", async () => {
      assert.deepEqual(await faults(send("GET", PRODUCTS, { body: { page: 1 } })), [""]);
      const body = { email: "a", password: "b" };
      assert.deepEqual(await faults(send("POST", `${LOGIN}?debug=1`, { body })), ["debug"]);
    });

    it("that are given twice, or aim at the prototype", async () => {
      assert.deepEqual(await faults(send("GET", `${PRODUCTS}?page=1&page=2`)), ["page"]);
      const query = "__proto__=1&a[__proto__][x]=1&constructor=1";
      const fields = ["__proto__", "a[__proto__][x]", "constructor"];
      assert.deepEqual(await faults(send("GET", `${PRODUCTS}?${query}`)), fields);
      const rawBody = '{"email":"a","password":"b","__proto__":{"role":"admin"}}';
      assert.deepEqual(await faults(send("POST", LOGIN, { rawBody })), ["__proto__"]);
    });

    it("that tell nothing of the value that was refused", async () => {
      const body = { email: "sentinel-of-a-value", password: "sentinel" };
      const { body: answered } = await send("POST", `${API}/auth/register`, { body });
      assert.doesNotMatch(JSON.stringify(answered), /sentinel/);
    });

    it("that are too many or hold a NUL", async () => {
      const many = Array.from({ length: 51 }, (_, n) => `a${String(n)}=1`).join("&");
      expectError(await send("GET", `${PRODUCTS}?${many}`), "REQUEST_MALFORMED");
      expectError(await send("GET", `${PRODUCTS}?q=%00`), "REQUEST_MALFORMED");
      expectError(await send("GET", `${PRODUCTS}/%E0%A4%A`), "REQUEST_MALFORMED");
    });
  });

  describe("knows methods:", () => {
    it("405 and Allow for one that a known path has not", async () => {
      for (const [method, path, allow] of [
        ["PUT", PRODUCTS, "GET, POST, HEAD, OPTIONS"],
        ["DELETE", LOGIN, "POST, OPTIONS"],
        ["POST", "/healthz", "GET, HEAD, OPTIONS"],
        ["PROPFIND", PRODUCTS, "GET, POST, HEAD, OPTIONS"],
      ] as const) {
        const refused = await send(method, path);
        expectError(refused, "METHOD_NOT_ALLOWED");
        assert.equal(refused.headers["allow"], allow);
      }
    });

    it("405 and Allow for TRACE, CONNECT and those nobody knows", async () => {
      for (const line of [`TRACE ${PRODUCTS}`, "TRACE /nothing", "CONNECT shop:443", "FROB /"]) {
        const refused = await raw(`${line} HTTP/1.1`, "\r\n");
        expectRawError(refused, "METHOD_NOT_ALLOWED");
        assert.match(refused.headers["allow"] ?? "", /GET, /);
      }
    });

    it("HEAD is GET without its body", async () => {
      const got = await raw(`GET ${PRODUCTS}?q=nothing-of-this-name HTTP/1.1`, "\r\n");
      const head = await raw(`HEAD ${PRODUCTS}?q=nothing-of-this-name HTTP/1.1`, "\r\n");
      assert.deepEqual([head.status, head.text], [200, ""]);
      assert.equal(head.headers["content-length"], got.headers["content-length"]);
      assert.equal((await raw("HEAD /nothing HTTP/1.1", "\r\n")).status, 404);
    });

    it("OPTIONS tells what a path allows", async () => {
      const { status, headers } = await send("OPTIONS", `${API}/orders`);
      assert.deepEqual([status, headers["allow"]], [204, "POST, GET, HEAD, OPTIONS"]);
      expectError(await send("OPTIONS", `${API}/nothing`), "NOT_FOUND");
      assert.equal((await raw("OPTIONS * HTTP/1.1", "\r\n")).status, 204);
    });
  });

  describe("bounds and guards a connection:", () => {
    it("414 for a URL and 431 for headers that are too long", async () => {
      expectError(await send("GET", `${PRODUCTS}?q=${"a".repeat(2_100)}`), "URL_TOO_LONG");
      const long = `x-filler: ${"a".repeat(17_000)}\r\n\r\n`;
      expectRawError(await raw("GET /livez HTTP/1.1", long), "HEADERS_TOO_LARGE");
    });

    it("400 for what could be read in two ways, and nothing after it is answered", async () => {
      const smuggled = `GET ${PRODUCTS} HTTP/1.1\r\nHost: x\r\n\r\n`;
      for (const headers of [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n\r\n{}  ",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Content-Length: +4\r\n\r\n{}  ",
        "Broken header\r\n\r\n",
        "x: a\nContent-Length: 4\r\n\r\n",
        "x: a\rb\r\n\r\n",
      ]) {
        expectRawError(
          await raw(`POST ${LOGIN} HTTP/1.1`, headers + smuggled),
          "REQUEST_MALFORMED",
        );
      }
    });

    it("400 for no host, no HTTP and no method", async () => {
      for (const bytes of ["GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n", "NOISE\r\n\r\n"]) {
        expectRawError(await sendRaw(shop.url, bytes), "REQUEST_MALFORMED");
      }
    });

    it("answers pipelined requests in order and closes when asked", async () => {
      const one = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
      const unknown = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";
      const last = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
      assert.deepEqual((await sendRaw(shop.url, one + unknown + last)).statuses, [200, 404, 200]);
    });

    it("closes after a refused body, so that its rest is never read as a request", async () => {
      const inner = `GET ${PRODUCTS} HTTP/1.1\r\nHost: x\r\n\r\n`;
      const head = `POST ${LOGIN} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n`;
      const bytes = `${head}Content-Length: 5000\r\n\r\n${inner}`;
      expectRawError(await sendRaw(shop.url, bytes), "CONTENT_TYPE_UNSUPPORTED");
    });
  });

  describe("follows a request:", () => {
    it("takes a good X-Request-Id over, and makes one for a bad one", async () => {
      const good = randomUUID();
      const taken = await send("GET", `${API}/nothing`, { headers: { "x-request-id": good } });
      assert.equal(taken.headers["x-request-id"], good);
      assert.equal(taken.body.request_id, good);
      for (const bad of ["short", "a".repeat(65), "with space", "semi;colon"]) {
        const made = await send("GET", PRODUCTS, { headers: { "x-request-id": bad } });
        assert.notEqual(made.headers["x-request-id"], bad);
        assert.match(String(made.headers["x-request-id"]), ID_FORM);
      }
    });

    it("takes traceparent, whole or broken", async () => {
      for (const traceparent of [`00-${"a".repeat(32)}-${"b".repeat(16)}-01`, "nonsense"]) {
        assert.equal((await send("GET", PRODUCTS, { headers: { traceparent } })).status, 200);
      }
    });
  });

  describe("lets browsers in", () => {
    it("from the allowed origin only, compared exactly", async () => {
      const from = async (origin: string) =>
        (await send("GET", PRODUCTS, { headers: { origin } })).headers;
      const allowed = await from(FRONT_ORIGIN);
      assert.equal(allowed["access-control-allow-origin"], FRONT_ORIGIN);
      assert.equal(allowed["vary"], "Origin");
      for (const origin of [
        "null",
        "*",
        "https://front.example.tes",
        `${FRONT_ORIGIN}.evil.test`,
        `${FRONT_ORIGIN}:8443`,
        "http://front.example.test",
      ]) {
        assert.equal((await from(origin))["access-control-allow-origin"], undefined, origin);
      }
    });

    it("with a preflight, and to the errors too", async () => {
      const origin = FRONT_ORIGIN;
      const asked = { origin, "access-control-request-method": "POST" };
      const preflight = await send("OPTIONS", `${API}/orders`, { headers: asked });
      assert.equal(preflight.status, 204);
      assert.match(String(preflight.headers["access-control-allow-methods"]), /POST/);
      assert.match(String(preflight.headers["access-control-allow-headers"]), /Idempotency-Key/);
      assert.equal(preflight.headers["access-control-allow-credentials"], undefined);
      const refused = await send("GET", `${API}/orders`, { headers: { origin } });
      assert.equal(refused.status, 401);
      assert.equal(refused.headers["access-control-allow-origin"], origin);
    });
  });

  describe("shows at the root", () => {
    it("health, and what each dependency says", async () => {
      for (const path of ["/healthz", "/livez"])
        assert.equal((await send("GET", path)).status, 200);
      const { status, headers, body } = await send("GET", "/readyz");
      assert.equal(status, 200);
      const { checks } = body as unknown as { checks: Record<string, string> };
      for (const name of ["mysql", "redis", "ids"]) {
        assert.ok(
          Object.keys(checks).some((check) => check.includes(name)),
          name,
        );
      }
      expectHeaders(headers);
    });

    it("neither metrics, nor the framework's actions, nor a file beside the page's", async () => {
      for (const path of [
        "/metrics",
        "/$node/services",
        "/~node/actions",
        "/api/v1/$node/list",
        "/api/v1/gateway/listAliases",
        "/api/v1/inventory/reserve",
        "/api/v1/inventory.reserve",
        "/api/v1/order-worker/republish",
        "/api",
        "/docs/assets",
        "/docs/assets/",
        "/docs/assets/%2e%2e/%2e%2e/package.json",
        "/docs/assets/../../package.json",
      ]) {
        for (const method of ["GET", "POST"]) {
          const { status } = await send(method, path, { token: undefined });
          assert.ok(
            [401, 404, 405].includes(status),
            `${method} ${path} answered ${String(status)}`,
          );
        }
      }
    });
  });

  it("gives up on a slow sender in time", async () => {
    const [header, body] = await slow;
    assert.ok(header !== undefined && body !== undefined);
    expectRawError(header, "REQUEST_TOO_SLOW");
    expectRawError(body, "REQUEST_TOO_SLOW");
    assert.ok(header.tookMs < 9_000, `headers took ${String(header.tookMs)} ms`);
    assert.ok(body.tookMs < 19_000, `the body took ${String(body.tookMs)} ms`);
  });
});
