// When a node stops calling an action of another node, and when it calls it again.
import assert from "node:assert/strict";
import { type Context, ServiceBroker } from "moleculer";
import { isNodeFailure } from "../../mixins/resilience/middlewares.ts";
import { remoteBreakerMiddleware } from "../../mixins/resilience/remote-breaker.middleware.ts";
import { PlatformError } from "../../services/contracts/errors.ts";
import { eventually } from "../support/eventually.ts";

const CALLS_MIN = 4;
const HALF_OPEN_MS = 100;
const TRIAL = { timeoutMs: 10_000, what: "a trial is let through" };
const ACTION = { name: "order.place", service: { fullName: "order" } };

type Wrapping = "localAction" | "remoteAction";

/** An action of a node called "core" as this node calls it, or as core itself does. */
function calledOver(wrapping: Wrapping, answer: () => Promise<unknown>) {
  const broker = new ServiceBroker({
    logger: false,
    internalMiddlewares: false,
    middlewares: [remoteBreakerMiddleware()],
    circuitBreaker: {
      enabled: true,
      threshold: 0.5,
      minRequestCount: CALLS_MIN,
      windowTime: 60,
      halfOpenTime: HALF_OPEN_MS,
      check: isNodeFailure,
    },
  });
  const endpoint = { name: "core:order.place", id: "core", state: true, action: ACTION };
  const middlewares = broker.middlewares as unknown as {
    wrapHandler(
      name: Wrapping,
      handler: () => Promise<unknown>,
      action: object,
    ): (ctx: Context) => Promise<unknown>;
  };
  const handler = middlewares.wrapHandler(wrapping, answer, ACTION);
  const ctx = { endpoint, nodeID: "edge" } as unknown as Context;
  return { endpoint, call: () => handler(ctx) };
}

/** The answers of a node that does not answer in time, then of one that does. */
function answersOf(later: () => Promise<unknown>): () => Promise<unknown> {
  let calls = 0;
  return async () => {
    calls += 1;
    if (calls > CALLS_MIN) return await later();
    throw Object.assign(new Error("no answer in time"), { code: 504, nodeID: "edge" });
  };
}

async function timeOut(call: () => Promise<unknown>): Promise<void> {
  for (let time = 0; time < CALLS_MIN; time += 1) await assert.rejects(call(), /no answer in time/);
}

describe("the circuit breaker between nodes", () => {
  it("stops calling a node that does not answer, and calls it again when it does", async () => {
    const { endpoint, call } = calledOver(
      "remoteAction",
      answersOf(() => Promise.resolve("yes")),
    );
    await timeOut(call);
    assert.equal(endpoint.state, false);
    await eventually(() => endpoint.state, TRIAL);
    assert.equal(await call(), "yes");
    assert.equal(endpoint.state, true);
  });

  it("takes a refusal for an answer", async () => {
    const refuse = () => Promise.reject(new PlatformError("INVENTORY_OUT_OF_STOCK"));
    const { endpoint, call } = calledOver("remoteAction", answersOf(refuse));
    await timeOut(call);
    await eventually(() => endpoint.state, TRIAL);
    await assert.rejects(call(), { type: "INVENTORY_OUT_OF_STOCK" });
    assert.equal(endpoint.state, true);
  });

  it("lets a node call itself whatever its own actions answer", async () => {
    const { endpoint, call } = calledOver(
      "localAction",
      answersOf(() => Promise.resolve("yes")),
    );
    await timeOut(call);
    assert.equal(endpoint.state, true);
  });
});
