import assert from "node:assert/strict";
import { aimResults, cpuOf, verdictOf } from "../../scripts/bench/sale/aims.ts";
import { CrowdEar, percentilesOf } from "../../scripts/bench/sale/crowd-ear.ts";
import { loadReportOf } from "../../scripts/bench/sale/load-report.ts";
import { readOptions } from "../../scripts/bench/sale/options.ts";
import { logLines, niceCeiling, picture, stackedBars } from "../../scripts/bench/sale/plot.ts";
import { markdownOf, plotOf } from "../../scripts/bench/sale/report.ts";
import type { SaleBenchResult } from "../../scripts/bench/sale/result.ts";
import type { SaleSample, Samples } from "../../scripts/bench/sale/sample.ts";

function sample(cpuUs: Record<string, number>, more: Partial<SaleSample> = {}): SaleSample {
  const window = { fromUs: 0, untilUs: 1 };
  return { units: 100, perSecond: 1_000, cpuUs, window, load1: 0.5, ...more };
}

function result(samples: Samples): SaleBenchResult {
  return {
    takenAt: "2026-01-01T00:00:00.000Z",
    machine: "a machine",
    software: "software",
    conditions: ["a condition"],
    guards: ["a guard"],
    rounds: 1,
    loads: [0.5],
    idleUsPerS: {},
    memoryMib: { before: { edge: 100 }, after: { edge: 150 } },
    samples,
    big: [{ ...sample({ edge: 77 }), soldBefore: 0 }],
  };
}

const times = (p99Ms: number) => ({
  ...{ count: 10, p50Ms: 1, p95Ms: 2, p999Ms: 2 * p99Ms, maxMs: 3 * p99Ms },
  p99Ms,
});

describe("the figures of the sale's benchmark", () => {
  it("counts every process but the load generator", () => {
    assert.equal(cpuOf(sample({ edge: 50, mysql: 30, crowd: 1_000 })), 80);
    assert.equal(cpuOf(sample({ edge: 50, mysql: 30 }), ["edge"]), 50);
  });

  it("divides each round by its own floor, and says what was reached", () => {
    const aims = aimResults({
      sale: [sample({ edge: 30, mysql: 30 }), sample({ edge: 50, mysql: 50 })],
      floorSale: [sample({ gateway: 50 }), sample({ gateway: 50 })],
    });
    const cpu = aims.find(({ text }) => text.startsWith("CPU of all processes per complete order"));
    assert.deepEqual([cpu?.min, cpu?.median, cpu?.max], [1.2, 1.6, 2]);
    assert.equal(cpu?.verdict, "sound");
  });

  it("leaves out an aim whose floor was not measured", () => {
    assert.deepEqual(aimResults({ sale: [sample({ edge: 1 })] }), []);
  });

  it("takes a level for reached only when every round reached it", () => {
    const lower = (min: number, median: number, max: number) =>
      verdictOf({ min, median, max }, [2, 1.4, 1.15], false);
    assert.equal(lower(1, 1.1, 1.15), "moonshot");
    assert.equal(lower(1, 1.1, 1.3), "moonshot, not in every round");
    assert.equal(lower(1.5, 1.6, 2), "sound");
    assert.equal(lower(1.5, 2.1, 2.2), "missed");
    const higher = (min: number, median: number, max: number) =>
      verdictOf({ min, median, max }, [0.5, 0.75, 0.9], true);
    assert.equal(higher(0.9, 1, 1.2), "moonshot");
    assert.equal(higher(0.4, 0.6, 1), "sound, not in every round");
    assert.equal(higher(0.1, 0.2, 0.8), "missed");
  });

  it("takes percentiles between neighbours", () => {
    const { p50Ms, p99Ms, maxMs, count } = percentilesOf([4, 1, 3, 2]);
    assert.deepEqual([p50Ms, maxMs, count], [2.5, 4, 4]);
    assert.ok(p99Ms > 3.9 && p99Ms < 4);
    assert.ok(Number.isNaN(percentilesOf([]).p50Ms));
  });
});

describe("what a crowd hears", () => {
  const answer = (status: number, body: string) => ({ status, head: "", body });
  const promise = (id: string) =>
    answer(202, `{"code":0,"message":"OK","data":{"order_id":"${id}","status":"queued"}}`);

  it("tells promises, tickets and refusals apart, and notices a promise made twice", () => {
    const ear = new CrowdEar();
    ear.begin();
    assert.equal(ear.hear(promise("11"), 5), "queued");
    assert.equal(ear.hear(promise("12"), 7), "queued");
    assert.equal(ear.hear(promise("11"), 9), "queued");
    const ticket = '{"code":0,"message":"OK","data":{"ticket":"t_1","status":"waiting"}}';
    assert.equal(ear.hear(answer(202, ticket), 300), "waiting");
    const refusal = '{"code":40903,"error":"SECKILL_SOLD_OUT","message":"No."}';
    assert.equal(ear.hear(answer(409, refusal), 1), "SECKILL_SOLD_OUT");
    const has = '{"code":1,"error":"SECKILL_ALREADY_PURCHASED","details":{"order_id":"11"}}';
    assert.equal(ear.hear(answer(409, has), 1), "SECKILL_ALREADY_PURCHASED");
    assert.equal(ear.miss(), "no answer");
    const heard = ear.tell();
    assert.equal(heard.promisedTwice, 1);
    assert.equal(heard.winners.count, 3);
    assert.equal(heard.losers.count, 3);
    assert.deepEqual(heard.answers, {
      ...{ queued: 3, waiting: 1, SECKILL_SOLD_OUT: 1 },
      ...{ SECKILL_ALREADY_PURCHASED: 1, "no answer": 1 },
    });
  });
});

