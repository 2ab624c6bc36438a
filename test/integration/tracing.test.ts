// What becomes of a batch of events in the trace backend: one span, in one trace, linked to the others.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { ServiceBroker } from "moleculer";
import { createConsumerSpans } from "../../mixins/tracing/consumer-spans.ts";
import { createJaegerExporter } from "../../mixins/tracing/jaeger-exporter.ts";
import { formatTraceparent, type TraceParent } from "../../mixins/tracing/traceparent.ts";
import { must } from "../../services/kernel/assert.ts";
import { eventually } from "../support/eventually.ts";
import { JaegerCollector } from "../support/jaeger-collector.ts";

const EXPORT_TIMEOUT_MS = 5_000;

function producer(isSampled = true): TraceParent {
  return {
    traceId: randomBytes(16).toString("hex"),
    parentId: randomBytes(8).toString("hex"),
    isSampled,
  };
}

const deliveryOf = (parent: TraceParent, requestId: string) => ({
  origin: { traceparent: formatTraceparent(parent), requestId },
});

describe("spans of consumers", () => {
  const collector = new JaegerCollector();
  let broker: ServiceBroker;

  before(async () => {
    const exporter = createJaegerExporter(await collector.start());
    broker = new ServiceBroker({
      logger: false,
      tracing: { enabled: true, exporter: exporter as unknown as "Jaeger" },
    });
    await broker.start();
  });

  after(async () => {
    await broker.stop();
    collector.stop();
  });

  it("stand in the trace of the first sampled event and follow from the others, each once", async () => {
    const [unsampled, first, second] = [producer(false), producer(), producer()];
    const spans = must(createConsumerSpans(broker.tracer, "inventory-worker"), "a traced process");
    const batch = [
      deliveryOf(unsampled, "request-0"),
      deliveryOf(first, "request-1"),
      deliveryOf(second, "request-2"),
      deliveryOf(first, "request-1"),
      deliveryOf(second, "request-2"),
    ];
    const { span, lead } = must(spans.start("order.paid.v1", batch), "a span");
    assert.equal(lead, batch[1]);
    span.finish();
    const seen = await eventually(
      () => collector.spans.find(({ name }) => name === "consume order.paid.v1"),
      { timeoutMs: EXPORT_TIMEOUT_MS, what: "the collector has the span" },
    );
    assert.equal(seen.service, "inventory-worker");
    assert.equal(seen.traceId, first.traceId);
    assert.equal(seen.parentId, first.parentId);
    assert.deepEqual(seen.follows, [{ traceId: second.traceId, spanId: second.parentId }]);
    assert.equal(seen.tags["span.kind"], "consumer");
    assert.equal(seen.tags["request_id"], "request-1");
  });

  it("follow from all requests that share an event", async () => {
    const [lead, other, untraced, next] = [producer(), producer(), producer(false), producer()];
    const spans = must(createConsumerSpans(broker.tracer, "order-worker"), "a traced process");
    const shared = {
      ...deliveryOf(lead, "request-1").origin,
      links: [other, untraced, lead].map(formatTraceparent),
    };
    const batch = [{ origin: shared }, deliveryOf(next, "request-2")];
    must(spans.start("seckill.admitted.v1", batch), "a span").span.finish();
    const seen = await eventually(
      () => collector.spans.find(({ name }) => name === "consume seckill.admitted.v1"),
      { timeoutMs: EXPORT_TIMEOUT_MS, what: "the collector has the span" },
    );
    assert.equal(seen.traceId, lead.traceId);
    const followed = [other, next].map(({ traceId, parentId }) => ({ traceId, spanId: parentId }));
    assert.deepEqual(seen.follows, followed);
  });

  it("are not made for events that nobody traces", () => {
    const spans = must(createConsumerSpans(broker.tracer, "inventory-worker"), "a traced process");
    assert.equal(spans.start("order.paid.v1", [deliveryOf(producer(false), "r")]), undefined);
    assert.equal(spans.start("order.paid.v1", [{ origin: {} }]), undefined);
  });

  it("are not made in a process that does not trace", () => {
    const untraced = new ServiceBroker({ logger: false });
    assert.equal(createConsumerSpans(untraced.tracer, "inventory-worker"), undefined);
  });
});
