// The parts of the fast lane, with nothing running: what it takes, what it refuses by itself, and what it
// tells a buyer for each answer of the sale's service.
import assert from "node:assert/strict";
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { setImmediate as endOfTurn } from "node:timers/promises";
import { ERROR_CATALOGUE } from "../../services/contracts/errors.ts";
import type { Admission, AdmissionOutcome } from "../../services/contracts/seckill.ts";
import {
  type AdmissionPort,
  ANSWER_WAIT_MS,
  createAdmissions,
} from "../../services/gateway/fast-lane/admissions.ts";
import { bodyOf, type BuyAnswer } from "../../services/gateway/fast-lane/answers.ts";
import {
  attemptOf,
  bearerOf,
  saleToBuyFrom,
} from "../../services/gateway/fast-lane/buy-request.ts";
import { type CallOptions, createCallOptions } from "../../services/gateway/call-options.ts";
import { createFastLane, type LaneParts } from "../../services/gateway/fast-lane/fast-lane.ts";
import { createTurnBatches } from "../../services/gateway/fast-lane/turn-batches.ts";
import { silentLog as log } from "../support/database.ts";
import { fakeClock } from "../support/fake-clock.ts";

const SALE = "7001";
const BUY = `/api/v1/seckill/sales/${SALE}/orders`;

describe("the fast lane's request", () => {
  const saleOf = (method: string, url: string, headers: Record<string, string> = {}) =>
    saleToBuyFrom({ method, url, headers });

  it("is a POST without a body to the orders of a sale", () => {
    assert.equal(saleOf("POST", BUY), SALE);
    assert.equal(saleOf("POST", BUY, { "content-length": "0" }), SALE);
  });

  it("leaves every other request and spelling to the router", () => {
    const others: readonly (readonly [string, string, Record<string, string>?])[] = [
      ["GET", BUY],
      ["POST", `${BUY}?x=1`],
      ["POST", `${BUY}/`],
      ["POST", `${BUY}/mine`],
      ["POST", "/api/v1/seckill/sales//orders"],
      ["POST", "/api/v1/seckill/sales/01/orders"],
      ["POST", "/api/v1/seckill/sales/1%32/orders"],
      ["POST", "/api/v1/seckill/sales/1/2/orders"],
      ["POST", `/api/v1/seckill/sales/${"9".repeat(20)}/orders`],
      ["POST", "/api/v1/orders"],
      ["POST", BUY, { "content-length": "2" }],
      ["POST", BUY, { "transfer-encoding": "chunked" }],
    ];
    for (const [method, url, headers] of others) {
      assert.equal(saleOf(method, url, headers), undefined, `${method} ${url}`);
    }
  });

  it("takes the whole token, and no other scheme", () => {
    assert.equal(bearerOf({ authorization: "Bearer a.b.c" }), "a.b.c");
    assert.equal(bearerOf({ authorization: "Basic abc" }), "");
    assert.equal(bearerOf({}), undefined);
  });

  it("is the same attempt when its Idempotency-Key is, whatever the request's id", () => {
    const first = attemptOf({ "idempotency-key": "k1" }, "request-1");
    assert.equal(attemptOf({ "idempotency-key": "k1" }, "request-2"), first);
    assert.notEqual(attemptOf({ "idempotency-key": "k2" }, "request-1"), first);
    assert.equal(attemptOf({}, "request-1"), "request-1");
    assert.ok(attemptOf({ "idempotency-key": "x".repeat(255) }, "request-1").length <= 64);
  });
});