describe("the options of the sale's benchmark", () => {
  it("writes the reports of a whole run only", () => {
    assert.equal(readOptions([], "docs").out, "docs");
    assert.equal(readOptions([], "docs").rounds, 5);
    for (const short of [["--quick"], ["--only", "sale"], ["--profile"], ["--size", "tiny"]]) {
      assert.equal(readOptions(short, "docs").out, "", short.join(" "));
      assert.equal(readOptions(short, "docs").rounds, 1, short.join(" "));
    }
    assert.equal(readOptions(["--quick", "--out", "here"], "docs").out, "here");
  });

  it("runs the chosen cases in the order of a round", () => {
    assert.deepEqual(readOptions(["--only", "sale,bare512"], "").only, ["bare512", "sale"]);
  });

  it("refuses what it does not know", () => {
    assert.throws(() => readOptions(["--only", "sail"], ""), RangeError);
    assert.throws(() => readOptions(["--size", "huge"], ""), RangeError);
    for (const rounds of ["0", "51", "1.5", "many"]) {
      assert.throws(() => readOptions(["--rounds", rounds], ""), RangeError, rounds);
    }
  });
});

describe("the report of the sale's benchmark", () => {
  const measured = result({
    bare512: [sample({ floor: 20 })],
    floorSale: [sample({ gateway: 40 })],
    sale: [
      sample(
        { edge: 50, crowd: 30 },
        { sellOutMs: 100, answers: { queued: 99, waiting: 1 }, winners: times(20) },
      ),
    ],
    calm: [sample({ edge: 60 }, { ratePerS: 500, winners: times(12), losers: times(4) })],
    floorCalm: [sample({ gateway: 60 }, { ratePerS: 700, winners: times(6) })],
  });

  it("shows aims, guards, figures, times and the big sale", () => {
    const text = markdownOf(measured);
    assert.match(
      text,
      /\| gateway \+ admission CPU .* \| 2\.50 \| 2\.50–2\.50 \| 3\.5 \/ 2\.8 \/ 2\.3 \| stretch \|/,
    );
    assert.match(text, /\| p99 of winners .* \| 2\.00 \| 2\.00–2\.00 \| 3 \| sound \|/);
    assert.match(text, /- a guard/);
    assert.match(text, /queued 99, waiting 1/);
    assert.match(text, /500 requests a second \| 1\.00 \| 2\.00 \| 12\.0/);
    assert.match(text, /\| 0 \| 1000 \| 77\.0 \|/);
  });

  it("tells the success rate and the busiest process", () => {
    const text = loadReportOf(measured);
    assert.match(text, /purchases at the peak, 512 connections .* 99\.00 % \| 50\.0 \|/);
    assert.match(text, /The busiest process of the platform is \*\*edge\*\*/);
  });

  it("draws bars as long as what they stand for, and escapes what it writes", () => {
    const bars = stackedBars({ title: "a < b & c", unit: "µs" }, [
      { name: "one", parts: [{ name: "x", value: 100 }] },
      { name: "two", parts: [{ name: "x", value: 50 }] },
    ]);
    const widths = [...bars.matchAll(/width="(\d+\.\d)" height="6/g)].map(([, width]) =>
      Number(width),
    );
    assert.equal(widths.length, 2);
    assert.equal(widths[0], 2 * (widths[1] ?? 0));
    assert.match(bars, /a &lt; b &amp; c/);
  });

  it("draws larger times higher, and no point for nothing", () => {
    const points = [
      { x: "p50", y: 1 },
      { x: "p99", y: 100 },
      { x: "max", y: Number.NaN },
    ];
    const lines = logLines({ title: "t", unit: "ms" }, [{ name: "l", points }]);
    const drawn = (/points="([^"]*)"/.exec(lines)?.[1] ?? "").split(" ");
    const heights = drawn.map((point) => Number(point.split(",")[1]));
    assert.equal(heights.length, 2);
    assert.ok((heights[0] ?? 0) > (heights[1] ?? 0), "y grows downwards");
  });

  it("rounds an axis up to 1, 2 or 5", () => {
    assert.deepEqual([0.7, 11, 21, 99, 100].map(niceCeiling), [1, 20, 50, 100, 100]);
  });

  it("makes one picture of both panels", () => {
    const text = plotOf(measured);
    assert.ok(text.startsWith("<svg ") && text.trimEnd().endsWith("</svg>"));
    assert.ok(!text.includes("NaN"));
    assert.equal(picture([]).includes("<g "), false);
  });
});
