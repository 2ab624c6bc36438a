import assert from "node:assert/strict";
import type { Sample } from "../../scripts/bench/measure.ts";
import { ClosedLoop } from "../../scripts/bench/closed-loop.ts";
import { parseAnswer, requestText } from "../../scripts/bench/http-socket.ts";
import { readOptions } from "../../scripts/bench/options.ts";
import { cpuBetween } from "../../scripts/bench/process-cpu.ts";
import { type BenchResult, markdownOf, ratiosOf } from "../../scripts/bench/report.ts";
import { packageOf, selfTimes } from "../../scripts/bench/self-times.ts";
import { ratioOf, spreadOf } from "../../scripts/bench/statistics.ts";

const CASES = [
  ...["bare", "minimal", "product", "token", "orderRead", "place", "complete"],
  ...["floorPlace", "floorPlaceGrouped", "floorComplete", "floorCompleteGrouped"],
  ...["groupedHot", "singleHot", "groupedSpread", "singleSpread"],
];

function sample(cpuUs: Record<string, number>): Sample {
  const rates = { perSecond: 1_000, p50Ms: 1, p99Ms: 2, commits: 1, fsyncs: 1, statements: 1 };
  return { ...rates, cpuUs, fromUs: 0, untilUs: 1 };
}

function result(samples: Record<string, readonly Sample[]>, rounds = 1): BenchResult {
  const others = Array.from({ length: rounds }, () => sample({ floor: 100 }));
  const filled = CASES.map((name) => [name, samples[name] ?? others]);
  return {
    takenAt: "2026-01-01T00:00:00.000Z",
    machine: "a machine",
    software: "software",
    conditions: [],
    idleUsPerS: { mysql: 10_000 },
    rows: [{ table: "order.orders", product: 1, floor: 1 }],
    samples: Object.fromEntries(filled) as BenchResult["samples"],
  };
}

describe("the benchmark's figures", () => {
  it("takes the median between the two middle values", () => {
    assert.deepEqual(spreadOf([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 });
    assert.deepEqual(spreadOf([7]), { median: 7, min: 7, max: 7 });
  });

  it("divides each round by the floor of the same round", () => {
    assert.deepEqual(ratioOf([20, 60], [10, 20]), { median: 2.5, min: 2, max: 3 });
    assert.throws(() => ratioOf([1, 2], [1]));
  });

  it("counts the CPU time of threads that began in between, and of none that has ended", () => {
    const before = new Map([
      ["1", 100],
      ["2", 50],
    ]);
    const after = new Map([
      ["1", 130],
      ["3", 7],
    ]);
    assert.equal(cpuBetween(before, after), 37);
  });

  it("adds up the product's processes and takes the idle database off the floor alone", () => {
    const ratios = ratiosOf(
      result({
        place: [sample({ edge: 100, mysql: 50 })],
        floorPlace: [sample({ floor: 40, mysql: 20 })],
      }),
    );
    const placing = ratios.find(({ text }) => text === "placing an order / T (all processes)");
    // 10,000 us a second over 1,000 orders a second are 10 us an order.
    assert.equal(placing?.median, 3);
    assert.equal(placing.verdict, "missed");
  });

  it("calls an aim reached only when no round is above it", () => {
    const reads = (second: number) => {
      const product = [sample({ edge: 120 }), sample({ edge: second })];
      return ratiosOf(result({ product }, product.length))[0]?.verdict;
    };
    assert.equal(reads(130), "stretch");
    assert.equal(reads(170), "sound");
    assert.equal(reads(190), "sound, not in every round");
    assert.equal(reads(250), "missed, not in every round");
  });

  it("shows every case and the rows it compared", () => {
    const text = markdownOf(result({}));
    for (const name of CASES) assert.match(text, new RegExp(`\\| ${name} \\|`));
    assert.match(text, /\| order\.orders \| 1\.00 \| 1\.00 \|/);
  });
});

describe("the benchmark's load", () => {
  it("knows when an answer is whole, by length or by its last chunk", () => {
    const head = "HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\n";
    assert.equal(parseAnswer(head.slice(0, 30)), undefined);
    assert.equal(parseAnswer(`${head}abc`), undefined);
    const { status, body } = parseAnswer(`${head}abcd`) ?? {};
    assert.deepEqual({ status, body }, { status: 201, body: "abcd" });
    const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd";
    assert.equal(parseAnswer(chunked), undefined);
    assert.equal(parseAnswer(`${chunked}\r\n0\r\n\r\n`)?.status, 200);
    assert.deepEqual(parseAnswer("HTTP/1.1 204 No Content\r\n\r\n"), {
      status: 204,
      head: "HTTP/1.1 204 No Content",
      body: "",
    });
  });

  it("sends a body with its length and a POST without one as empty", () => {
    const place = { method: "POST", path: "/orders", address: "10.0.0.1" };
    assert.match(requestText({ ...place, body: { a: 1 } }), /Content-Length: 7\r\n\r\n\{"a":1\}$/);
    assert.match(requestText(place), /Content-Length: 0\r\n\r\n$/);
    assert.doesNotMatch(requestText({ ...place, method: "GET" }), /Content-Length/);
  });

  it("counts units and failures between marks and gives up after too many failures", async () => {
    let left = 3;
    const loop = new ClosedLoop(async () => {
      await Promise.resolve();
      left -= 1;
      if (left < 0) throw new Error("sold out");
    });
    loop.start(1);
    await new Promise(setImmediate);
    const tally = loop.mark();
    assert.deepEqual([tally.units, tally.failures, tally.failure], [3, 20, "Error: sold out"]);
    assert.equal(loop.mark().units, 0);
    await loop.stop();
  });

  it("refuses figures that would never end, and keeps short runs out of the documents", () => {
    assert.throws(() => readOptions(["--rounds", "0"], "docs"), RangeError);
    assert.throws(() => readOptions(["--seconds", "1e9"], "docs"), RangeError);
    assert.equal(readOptions([], "docs").out, "docs");
    assert.equal(readOptions(["--quick"], "docs").out, "");
  });
});

describe("the benchmark's profile", () => {
  it("names the package a function belongs to", () => {
    const ioredis = "file:///x/node_modules/ioredis/built/Redis.js";
    assert.equal(packageOf(ioredis, "sendCommand"), "ioredis");
    assert.equal(packageOf("file:///x/node_modules/@a/b/c.js", "f"), "@a/b");
    assert.equal(packageOf("file:///x/services/gateway/request.ts", "read"), "services/gateway");
    assert.equal(packageOf("node:net", "write"), "node");
    assert.equal(packageOf("", "writeUtf8String"), "(native)");
  });

  it("counts the samples of the asked time alone, and no idle ones", () => {
    const node = (id: number, functionName: string) => ({
      id,
      callFrame: { functionName, url: "node:net", lineNumber: 0 },
    });
    const profile = {
      nodes: [node(1, "(idle)"), node(2, "write")],
      startTime: 1_000,
      samples: [2, 2, 1, 2],
      timeDeltas: [10, 20, 40, 80],
    };
    const times = selfTimes(profile, { fromUs: 1_020, untilUs: 1_100 });
    assert.equal(times.busyUs, 20);
    assert.deepEqual([...times.byPackage], [["node", 20]]);
  });
});
