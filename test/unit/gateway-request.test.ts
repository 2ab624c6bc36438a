// What the gateway does with a request before any service hears of it.
import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { orderContract } from "../../services/contracts/order.ts";
import { productContract } from "../../services/contracts/product.ts";
import type { ActionContract } from "../../services/contracts/contract.ts";
import { errorDetails, isPlatformError } from "../../services/contracts/errors.ts";
import { nestingOf } from "../../services/gateway/body.ts";
import { createClientAddress } from "../../services/gateway/client-address.ts";
import { publicSlug } from "../../services/gateway/http-errors.ts";
import { parseQuery } from "../../services/gateway/query.ts";
import { canonicalJson, createReader, idempotencyHeaders } from "../../services/gateway/request.ts";

function readerOf(contract: ActionContract) {
  assert.ok(contract.rest !== undefined);
  return createReader(contract, contract.rest);
}

function faultsOf(work: () => unknown): readonly { field: string; rule: string }[] {
  try {
    work();
  } catch (error) {
    assert.ok(isPlatformError(error, "VALIDATION_FAILED"));
    return errorDetails(error) as { field: string; rule: string }[];
  }
  assert.fail("was accepted");
}

describe("reading parameters", () => {
  const list = readerOf(productContract.list);
  const place = readerOf(orderContract.place);
  const get = readerOf(orderContract.get);

  it("turns the text of a query into numbers", () => {
    const params = list.read({ path: {}, query: { page: "2", page_size: "50" }, body: undefined });
    assert.deepEqual(params, { page: 2, page_size: 50 });
  });

  it("names every fault of a query at once", () => {
    const query = { page: "0", sort: "id;drop table", nonsense: "1" };
    const fields = faultsOf(() => list.read({ path: {}, query, body: undefined })).map(
      ({ field }) => field,
    );
    assert.deepEqual(fields.sort(), ["nonsense", "page", "sort"]);
  });

  it("refuses a parameter given twice", () => {
    const query = { page: ["1", "2"] };
    assert.equal(faultsOf(() => list.read({ path: {}, query, body: undefined })).length, 1);
  });

  it("does not turn the text of a body into numbers", () => {
    const body = { items: [{ sku_id: "1", quantity: "1" }] };
    const faults = faultsOf(() => place.read({ path: {}, query: {}, body }));
    assert.deepEqual(faults[0]?.field, "items.0.quantity");
  });

  it("refuses fields that would set a price or an owner", () => {
    const body = { items: [{ sku_id: "1", quantity: 1, price: 1 }], user_id: "7", status: "paid" };
    const fields = faultsOf(() => place.read({ path: {}, query: {}, body })).map(
      ({ field }) => field,
    );
    assert.deepEqual(fields.sort(), ["items.0.price", "status", "user_id"]);
  });

  it("refuses __proto__ as an unknown field", () => {
    const body: unknown = JSON.parse('{"items":[{"sku_id":"1","quantity":1}],"__proto__":{"a":1}}');
    const fields = faultsOf(() => place.read({ path: {}, query: {}, body })).map(
      ({ field }) => field,
    );
    assert.deepEqual(fields, ["__proto__"]);
  });

  it("takes an impossible id in the path for one that does not exist", () => {
    assert.throws(
      () => get.read({ path: { id: "../etc" }, query: {}, body: undefined }),
      (error) => isPlatformError(error, "NOT_FOUND"),
    );
  });
});

describe("an Idempotency-Key", () => {
  const request = (headers: Record<string, string>) => ({ headers }) as unknown as IncomingMessage;
  const claim = (headers: Record<string, string>, params = {}) =>
    idempotencyHeaders(request(headers), orderContract.place, "POST /orders", params);

  it("is required where the contract says so", () => {
    assert.throws(
      () => claim({}),
      (error) => isPlatformError(error, "IDEMPOTENCY_KEY_REQUIRED"),
    );
  });

  it("is 1 to 255 visible ASCII characters", () => {
    for (const key of ["", "a b", "ü", "x".repeat(256)]) {
      assert.throws(
        () => claim({ "idempotency-key": key }),
        (error) => isPlatformError(error, "IDEMPOTENCY_KEY_MALFORMED"),
      );
    }
    assert.equal(claim({ "idempotency-key": "x".repeat(255) }).idempotency_route, "POST /orders");
  });

  it("fingerprints the meaning of a body, not the order of its fields", () => {
    const one = claim({ "idempotency-key": "k" }, { a: 1, b: [{ c: 2, d: 3 }] });
    const same = claim({ "idempotency-key": "k" }, { b: [{ d: 3, c: 2 }], a: 1 });
    const other = claim({ "idempotency-key": "k" }, { a: 1, b: [{ c: 2, d: 4 }] });
    assert.equal(one.idempotency_fingerprint, same.idempotency_fingerprint);
    assert.notEqual(one.idempotency_fingerprint, other.idempotency_fingerprint);
    assert.equal(canonicalJson({ b: 1, a: null }), '{"a":null,"b":1}');
  });
});

describe("the address a request counts under", () => {
  it("is the peer's when nobody is trusted", () => {
    const addressOf = createClientAddress("");
    assert.equal(addressOf("203.0.113.7", "198.51.100.1"), "203.0.113.7");
  });

  it("is the last hop that no trusted proxy is", () => {
    const addressOf = createClientAddress("127.0.0.1, 10.0.0.0/8");
    assert.equal(addressOf("::ffff:127.0.0.1", "1.2.3.4, 198.51.100.1, 10.1.2.3"), "198.51.100.1");
  });

  it("is the proxy's own when the header holds no address", () => {
    const addressOf = createClientAddress("127.0.0.1");
    assert.equal(addressOf("127.0.0.1", "unknown"), "127.0.0.1");
  });
});

describe("the rest of the edge", () => {
  it("measures nesting without being fooled by strings", () => {
    assert.equal(nestingOf('{"a":"[[[[\\"[["}'), 1);
    assert.equal(nestingOf("[".repeat(10_000)), 10_000);
  });

  it("refuses a query of too many keys and keeps a key given twice apart", () => {
    assert.throws(() => parseQuery(`/x?${"a=1&".repeat(51)}`));
    assert.deepEqual(parseQuery("/x?a=1&a=2&b=3"), { url: "/x", query: { a: ["1", "2"], b: "3" } });
  });

  it("tells nothing of an error that is not of the catalogue", () => {
    assert.equal(publicSlug(new Error("SELECT secret FROM users")), "INTERNAL");
    assert.equal(publicSlug({ type: "REQUEST_TIMEOUT", code: 504 }), "SERVICE_UNAVAILABLE");
  });
});