describe("a request whose trace is wanted", () => {
  const requestOf = (method: string, headers: Record<string, string> = {}): IncomingMessage =>
    Object.assign(new IncomingMessage(new Socket()), { method, url: BUY, headers });
  const response = new ServerResponse(requestOf("POST"));

  it("is left to the ordinary way, as is a sale that is not known", () => {
    const laneOf = (isKnown: boolean) =>
      createFastLane({
        snapshots: { find: () => (isKnown ? { id: SALE } : undefined) },
        isTraced: () => true,
        clock: fakeClock(),
      } as unknown as LaneParts);
    assert.equal(laneOf(true).take(requestOf("POST"), response), false);
    assert.equal(laneOf(false).take(requestOf("POST"), response), false);
  });

  it("is traced there, whatever the ratio, and a caller's decision is followed", () => {
    const settings = { JAEGER_ENDPOINT: "http://127.0.0.1:1/api/traces", TRACE_RATIO: 0 };
    const fill = createCallOptions({ settings, random: () => 0.5 } as never);
    const isSampled = (request: IncomingMessage): boolean | undefined => {
      const options: CallOptions = {};
      fill(options, request, response);
      return options.parentSpan?.sampled;
    };
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-00`;
    assert.equal(isSampled(requestOf("POST")), true);
    assert.equal(isSampled(requestOf("GET")), false);
    assert.equal(isSampled(requestOf("POST", { traceparent })), false);
  });
});

describe("the fast lane's answers", () => {
  it("are valid JSON for every error of the catalogue", () => {
    for (const slug of Object.keys(ERROR_CATALOGUE) as (keyof typeof ERROR_CATALOGUE)[]) {
      const text = bodyOf({ kind: "refused", slug }, "request-1");
      const body = JSON.parse(text) as Record<string, unknown>;
      assert.equal(body["error"], slug);
      assert.equal(body["message"], ERROR_CATALOGUE[slug].message);
      assert.equal(body["request_id"], "request-1");
      assert.equal(Buffer.byteLength(text), text.length, `${slug} must be ASCII`);
    }
  });

  it("show an order id only as a promise or as the order the buyer has", () => {
    const shown = (answer: BuyAnswer) => JSON.parse(bodyOf(answer, "r")) as { data?: object };
    assert.deepEqual(shown({ kind: "queued", orderId: "5" }).data, {
      order_id: "5",
      status: "queued",
    });
    const waiting = shown({ kind: "waiting", orderId: "5" });
    assert.deepEqual(Object.keys(waiting.data ?? {}), ["ticket", "status"]);
    const already = bodyOf(
      { kind: "refused", slug: "SECKILL_ALREADY_PURCHASED", orderId: "5" },
      "r",
    );
    assert.deepEqual((JSON.parse(already) as { details: object }).details, { order_id: "5" });
  });
});

describe("the batches of a turn", () => {
  it("go out once at the turn's end, by key and in order", async () => {
    const sent: [string, readonly number[]][] = [];
    const batches = createTurnBatches<number>(10, (key, items) => sent.push([key, items]));
    batches.add("a", 1);
    batches.add("b", 2);
    batches.add("a", 3);
    assert.deepEqual(sent, []);
    await endOfTurn();
    assert.deepEqual(sent, [
      ["a", [1, 3]],
      ["b", [2]],
    ]);
  });

  it("never exceed their size and lose nobody", async () => {
    const sent: (readonly number[])[] = [];
    const batches = createTurnBatches<number>(4, (_key, items) => sent.push(items));
    for (let n = 0; n < 10; n += 1) batches.add("a", n);
    await endOfTurn();
    assert.deepEqual(
      sent.map((items) => items.length),
      [4, 4, 2],
    );
    assert.deepEqual(sent.flat(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    batches.add("a", 10);
    await endOfTurn();
    assert.deepEqual(sent.at(-1), [10]);
  });
});

const NO_OUTCOME: Omit<AdmissionOutcome, "order_id"> = {
  outcome: "unknown",
  refusal: null,
  held_order_id: null,
};

describe("admission by the fast lane", () => {
  async function answersFor(
    admit: AdmissionPort["admit"],
    outcome: AdmissionPort["outcome"],
    buyers: number,
  ): Promise<{ answers: BuyAnswer[]; soldOut: string[] }> {
    const soldOut: string[] = [];
    const admissions = createAdmissions({
      port: { admit, outcome },
      clock: fakeClock(),
      log,
      onSoldOut: (saleId) => soldOut.push(saleId),
    });
    const answers = await Promise.all(
      Array.from(
        { length: buyers },
        (_, n) =>
          new Promise<BuyAnswer>((answer) => {
            const attempt = { saleId: SALE, userId: `u${n}`, attemptId: `a${n}` };
            admissions.submit({ ...attempt, arrivedMs: fakeClock().nowMs, answer });
          }),
      ),
    );
    return { answers, soldOut };
  }

  const admitAs = (items: readonly Admission[]) => () => Promise.resolve(items);
  const learn =
    (known: Readonly<Record<string, Partial<AdmissionOutcome>>>): AdmissionPort["outcome"] =>
    (_saleId, orderIds) =>
      Promise.resolve(
        orderIds.map((orderId) => ({ ...NO_OUTCOME, ...known[orderId], order_id: orderId })),
      );

  it("asks once for all buyers of a turn, and once for all their winners", async () => {
    const calls: string[] = [];
    const { answers } = await answersFor(
      (_saleId, candidates) => {
        calls.push(`admit ${candidates.length}`);
        const items = candidates.map((_, n) => ({ outcome: "pending" as const, order_id: `${n}` }));
        return Promise.resolve(items);
      },
      (_saleId, orderIds, waitMs) => {
        calls.push(`outcome ${orderIds.length}`);
        assert.ok(waitMs <= ANSWER_WAIT_MS);
        return Promise.resolve(
          orderIds.map((id) => ({ ...NO_OUTCOME, order_id: id, outcome: "committed" as const })),
        );
      },
      300,
    );
    assert.deepEqual(calls.sort(), ["admit 256", "admit 44", "outcome 256", "outcome 44"]);
    assert.ok(answers.every(({ kind }) => kind === "queued"));
  });

  it("promises an order id only after its commit", async () => {
    const pending = [
      { outcome: "pending", order_id: "1" },
      { outcome: "pending", order_id: "2" },
      { outcome: "pending", order_id: "3" },
      { outcome: "pending", order_id: "4" },
      { outcome: "committed", order_id: "5" },
    ] as const;
    const { answers } = await answersFor(
      admitAs(pending),
      learn({
        1: { outcome: "committed" },
        2: { outcome: "unknown" },
        3: { outcome: "refused", refusal: "already", held_order_id: "9" },
        4: { outcome: "refused" },
      }),
      5,
    );
    assert.deepEqual(answers, [
      { kind: "queued", orderId: "1" },
      { kind: "waiting", orderId: "2" },
      { kind: "refused", slug: "SECKILL_ALREADY_PURCHASED", orderId: "9" },
      { kind: "refused", slug: "OVERLOADED", orderId: null },
      { kind: "queued", orderId: "5" },
    ]);
  });

  it("tells the second of two requests which order the first one got", async () => {
    const { answers } = await answersFor(
      admitAs([
        { outcome: "pending", order_id: "1" },
        { outcome: "in_progress", order_id: "1" },
        { outcome: "already", order_id: "7" },
      ]),
      learn({ 1: { outcome: "committed" } }),
      3,
    );
    assert.deepEqual(answers, [
      { kind: "queued", orderId: "1" },
      { kind: "refused", slug: "SECKILL_ALREADY_PURCHASED", orderId: "1" },
      { kind: "refused", slug: "SECKILL_ALREADY_PURCHASED", orderId: "7" },
    ]);
  });

  it("refuses nobody for good when the service does not answer", async () => {
    const away = () => Promise.reject(new Error("away"));
    const first = await answersFor(away, away, 1);
    assert.deepEqual(first.answers, [{ kind: "refused", slug: "SERVICE_UNAVAILABLE" }]);
    const second = await answersFor(admitAs([{ outcome: "pending", order_id: "1" }]), away, 1);
    assert.deepEqual(second.answers, [{ kind: "waiting", orderId: "1" }]);
    assert.deepEqual([...first.soldOut, ...second.soldOut], []);
  });

  it("notes a sale that had no unit", async () => {
    const items = [
      { outcome: "sold_out", order_id: null },
      { outcome: "busy", order_id: null },
      { outcome: "not_found", order_id: null },
    ] as const;
    const { answers, soldOut } = await answersFor(admitAs(items), learn({}), 3);
    assert.deepEqual(soldOut, [SALE]);
    assert.deepEqual(
      answers.map((answer) => (answer.kind === "refused" ? answer.slug : answer.kind)),
      ["SECKILL_SOLD_OUT", "OVERLOADED", "SECKILL_SALE_NOT_FOUND"],
    );
  });
});
