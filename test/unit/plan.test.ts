import assert from "node:assert/strict";
import type { SaleSample } from "../../scripts/bench/sale/sample.ts";
import { planSale } from "../../scripts/plan/capacity.ts";

function sale(perSecond: number, cpuUs: Record<string, number>): SaleSample {
  const window = { fromUs: 0, untilUs: 1 };
  const times = { sellOutMs: 1_000, lastOrderMs: 1_200 };
  return { units: 10_000, perSecond, cpuUs, window, load1: 0, ...times };
}

const CPU = { edge: 50, worker: 20, mysql: 40, redis: 5, nats: 4 };
const SAMPLES = {
  sale: [sale(8_000, CPU), sale(10_000, { ...CPU, edge: 40 }), sale(9_000, { ...CPU, edge: 80 })],
  soldOut: [sale(20_000, { edge: 20 }), sale(40_000, { edge: 10 }), sale(30_000, { edge: 40 })],
};

describe("the plan of a sale", () => {
  it("takes the measured rates for one machine that everything runs on", () => {
    const plan = planSale(SAMPLES, { buyers: 39_000, units: 9_000, nodes: 1 });
    assert.deepEqual(plan.admissionRate, { expected: 9_000, low: 8_000, high: 10_000 });
    assert.deepEqual(plan.refusalRate, { expected: 30_000, low: 20_000, high: 40_000 });
    assert.deepEqual(plan.soldOutS, { expected: 1, low: 0.9, high: 1.125 });
    // A second of selling, then 30,000 refusals; the middle of the crowd is refused.
    assert.equal(plan.everybodyAnsweredS.expected, 2);
    assert.equal(plan.medianWaitS.expected, 1 + 10_500 / 30_000);
    assert.match(plan.bottlenecks[0]?.name ?? "", /machine/);
    assert.equal(plan.measuredRateMax, 10_000);
  });

  it("finds the process that has the least room on several nodes", () => {
    const shape = { buyers: 100_000, units: 10_000 };
    const two = planSale(SAMPLES, { ...shape, nodes: 1 + 1 });
    // 0.8 of a core at 40 us an order.
    assert.match(two.bottlenecks[0]?.name ?? "", /database/);
    assert.equal(two.admissionRate.expected, 20_000);
    assert.equal(two.refusalRate.expected, (2 * 800_000) / 20);
    const edge = two.bottlenecks.find(({ name }) => name.includes("edge"));
    assert.deepEqual(edge?.rate, { expected: 32_000, low: 20_000, high: 40_000 });
    const many = planSale(SAMPLES, { ...shape, nodes: 10 });
    assert.equal(many.admissionRate.expected, two.admissionRate.expected);
  });

  it("sells no more than there are buyers, and refuses none of them then", () => {
    const plan = planSale(SAMPLES, { buyers: 900, units: 5_000, nodes: 1 });
    assert.equal(plan.soldOutS.expected, 0.1);
    assert.equal(plan.everybodyAnsweredS.expected, 0.1);
  });

  it("adds the measured delay of the last order, in proportion for a smaller sale", () => {
    const whole = planSale(SAMPLES, { buyers: 20_000, units: 10_000, nodes: 1 });
    assert.ok(Math.abs(whole.lastOrderS.expected - whole.soldOutS.expected - 0.2) < 1e-9);
    const small = planSale(SAMPLES, { buyers: 20_000, units: 1_000, nodes: 1 });
    assert.ok(Math.abs(small.lastOrderS.expected - small.soldOutS.expected - 0.02) < 1e-9);
  });

  it("counts who finds the gateways full", () => {
    const shape = { buyers: 20_000, units: 10 };
    assert.equal(planSale(SAMPLES, { ...shape, nodes: 1 }).toldToComeBack, 20_000 - 8_192);
    assert.equal(planSale(SAMPLES, { ...shape, nodes: 3 }).toldToComeBack, 0);
  });

  it("says what is missing when the benchmark measured no sale", () => {
    assert.throws(() => planSale({}, { buyers: 1, units: 1, nodes: 1 }), RangeError);
  });
});
