// What a node tells of itself: rates and times of a moving window, circuits, queues.
import assert from "node:assert/strict";
import { createCommitQueue } from "../../mixins/database/commit-queue.ts";
import { allQueueFigures } from "../../mixins/database/queue-figures.ts";
import { createMetrics } from "../../mixins/metrics/metrics.ts";
import { createNodeReporter } from "../../mixins/metrics/node-report.ts";
import { createRecentCalls } from "../../mixins/metrics/recent-calls.ts";
import { PlatformError } from "../../services/contracts/errors.ts";

const SLOTS = 12;

describe("recent calls", () => {
  it("adds up a window and forgets what is older", () => {
    const calls = createRecentCalls();
    calls.count("a", 5, 1);
    calls.turn();
    calls.count("a", 3, 0);
    assert.deepEqual(
      calls.busiest(9).map(({ name, calls: all, failures }) => [name, all, failures]),
      [["a", 8, 1]],
    );
    for (let turn = 0; turn < SLOTS - 1; turn += 1) calls.turn();
    assert.deepEqual(
      calls.busiest(9).map(({ calls: all }) => all),
      [3],
    );
    calls.turn();
    assert.deepEqual(calls.busiest(9), []);
  });

  it("gives the bound of the bucket that a share of the calls falls in", () => {
    const calls = createRecentCalls();
    for (let call = 0; call < 98; call += 1) calls.observe("a", 4);
    calls.observe("a", 150);
    calls.observe("a", 60_000);
    const [figures] = calls.busiest(1);
    assert.deepEqual([figures?.p50Ms, figures?.p99Ms], [5, 200]);
  });

  it("shows the busiest names", () => {
    const calls = createRecentCalls();
    for (const [name, count] of [
      ["few", 1],
      ["most", 9],
      ["some", 4],
    ] as const) {
      calls.count(name, count, 0);
    }
    assert.deepEqual(
      calls.busiest(2).map(({ name }) => name),
      ["most", "some"],
    );
  });
});

describe("a node's report", () => {
  it("tells rates by route and action, and which of them are the platform's fault", () => {
    let nowMs = 0;
    const metrics = createMetrics();
    const clock = { now: () => 0, monotonic: () => nowMs };
    const reporter = createNodeReporter({ metrics, clock, pools: () => new Map() });
    for (const [status, count] of [
      [201, 30],
      [409, 10],
      [503, 10],
    ] as const) {
      metrics.increment("app_http_requests_total", { route: "POST /orders", status }, count);
    }
    metrics.increment("moleculer_req_total", { action: "order.place" }, 50);
    metrics.increment("moleculer_req_errors_total", { action: "order.place", errorCode: 409 });
    nowMs = 5_000;
    const { routes, actions, window_s: windowS } = reporter.report();
    assert.equal(windowS, 5);
    assert.deepEqual(
      routes.map(({ name, per_s, failures_per_s }) => [name, per_s, failures_per_s]),
      [["POST /orders", 10, 2]],
    );
    assert.deepEqual(
      actions.map(({ name, failures_per_s }) => [name, failures_per_s]),
      [["order.place", 0]],
    );
  });

  it("names the circuits that are open now", () => {
    const metrics = createMetrics();
    const clock = { now: () => 0, monotonic: () => 0 };
    const reporter = createNodeReporter({ metrics, clock, pools: () => new Map() });
    metrics.circuit("order.place on core", true);
    metrics.circuit("user.login on core", true);
    metrics.circuit("order.place on core", false);
    assert.deepEqual(reporter.report().open_circuits, ["user.login on core"]);
  });
});

describe("the figures of group commits", () => {
  it("count commits, their commands and what waits, under the queue's name", async () => {
    const queue = createCommitQueue<number, undefined>({
      name: "test.figures",
      batchSizeMax: 10,
      queueLengthMax: 10,
      commit: (commands) =>
        commands.includes(13)
          ? Promise.reject(new PlatformError("SERVICE_UNAVAILABLE"))
          : Promise.resolve(commands.map(() => undefined)),
    });
    const figures = () => ({ ...allQueueFigures().get("test.figures") });
    const all = [queue.submit(1), queue.submit(2)];
    assert.equal(figures().waiting, 2);
    await Promise.all(all);
    await queue.submit(13).catch(() => undefined);
    assert.deepEqual(figures(), { waiting: 0, flushed: 1, failed: 1, commands: 2 });
  });
});
