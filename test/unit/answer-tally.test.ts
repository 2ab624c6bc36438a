// Answers given before the router are counted one by one and told to the metrics together.
import assert from "node:assert/strict";
import { createMetrics } from "../../mixins/metrics/metrics.ts";
import { createAnswerTally, type QuickAnswer } from "../../services/gateway/answer-tally.ts";

const ANSWERS = 40;

function tally(isLogging = false) {
  const metrics = createMetrics();
  const told: string[] = [];
  const lines: unknown[] = [];
  let measured = 0;
  metrics.attach((name, _method, labels, value) => {
    if (name === "app_http_request_duration_ms") measured += 1;
    else told.push(`${name} ${String(labels?.["route"])} ${String(labels?.["status"])} ${value}`);
  });
  const log = { info: (fields: object) => void lines.push(fields) };
  const tell = createAnswerTally({ metrics, log, isLogging });
  const answered = (change: Partial<QuickAnswer>): void => {
    const answer = { method: "POST", route: "POST /orders", status: 503, requestId: "r" };
    tell({ ...answer, userId: undefined, durationMs: 1.6, ...change });
  };
  return { metrics, answered, told, lines, measured: () => measured };
}

describe("answers given before the router", () => {
  it("are counted by route and status, each once, when the metrics are collected", () => {
    const { metrics, answered, told } = tally();
    for (let n = 0; n < ANSWERS; n += 1) answered({});
    answered({ status: 429 });
    answered({ route: "GET /products", method: "GET" });
    assert.deepEqual(told, []);
    metrics.collect();
    const name = "app_http_requests_total";
    assert.deepEqual(told, [
      `${name} POST /orders 503 ${String(ANSWERS)}`,
      `${name} POST /orders 429 1`,
      `${name} GET /products 503 1`,
    ]);
    metrics.collect();
    assert.equal(told.length, 3, "told again");
  });

  it("have their durations measured now and then", () => {
    const { answered, measured } = tally();
    for (let n = 0; n < ANSWERS; n += 1) answered({});
    assert.ok(measured() > 0 && measured() < ANSWERS / 2, String(measured()));
  });

  it("have a line in the log when every request has one", () => {
    tally().answered({});
    const { answered, lines } = tally(true);
    answered({ userId: "7" });
    const line = { method: "POST", route: "POST /orders", status: 503, duration_ms: 2 };
    assert.deepEqual(lines, [{ request_id: "r", trace_id: undefined, user_id: "7", ...line }]);
  });
});
