// Signed requests: the published vectors, the one profile that is taken, and in which order what is
// refused. The signer is the tests' own.
import assert from "node:assert/strict";
import { publicRoutes } from "../../services/gateway/route-table.ts";
import {
  createRequestSignatures,
  requiredRoutes,
  SIGNATURE_WINDOW_S,
} from "../../services/gateway/request-signatures.ts";
import {
  clientSecret,
  contentDigest,
  readClaim,
  signatureBase,
  signatureOf,
} from "../../mixins/signing/request-signature.ts";
import { isPlatformError, type ErrorSlug } from "../../services/contracts/errors.ts";
import { newNonce, type RequestToSign, signRequest } from "../support/sign-request.ts";
import { silentLog } from "../support/database.ts";

const SHOP_KEY = "a key of the tests that is long enough 0917";
const KEY_ID = "warehouse";
const VERSION = 7;
const CLIENT = { keyId: KEY_ID, secret: clientSecret(SHOP_KEY, KEY_ID, VERSION) };
const NOW_S = 1_800_000_000;

function check() {
  const used = new Set<string>();
  const kept: number[] = [];
  const state = { isKnown: true, version: VERSION as number | undefined, nowS: NOW_S };
  const signatures = createRequestSignatures({
    shopKey: SHOP_KEY,
    required: new Set(["POST /orders/prepare"]),
    rules: {
      isKnown: () => state.isKnown,
      versionOfClient: (keyId) => (keyId === KEY_ID ? state.version : undefined),
    },
    nonces: {
      claim: (id, keptMs) => {
        kept.push(keptMs);
        return Promise.resolve(!used.has(id) && used.add(id).size > 0);
      },
    },
    clock: { now: () => state.nowS * 1_000, monotonic: () => 0 },
    log: silentLog,
  });
  const routes = publicRoutes();
  /** Resolves to what the request was refused with, "ok" when it was not. */
  async function ask(
    { method, url, body = "", authorization }: RequestToSign,
    headers: Readonly<Record<string, string>>,
    label = "POST /orders",
  ): Promise<ErrorSlug | "ok"> {
    const route = routes.find((one) => one.label === label);
    assert.ok(route !== undefined);
    const all = { ...headers, ...(authorization === undefined ? {} : { authorization }) };
    const request = { headers: all, url: "/trimmed", originalUrl: url } as never;
    try {
      await signatures.check(route, { request, method, body: Buffer.from(body) });
      return "ok";
    } catch (error) {
      assert.ok(isPlatformError(error), String(error));
      return (error as { slug: ErrorSlug }).slug;
    }
  }
  return { ask, state, used, kept };
}

const ORDER: RequestToSign = {
  method: "POST",
  url: "/api/v1/orders?a=1&b=%20",
  body: '{"items":[]}',
  authorization: "Bearer a.b.c",
};

