// The simulated crowd and its witness, with nothing running.
import assert from "node:assert/strict";
import { parseAnswer, requestText } from "../../scripts/bench/http-socket.ts";
import {
  PERSONAS,
  planCrowd,
  seededRandom,
  withoutWaiting,
} from "../../scripts/demo/buyer-plan.ts";
import { Witness } from "../../scripts/demo/witness.ts";

const SHAPE = { buyers: 4_000, ratePerS: 1_000, seed: 7, paymentWindowMs: 8_000 };

describe("a simulated crowd", () => {
  it("is the same for the same seed and another one for another seed", () => {
    assert.deepEqual(planCrowd(SHAPE), planCrowd(SHAPE));
    assert.notDeepEqual(planCrowd(SHAPE), planCrowd({ ...SHAPE, seed: 8 }));
  });

  it("comes at its rate, in order, with every kind of buyer in it and each buyer once", () => {
    const plans = planCrowd(SHAPE);
    assert.equal(new Set(plans.map(({ index }) => index)).size, SHAPE.buyers);
    for (const [at, { arrivesMs }] of plans.entries()) {
      assert.ok(arrivesMs >= (plans[at - 1]?.arrivesMs ?? -1_000) && arrivesMs < 4_000);
    }
    const half = plans.filter(({ arrivesMs }) => arrivesMs < 2_000).length;
    assert.ok(half > 1_800 && half < 2_200, `${half} came in the first half`);
    for (const persona of PERSONAS) assert.ok(plans.some((plan) => plan.persona === persona));
  });

  it("has people who never pay, and people who pay when it is too late", () => {
    for (const { persona, paysAfterMs } of planCrowd(SHAPE)) {
      if (persona === "abandoner") assert.equal(paysAfterMs, undefined);
      else if (persona === "late payer") assert.ok((paysAfterMs ?? 0) > SHAPE.paymentWindowMs);
      else assert.ok((paysAfterMs ?? Infinity) < SHAPE.paymentWindowMs);
    }
  });

  it("can be told not to wait for the window's end", () => {
    const plans = planCrowd(SHAPE);
    const hasty = withoutWaiting(plans);
    assert.deepEqual(
      hasty.map(({ index, arrivesMs }) => [index, arrivesMs]),
      plans.map(({ index, arrivesMs }) => [index, arrivesMs]),
    );
    for (const { paysAfterMs = 0, comesBackAfterMs = 0 } of hasty) {
      assert.ok(paysAfterMs < SHAPE.paymentWindowMs && comesBackAfterMs === 0);
    }
    assert.ok(hasty.some(({ paysAfterMs }) => paysAfterMs !== undefined));
  });

  it("draws evenly", () => {
    const random = seededRandom(1);
    const draws = Array.from({ length: 10_000 }, random);
    assert.ok(draws.every((draw) => draw >= 0 && draw < 1));
    const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
    assert.ok(Math.abs(mean - 0.5) < 0.02, `mean ${mean}`);
  });
});

describe("the witness of a sale", () => {
  it("counts a promise once however often it is heard", () => {
    const witness = new Witness();
    witness.promise(1, "10");
    witness.promise(1, "10");
    witness.promise(1, "11");
    assert.equal(witness.counts.promised, 2);
    assert.deepEqual([...witness.ordersOf(1)], ["10", "11"]);
    assert.deepEqual(witness.counts.faults, []);
  });

  it("calls it a fault when one order is promised to two buyers", () => {
    const witness = new Witness();
    witness.promise(1, "10");
    witness.promise(2, "10");
    assert.equal(witness.counts.faults.length, 1);
    assert.equal(witness.counts.promised, 1);
  });

  it("keeps the times of winners apart", () => {
    const witness = new Witness();
    witness.answer("SECKILL_SOLD_OUT", 2);
    witness.answer("queued", 9);
    witness.answer("queued", 5);
    assert.deepEqual(witness.times("winners"), [5, 9]);
    assert.deepEqual(witness.times("others"), [2]);
  });
});

describe("a request of the load generator", () => {
  it("says who sends it, from where, and which attempt it is", () => {
    const text = requestText({
      method: "POST",
      path: "/x",
      token: "t",
      address: "10.0.0.1",
      requestId: "attempt-1",
    });
    assert.match(text, /^POST \/x HTTP\/1\.1\r\n/);
    assert.match(text, /\r\nX-Forwarded-For: 10\.0\.0\.1\r\n/);
    assert.match(text, /\r\nAuthorization: Bearer t\r\n/);
    assert.match(text, /\r\nX-Request-Id: attempt-1\r\n/);
    assert.match(text, /\r\nContent-Length: 0\r\n\r\n$/);
  });

  it("is answered by a whole answer only", () => {
    const text = "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";
    assert.equal(parseAnswer(text)?.status, 202);
    assert.equal(parseAnswer(text)?.body, "{}");
    assert.equal(parseAnswer(text.slice(0, -1)), undefined);
  });
});
