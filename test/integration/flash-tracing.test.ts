// The trace of a flash purchase: whole from the request to the order's row when it is sampled, and not one span
// object when it is not.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { findFreePort } from "../../scripts/launcher/ports.ts";
import type { Sale } from "../../services/contracts/seckill.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { HttpClient } from "../support/http-client.ts";
import { JaegerCollector } from "../support/jaeger-collector.ts";
import { newCustomer, type ShopNode, shopNode } from "../support/order-shop.ts";
import { openSale, SALE_SCHEMAS, SALE_UNITS, whenQuiet } from "../support/sale-shop.ts";

/** More than the traced buyers who may come before the gate is loaded. */
const SALE_UNITS_TO_TRACE = 100;
/** Buyers who come at once. */
const CROWD = 12;
const WAIT_MS = 30_000;
const PARENT_ID = "00f067aa0ba902b7";
const ROUTE = "POST /seckill/sales/:id/orders";

interface Started {
  startSpan(...args: unknown[]): unknown;
}

describe("the trace of a flash purchase", function () {
  this.timeout(120_000);
  const collector = new JaegerCollector();
  let schemas: TestDatabase;
  let shop: ShopNode;
  let url: string;
  let started = 0;

  before(async () => {
    schemas = await testDatabase({ services: [...SALE_SCHEMAS, "operations"] });
    const port = String(await findFreePort());
    url = `http://127.0.0.1:${port}`;
    shop = await shopNode(schemas, {
      units: [...SALE_UNITS, "operations", "gateway"],
      settings: {
        PORT: port,
        JAEGER_ENDPOINT: await collector.start(),
        TRACE_RATIO: "0",
        // A busy machine may be slow here; it is not what is looked at.
        REQUEST_TIMEOUT_MS: String(WAIT_MS),
      },
    });
    const tracer = shop.node.broker.tracer as unknown as Started;
    const startSpan = tracer.startSpan.bind(tracer);
    tracer.startSpan = (...args) => {
      started += 1;
      return startSpan(...args);
    };
  });
  after(async () => {
    await shop.stop();
    collector.stop();
    await schemas.drop();
  });

  function client(): HttpClient {
    const { id: userId } = newCustomer();
    return new HttpClient(
      url,
      shop.node.tokens.sign({ userId, role: "customer", familyId: userId }),
    );
  }

  /** Buys until there is an answer for good. */
  async function bought(saleId: string, headers: Readonly<Record<string, string>>): Promise<void> {
    const buyer = client();
    await eventually(
      async () => {
        const path = `/api/v1/seckill/sales/${saleId}/orders`;
        const { status, data } = await buyer.send<{ order_id?: string }>("POST", path, { headers });
        return status === 409 || (status === 202 && data.order_id !== undefined);
      },
      { timeoutMs: WAIT_MS, what: "the buyer has his order", intervalMs: 200 },
    );
    await whenQuiet(shop, saleId);
  }

  /** The fast lane knows the sale: it answers without the router's headers. */
  async function whenKnown({ id }: Sale): Promise<void> {
    const visitor = new HttpClient(url);
    await eventually(
      async () => {
        const answer = await visitor.post(`/api/v1/seckill/sales/${id}/orders`);
        return answer.headers["ratelimit-limit"] === undefined;
      },
      { timeoutMs: WAIT_MS, what: "the fast lane knows the sale", intervalMs: 50 },
    );
  }

  it("makes no span object at all when it is not sampled", async () => {
    const sale = await openSale(shop, { quantity: 3 });
    await whenKnown(sale);
    started = 0;
    await bought(sale.id, {});
    await bought(sale.id, {
      traceparent: `00-${randomBytes(16).toString("hex")}-${PARENT_ID}-00`,
    });
    assert.equal(started, 0);
  });

  it("is one tree from the request to the order's row when the caller wants it", async () => {
    const sale = await openSale(shop, { quantity: SALE_UNITS_TO_TRACE });
    await whenKnown(sale);
    started = 0;
    let traceId = "";
    const seen = (): string[] =>
      collector.ofTrace(traceId).map(({ service, name }) => `${service} ${name}`);
    // Until the gate is loaded, and the node has heard of it, buyers go another way.
    await eventually(
      async () => {
        traceId = randomBytes(16).toString("hex");
        await bought(sale.id, { traceparent: `00-${traceId}-${PARENT_ID}-01` });
        await eventually(() => seen().includes(`gateway ${ROUTE}`), {
          timeoutMs: WAIT_MS,
          what: "the purchase is exported",
        });
        return seen().includes("redis seckill/admit");
      },
      { timeoutMs: WAIT_MS, what: "a traced buyer goes through the gate", intervalMs: 500 },
    );
    const wanted = [
      `gateway ${ROUTE}`,
      "seckill action 'seckill.buy'",
      "mysql transaction.commit",
      "order-worker consume seckill.admitted.v1",
      "mysql inbox.insert",
    ];
    await eventually(() => wanted.every((one) => seen().includes(one)), {
      timeoutMs: WAIT_MS,
      what: "the whole tree is exported",
    }).catch((error: unknown) => {
      throw new Error(`seen: ${seen().join("; ")}`, { cause: error });
    });
    const spans = collector.ofTrace(traceId);
    const ids = new Set([PARENT_ID, ...spans.map(({ spanId }) => spanId)]);
    assert.deepEqual(
      spans.filter(({ parentId }) => !ids.has(parentId ?? "")).map(({ name }) => name),
      [],
    );
    const consumer = spans.find(({ name }) => name === "consume seckill.admitted.v1");
    const rows = spans.filter(({ parentId }) => parentId === consumer?.spanId);
    assert.ok(rows.some(({ service }) => service === "mysql"));
    assert.ok(started >= spans.length);
  });

  it("is known to the one who makes the order, whichever commit it shares", async () => {
    const sale = await openSale(shop, { quantity: SALE_UNITS_TO_TRACE });
    await whenKnown(sale);
    const consumers = () =>
      collector.spans.filter(({ name }) => name === "consume seckill.admitted.v1");
    /** Traces that the order consumer's spans stand in or follow from. */
    const linked = () =>
      new Set(
        consumers().flatMap(({ traceId, follows }) => [
          traceId,
          ...follows.map((one) => one.traceId),
        ]),
      );
    const everybody: string[] = [];
    // Who shares a commit is the machine's to say; once at least two do.
    await eventually(
      async () => {
        const round = Array.from({ length: CROWD }, () => randomBytes(16).toString("hex"));
        everybody.push(...round);
        await Promise.all(
          round.map((id) => bought(sale.id, { traceparent: `00-${id}-${PARENT_ID}-01` })),
        );
        await eventually(() => round.every((id) => linked().has(id)), {
          timeoutMs: WAIT_MS,
          what: "every winner's trace is linked",
        });
        return consumers().some(({ follows }) => follows.length > 0);
      },
      { timeoutMs: WAIT_MS, what: "winners share a commit", intervalMs: 200 },
    );
    assert.ok(everybody.every((id) => linked().has(id)));
  });

  it("has a span after the fact for a call that failed, without its message", async () => {
    const { broker } = shop.node;
    const secret = `secret-${randomBytes(6).toString("hex")}`;
    broker.createService({
      name: "broken",
      actions: { fail: () => Promise.reject(new Error(secret)) },
    });
    await broker.waitForServices("broken");
    await assert.rejects(broker.call("broken.fail"));
    const span = await eventually(
      () => collector.spans.find(({ name }) => name === "action 'broken.fail'"),
      { timeoutMs: WAIT_MS, what: "the failure is exported" },
    );
    assert.equal(span.tags["error"], true);
    assert.ok(!JSON.stringify(collector.spans).includes(secret));
  });
});