describe("a signed request", () => {
  it("is signed as the vector of RFC 9421, B.2.5", () => {
    const params =
      '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"';
    const base = signatureBase(
      [
        ["date", "Tue, 20 Apr 2021 02:07:55 GMT"],
        ["@authority", "example.com"],
        ["content-type", "application/json"],
      ],
      params,
    );
    const key =
      "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    const signature = signatureOf(base, Buffer.from(key, "base64")).toString("base64");
    assert.equal(signature, "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
  });

  it("has the digest of RFC 9530's example", () => {
    const digest = contentDigest(Buffer.from('{"hello": "world"}\n'));
    assert.equal(digest, "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
  });

  it("goes on when all is right, with and without a body, a query and a token", async () => {
    const { ask } = check();
    for (const message of [
      ORDER,
      { method: "GET", url: "/api/v1/orders" },
      { method: "HEAD", url: "/api/v1/orders?page=2", authorization: "Bearer x" },
      { method: "DELETE", url: "/api/v1/users/me/addresses/1?" },
    ]) {
      const headers = signRequest(message, CLIENT, { createdS: NOW_S });
      assert.equal(await ask(message, headers), "ok", message.url);
    }
  });

  it("is refused when anything that is covered was changed after it was signed", async () => {
    const { ask, used } = check();
    const headers = signRequest(ORDER, CLIENT, { createdS: NOW_S });
    const otherBody = signRequest({ ...ORDER, body: "{}" }, CLIENT, { createdS: NOW_S });
    const { "signature-input": input = "", signature = "" } = headers;
    const changed: readonly (readonly [string, RequestToSign, Record<string, string>])[] = [
      ["method", { ...ORDER, method: "PUT" }, headers],
      ["path", { ...ORDER, url: "/api/v1/order?a=1&b=%20" }, headers],
      ["query", { ...ORDER, url: "/api/v1/orders?a=1&b=+" }, headers],
      ["body", { ...ORDER, body: '{"items":[1]}' }, headers],
      ["body and digest", ORDER, { ...headers, "content-digest": contentDigest(Buffer.from("")) }],
      ["token", { ...ORDER, authorization: "Bearer a.b.d" }, headers],
      ["token taken away", { ...ORDER, authorization: undefined }, headers],
      ["time", ORDER, { ...headers, "signature-input": input.replace("=18", "=17") }],
      ["nonce", ORDER, { ...headers, "signature-input": input.replace(/nonce="./, 'nonce="_') }],
      ["signature", ORDER, { ...headers, signature: signature.replace(/:./, ":_") }],
      ["another's signature", ORDER, { ...headers, signature: otherBody["signature"] ?? "" }],
    ];
    for (const [what, message, sent] of changed) {
      assert.equal(await ask(message, sent), "SIGNATURE_INVALID", what);
    }
    assert.equal(used.size, 0, "no nonce is used up by what is refused");
    assert.equal(await ask(ORDER, headers), "ok");
  });

  it("is taken in the one profile only", () => {
    const { "signature-input": input = "", signature = "" } = signRequest(ORDER, CLIENT);
    assert.ok(readClaim(input, signature) !== undefined);
    for (const [what, other] of [
      ["another label", input.replace("shop=", "sig1=")],
      ["another algorithm", input.replace("hmac-sha256", "hmac-sha512")],
      ["no algorithm", input.replace(';alg="hmac-sha256"', "")],
      ["fewer components", input.replace('"@query" ', "")],
      ["another order", input.replace('"@method" "@path"', '"@path" "@method"')],
      ["a short nonce", input.replace(/nonce="[^"]+"/, 'nonce="short"')],
      ["an end of its own", input.replace(";nonce", ";expires=1800000000;nonce")],
      ["two signatures", `${input}, other=("@method");created=1800000000`],
      ["nothing", ""],
    ] as const) {
      assert.equal(readClaim(other, signature), undefined, what);
    }
    assert.equal(readClaim(input, ""), undefined);
    assert.equal(readClaim(input, signature.replace("shop=", "other=")), undefined);
  });

  it("is refused for a client that is unknown, revoked, or has a newer secret", async () => {
    const { ask, state } = check();
    const stranger = signRequest(ORDER, { ...CLIENT, keyId: "stranger" }, { createdS: NOW_S });
    assert.equal(await ask(ORDER, stranger), "SIGNATURE_INVALID");
    const headers = signRequest(ORDER, CLIENT, { createdS: NOW_S });
    state.version = VERSION + 1;
    assert.equal(await ask(ORDER, headers), "SIGNATURE_INVALID");
    state.version = undefined;
    assert.equal(await ask(ORDER, headers), "SIGNATURE_INVALID");
    state.isKnown = false;
    assert.equal(await ask(ORDER, headers), "SERVICE_UNAVAILABLE");
  });

  it("is good for five minutes before and after its time", async () => {
    const { ask, kept } = check();
    const at = (awayS: number) =>
      ask(ORDER, signRequest(ORDER, CLIENT, { createdS: NOW_S + awayS }));
    assert.equal(await at(-SIGNATURE_WINDOW_S - 1), "SIGNATURE_EXPIRED");
    assert.equal(await at(SIGNATURE_WINDOW_S + 1), "SIGNATURE_EXPIRED");
    assert.equal(await at(-SIGNATURE_WINDOW_S), "ok");
    assert.equal(await at(SIGNATURE_WINDOW_S), "ok");
    // A nonce is remembered as long as its signature could come again, and a second more.
    assert.deepEqual(kept, [1_000, (2 * SIGNATURE_WINDOW_S + 1) * 1_000]);
  });

  it("is taken once, whatever else is new about it", async () => {
    const { ask } = check();
    const nonce = newNonce();
    const headers = signRequest(ORDER, CLIENT, { createdS: NOW_S, nonce });
    assert.equal(await ask(ORDER, headers), "ok");
    assert.equal(await ask(ORDER, headers), "SIGNATURE_REPLAYED");
    const later = signRequest(ORDER, CLIENT, { createdS: NOW_S + 5, nonce });
    assert.equal(await ask(ORDER, later), "SIGNATURE_REPLAYED");
  });

  it("is demanded where the shop says so, and a webhook has its provider's own", async () => {
    const { ask } = check();
    const prepare: RequestToSign = { method: "POST", url: "/api/v1/orders/prepare", body: "{}" };
    const label = "POST /orders/prepare";
    assert.equal(await ask(prepare, {}), "ok");
    assert.equal(await ask(prepare, {}, label), "SIGNATURE_REQUIRED");
    const headers = signRequest(prepare, CLIENT, { createdS: NOW_S });
    const { "signature-input": input = "", signature = "" } = headers;
    assert.equal(await ask(prepare, { "signature-input": input }, label), "SIGNATURE_INVALID");
    assert.equal(await ask(prepare, { signature }, label), "SIGNATURE_INVALID");
    assert.equal(await ask(prepare, headers, label), "ok");
    const foreign = { signature: "what the provider makes" };
    assert.equal(await ask(prepare, foreign, "POST /payments/:id/callbacks"), "ok");
  });

  it("has a secret of its own for every client, change and shop", () => {
    const secrets = [
      clientSecret(SHOP_KEY, "one", 1),
      clientSecret(SHOP_KEY, "one", 2),
      clientSecret(SHOP_KEY, "two", 1),
      clientSecret(`${SHOP_KEY}.`, "one", 1),
    ];
    assert.equal(new Set(secrets).size, secrets.length);
    for (const secret of secrets) assert.match(secret, /^[A-Za-z0-9_-]{43}$/);
  });
});

describe("SIGNED_ROUTES", () => {
  const read = (SIGNED_ROUTES: string, API_CLIENT_SECRET = SHOP_KEY) => [
    ...requiredRoutes({ SIGNED_ROUTES, API_CLIENT_SECRET }, publicRoutes()),
  ];

  it("names routes as the metrics do", () => {
    assert.deepEqual(read(""), []);
    const labels = ["POST /payments/:id/refund", "POST /orders"];
    assert.deepEqual(read(`${labels.join(" , ")},`), labels);
  });

  it("ends the start on what is no route, a stream, a webhook, or without a key", () => {
    assert.throws(() => read("POST /order"), /"POST \/order"/);
    assert.throws(() => read("GET /seckill/sales/:id/events"), /no route that can be signed/);
    assert.throws(() => read("POST /payments/:id/callbacks"), /no route that can be signed/);
    assert.throws(() => read("POST /orders", ""), /API_CLIENT_SECRET/);
  });
});
