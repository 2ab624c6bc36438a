// Signed requests against a shop that demands them for two routes: an admin lets a program in, and
// the program signs with code of its own.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { RuleChange } from "../../services/contracts/operations.ts";
import type { PageOf } from "../../services/kernel/schema.ts";
import { eventually } from "../support/eventually.ts";
import type { Answer, HttpClient } from "../support/http-client.ts";
import { openSale, SALES } from "../support/open-sale.ts";
import { API, type Shop, startShop } from "../support/shop.ts";
import { type ClientKey, signRequest, type SigningChanges } from "../support/sign-request.ts";

const CLIENTS = `${API}/admin/api-clients`;
/** The promise is a second; a busy test machine gets more. */
const IN_FORCE = { timeoutMs: 10_000, intervalMs: 100 } as const;

interface ApiClientView {
  readonly key_id: string;
  readonly is_active: boolean;
  readonly secret?: string | null;
}

describe("signed requests of a running shop", function () {
  this.timeout(120_000);
  let shop: Shop;
  let buyer: HttpClient;
  let skuId: string;

  before(async () => {
    const SIGNED_ROUTES = "POST /orders/prepare,POST /seckill/sales/:id/orders";
    shop = await startShop({ environment: { SIGNED_ROUTES } });
    buyer = await shop.customer();
    ({ skuId } = await shop.product(50));
  });
  after(async () => {
    await shop.expectInvariants();
    shop.platform.child.kill("SIGTERM");
    await shop.platform.exited;
  });

  async function setClient(keyId: string, isActive: boolean): Promise<Answer<ApiClientView>> {
    const body = { is_active: isActive, reason: "a test" };
    const answer = await shop.admin.send<ApiClientView>("PUT", `${CLIENTS}/${keyId}`, { body });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer;
  }

  /** A program that all gateways let in. */
  async function letIn(keyId = `client-${randomUUID().slice(0, 8)}`): Promise<ClientKey> {
    const { data } = await setClient(keyId, true);
    const key = { keyId, secret: data.secret ?? "" };
    await eventually(async () => (await listOrders(key)).status === 200, {
      ...IN_FORCE,
      what: "the client is let in",
    });
    return key;
  }

  const authorization = (): string => `Bearer ${buyer.token ?? ""}`;
  const listOrders = (key: ClientKey, changes?: SigningChanges): Promise<Answer> => {
    const url = `${API}/orders?page_size=1`;
    const message = { method: "GET", url, authorization: authorization() };
    return buyer.get(url, { headers: signRequest(message, key, changes) });
  };
  const bodyOf = (quantity: number): string =>
    JSON.stringify({ items: [{ sku_id: skuId, quantity }] });
  const prepare = (headers: Record<string, string>, rawBody = bodyOf(1)): Promise<Answer> =>
    buyer.send("POST", `${API}/orders/prepare`, { rawBody, headers });
  const signedPrepare = (key: ClientKey, changes?: SigningChanges) =>
    signRequest(
      {
        method: "POST",
        url: `${API}/orders/prepare`,
        body: bodyOf(1),
        authorization: authorization(),
      },
      key,
      changes,
    );
  const expectRefusal = (answer: Answer, slug: string): void => {
    assert.equal(answer.body.error, slug, JSON.stringify(answer.body));
    assert.equal(answer.status, 401);
    assert.match(String(answer.headers["www-authenticate"]), /^Signature /);
  };

  it("are answered where they are demanded, and unsigned ones are told how to sign", async () => {
    const key = await letIn();
    const unsigned = await prepare({});
    expectRefusal(unsigned, "SIGNATURE_REQUIRED");
    assert.match(String(unsigned.headers["accept-signature"]), /^shop=\("@method" /);
    const signed = await prepare(signedPrepare(key));
    assert.equal(signed.status, 200, JSON.stringify(signed.body));
    assert.equal((await buyer.get(`${API}/orders`)).status, 200, "elsewhere nothing is demanded");
  });

  it("are refused again, late, and with another body", async () => {
    const key = await letIn();
    const headers = signedPrepare(key);
    expectRefusal(await prepare(headers, bodyOf(2)), "SIGNATURE_INVALID");
    assert.equal((await prepare(headers)).status, 200);
    expectRefusal(await prepare(headers), "SIGNATURE_REPLAYED");
    const createdS = Math.floor(Date.now() / 1_000) - 3_600;
    expectRefusal(await prepare(signedPrepare(key, { createdS })), "SIGNATURE_EXPIRED");
    const wrong = { ...key, secret: "another secret of another client entirely" };
    expectRefusal(await listOrders(wrong), "SIGNATURE_INVALID");
  });

  it("buy in a flash sale whose purchases must be signed", async () => {
    const key = await letIn();
    const sale = await openSale(shop);
    const url = `${SALES}/${sale.id}/orders`;
    expectRefusal(await buyer.post(url), "SIGNATURE_REQUIRED");
    const answer = await eventually(
      async () => {
        const message = { method: "POST", url, authorization: authorization() };
        const given = await buyer.post(url, undefined, { headers: signRequest(message, key) });
        return given.status === 202 || given.status === 409 ? given : undefined;
      },
      { ...IN_FORCE, what: "the sale is open to a signed buyer" },
    );
    assert.notEqual(answer.body.error, "SECKILL_SOLD_OUT", JSON.stringify(answer.body));
  });

  it("end when the client is revoked or gets a new secret, and stand in the record", async () => {
    const first = await letIn();
    const second = await letIn(first.keyId);
    assert.notEqual(first.secret, second.secret);
    expectRefusal(await listOrders(first), "SIGNATURE_INVALID");
    const revoked = await setClient(first.keyId, false);
    assert.equal(revoked.data.secret, null);
    await eventually(async () => (await listOrders(second)).body.error === "SIGNATURE_INVALID", {
      ...IN_FORCE,
      what: "the client is shut out",
    });
    const changes = await shop.admin.get<PageOf<RuleChange>>(
      `${API}/admin/rule-changes?kind=api_client`,
    );
    const own = changes.data.items.filter(({ target }) => target === first.keyId);
    assert.deepEqual(
      own.map((change) => change.is_on),
      [false, true, true],
    );
    const listed = await shop.admin.get<PageOf<ApiClientView>>(CLIENTS);
    const client = listed.data.items.find((one) => one.key_id === first.keyId);
    assert.equal(client?.is_active, false);
    assert.ok(!JSON.stringify([listed.body, changes.body]).includes(second.secret));
  });

  it("are an admin's to allow, under a name of the known form", async () => {
    const body = { is_active: true, reason: "a test" };
    assert.equal((await buyer.send("PUT", `${CLIENTS}/mine`, { body })).status, 403);
    assert.equal((await buyer.get(CLIENTS)).status, 403);
    const { status } = await shop.admin.send("PUT", `${CLIENTS}/a%20b`, { body });
    assert.ok([404, 422].includes(status), String(status));
  });
});
