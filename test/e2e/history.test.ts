// A sale on real servers as its buyers heard it, over HTTP: they buy, pay and give up at the same time, some
// ask twice at once, and all they were told must be what a shop could have said that does one thing at a
// time; nobody may be told "sold out" longer than a second after a unit came back.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { Sale } from "../../services/contracts/seckill.ts";
import { eventually } from "../support/eventually.ts";
import { faultOf, STALE_SOLD_OUT_MAX_MS } from "../support/history/check.ts";
import type { History, Observation, Operation } from "../support/history/operation.ts";
import type { HttpClient } from "../support/http-client.ts";
import { buy, openSale, SALES } from "../support/open-sale.ts";
import { API, openShop, PAYMENT_WINDOW_MS, SETTLE_TIMEOUT_MS, type Shop } from "../support/shop.ts";

const UNITS = 4;
const BUYERS = 16;
const PAYERS = 2;
/** A buyer asks this often, with pauses; two requests of his are under way at once now and then. */
const TRIES = 8;
const PAUSE_MS = 250;
const QUIET_MS = 100;

type Wish = Pick<Operation, "kind" | "userId" | "orderId">;

/** What everybody heard, by one clock. */
class Record {
  readonly operations: Operation[] = [];
  readonly observations: Observation[] = [];
  readonly #object: string;

  constructor(object: string) {
    this.#object = object;
  }

  async heard(
    wish: Wish,
    ask: () => Promise<Pick<Operation, "outcome" | "orderId">>,
  ): Promise<Operation> {
    const operation: Operation = {
      ...wish,
      object: this.#object,
      invokedAt: performance.now(),
      returnedAt: Number.POSITIVE_INFINITY,
      outcome: "unknown",
      isRepeated: false,
    };
    this.operations.push(operation);
    const answer = await ask();
    if (answer.outcome !== "unknown") operation.returnedAt = performance.now();
    return Object.assign(operation, answer);
  }
}

describe("what the buyers of a sale are told", function () {
  this.timeout(120_000);
  let shop: Shop;

  before(async () => {
    shop = await openShop();
  });
  after(() => shop.expectInvariants());

  const take = (record: Record, buyer: HttpClient, who: { userId: string; saleId: string }) =>
    record.heard({ kind: "take", userId: who.userId, orderId: undefined }, async () => {
      const { status, body, data } = await buy(buyer, who.saleId);
      if (status === 202 && data.order_id !== undefined) {
        return { outcome: "done", orderId: data.order_id };
      }
      if (body.error === "SECKILL_SOLD_OUT") return { outcome: "sold_out", orderId: undefined };
      if (body.error === "SECKILL_ALREADY_PURCHASED") {
        const { order_id: orderId } = body.details as { order_id: string };
        return { outcome: "already", orderId };
      }
      assert.ok([202, 429, 503].includes(status), JSON.stringify(body));
      return { outcome: status === 429 ? "refused" : "unknown", orderId: undefined };
    });

  /** Until the order is there, which it is a moment after it was promised. */
  const whenOrder = (buyer: HttpClient, id: string): Promise<unknown> =>
    shop.whenOrder(buyer, id, "pending_payment");

  async function end(record: Record, buyer: HttpClient, taken: Operation, pays: boolean) {
    const { userId, orderId = "" } = taken;
    await whenOrder(buyer, orderId);
    await record.heard({ kind: pays ? "pay" : "cancel", userId, orderId }, async () => {
      if (pays) await shop.paid(buyer, orderId);
      else {
        const { status, body } = await buyer.post(`${API}/orders/${orderId}/cancel`);
        assert.equal(status, 200, JSON.stringify(body));
      }
      return { outcome: "done", orderId };
    });
  }

  /** Somebody who looks at the sale and sees units, until the buyers are done. */
  async function watch(record: Record, saleId: string, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const from = performance.now() - STALE_SOLD_OUT_MAX_MS;
      const { data } = await shop.visitor().get<Sale>(`${SALES}/${saleId}`);
      const until = performance.now();
      if (data.remaining > 0) {
        record.observations.push({ kind: "free", units: 1, isLeast: true, from, until });
      }
      await pause(QUIET_MS);
    }
  }

  it("can be explained by a shop that does one thing at a time", async () => {
    const sale = await openSale(shop, { quantity: UNITS });
    const buyers = await shop.madeUpCustomers(BUYERS);
    const record = new Record(sale.id);
    let isOver = false;
    const watching = watch(record, sale.id, () => isOver);
    const shopping = buyers.map(async (buyer, index) => {
      const who = { userId: String(index), saleId: sale.id };
      for (let tries = 0; tries < TRIES; tries += 1) {
        const [first] = await Promise.all(
          tries % 3 === 0
            ? [take(record, buyer, who), take(record, buyer, who)]
            : [take(record, buyer, who)],
        );
        if (first.orderId !== undefined) {
          await end(record, buyer, first, index < PAYERS);
          if (index < PAYERS) return;
        }
        await pause(PAUSE_MS);
      }
    });
    await Promise.all(shopping);
    isOver = true;
    await watching;
    await settle(record, sale.id);
    assert.ok(record.operations.length > BUYERS * TRIES);
    const history: History = {
      units: UNITS,
      isOnePerUser: true,
      paymentWindowMs: PAYMENT_WINDOW_MS / 2,
      operations: record.operations,
      observations: record.observations,
    };
    const sold = record.operations.filter(({ outcome }) => outcome === "done");
    const refused = record.operations.filter(({ outcome }) => outcome === "sold_out");
    console.log(
      `      ${record.operations.length} requests, ${sold.length} done, ${refused.length} sold out`,
    );
    assert.ok(refused.length > 0, "nobody found the sale sold out");
    assert.equal(faultOf(history), undefined);
  });

  /** What is left in the end when everybody has ended his orders, seen once it stays so. */
  async function settle(record: Record, saleId: string): Promise<void> {
    const kept = new Set(
      record.operations.flatMap(({ kind, outcome, orderId }) =>
        kind === "pay" && outcome === "done" ? [orderId] : [],
      ),
    );
    const units = UNITS - kept.size;
    const from = performance.now();
    await eventually(
      async () => (await shop.visitor().get<Sale>(`${SALES}/${saleId}`)).data.remaining === units,
      { timeoutMs: SETTLE_TIMEOUT_MS, what: `${units} units are left`, intervalMs: QUIET_MS },
    );
    record.observations.push({
      ...{ kind: "free", units, isLeast: false, from, until: performance.now() },
    });
  }
});
