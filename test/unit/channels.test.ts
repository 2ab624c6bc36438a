import assert from "node:assert/strict";
import { decodeEnvelope, decodeMessage, encodeEvent } from "../../mixins/channels/envelope.ts";
import { groupDeliveries } from "../../mixins/channels/delivery.ts";
import { CHANNEL_LIMITS } from "../../mixins/channels/limits.ts";
import type { StreamMessage } from "../../mixins/channels/stream-message.ts";
import { Alarm } from "../../mixins/channels/timing.ts";
import { consumerConfigs, streamConfig, subscriptionOf } from "../../mixins/channels/topology.ts";
import type { Transaction } from "../../mixins/database/database.ts";
import { runInContext } from "../../mixins/context.ts";
import { appendEvents } from "../../mixins/outbox/outbox.ts";
import type { OutboxRow } from "../../mixins/outbox/outbox.repository.ts";
import { formatTraceparent, TRACE_LINKS_MAX } from "../../mixins/tracing/traceparent.ts";
import { pollDelayMs } from "../../mixins/outbox/outbox-relay.ts";
import type { NewEvent } from "../../services/contracts/events.ts";

const payload = { product_id: "11", version: 3 };
const changed: NewEvent = {
  name: "product.changed.v1",
  aggregateId: "11",
  aggregateVersion: 3,
  payload,
};

/** A trace context of its own for every number. */
function contextOf(at: number): string {
  const parentId = String(at + 1).padStart(16, "0");
  return formatTraceparent({ traceId: parentId.padStart(32, "a"), parentId, isSampled: true });
}

function outboxRow(fields: Partial<OutboxRow> = {}): OutboxRow {
  return {
    id: "42",
    name: "product.changed.v1",
    aggregateId: "11",
    aggregateVersion: 3,
    payload: JSON.stringify(payload),
    traceparent: null,
    traceLinks: null,
    requestId: null,
    createdAt: new Date("2026-01-02T03:04:05.678Z"),
    publishCount: 0,
    ...fields,
  };
}

function delivery(row: OutboxRow, deliveryCount = 1): StreamMessage {
  const { data, headers } = encodeEvent("product", row);
  return {
    stream: "shop_product",
    sequence: 1,
    deliveryCount,
    text: () => data,
    header: (name) => headers.get(name) || undefined,
    ack: () => undefined,
    nak: () => undefined,
    term: () => undefined,
    working: () => undefined,
  };
}

describe("appending events", () => {
  const recorder = (): { tx: Transaction; calls: unknown[] } => {
    const calls: unknown[] = [];
    const run = (_statement: unknown, params: unknown): Promise<unknown> => {
      calls.push(params);
      return Promise.resolve({ affectedRows: 1, insertId: "1" });
    };
    return { tx: { kind: "transaction", run } as unknown as Transaction, calls };
  };

  it("writes all events in one statement with the request they belong to", async () => {
    const { tx, calls } = recorder();
    await runInContext({ requestId: "req-1", traceparent: "00-a-b-01" }, () =>
      appendEvents(tx, [changed, changed]),
    );
    const fact = ["product.changed.v1", "11", 3, JSON.stringify(payload)];
    const row = [...fact, "00-a-b-01", null, "req-1"];
    assert.deepEqual(calls, [[[row, row]]]);
  });

  it("names the other traced requests of a shared commit, as many as its column holds", async () => {
    const { tx, calls } = recorder();
    const links = Array.from({ length: TRACE_LINKS_MAX + 1 }, (_, at) => contextOf(at));
    await runInContext({ requestId: "req-1", traceparent: contextOf(99), links }, () =>
      appendEvents(tx, [changed]),
    );
    const [[[row]]] = calls as [[[readonly unknown[]]]];
    const kept = links.slice(0, TRACE_LINKS_MAX).join(",");
    assert.equal(row[5], kept);
    assert.ok(kept.length <= 1_024, "the column's width");
    const { headers } = encodeEvent("product", outboxRow({ traceLinks: kept }));
    const header = (name: string): string | undefined => headers.get(name) || undefined;
    const decoded = decodeMessage("product.changed.v1", { ...delivery(outboxRow()), header });
    assert.deepEqual(decoded.origin.links, links.slice(0, TRACE_LINKS_MAX));
  });

  it("writes nothing for no events", async () => {
    const { tx, calls } = recorder();
    await appendEvents(tx, []);
    assert.deepEqual(calls, []);
  });

  it("refuses an event that is not as catalogued and stores none of the batch", async () => {
    const { tx, calls } = recorder();
    const wrong = { ...changed, payload: { product_id: "11" } } as unknown as NewEvent;
    await assert.rejects(appendEvents(tx, [changed, wrong]), /version must have required property/);
    assert.deepEqual(calls, []);
  });
});

describe("the event on the wire", () => {
  const faultOf = (text: string): string => {
    const decoded = decodeEnvelope("product.changed.v1", text);
    return typeof decoded === "string" ? decoded : "no fault";
  };

  it("comes out as it went in", () => {
    const { data, headers } = encodeEvent("product", outboxRow({ requestId: "req-1" }));
    assert.deepEqual(decodeEnvelope("product.changed.v1", data), {
      id: "product.42",
      name: "product.changed.v1",
      aggregateId: "11",
      aggregateVersion: 3,
      payload,
      occurredAt: new Date("2026-01-02T03:04:05.678Z"),
    });
    assert.equal(headers.get("Nats-Msg-Id"), "product.42");
    assert.equal(headers.get("x-request-id"), "req-1");
  });

  it("keeps the event's id and changes the message's when it is published again", () => {
    const { data, headers } = encodeEvent("product", outboxRow({ publishCount: 2 }));
    assert.equal(headers.get("Nats-Msg-Id"), "product.42.r2");
    assert.equal((JSON.parse(data) as { event_id: string }).event_id, "product.42");
  });

  it("is refused with a sentence when it is not as catalogued", () => {
    assert.equal(faultOf("nonsense"), "the message is not JSON");
    assert.match(faultOf("{}"), /^the envelope is not/);
    const { data } = encodeEvent("product", outboxRow({ payload: '{"product_id":"11"}' }));
    assert.match(faultOf(data), /^the payload is not.*version/);
  });
});

describe("a pull's deliveries", () => {
  it("are told apart: first ones, repeated and republished ones, unreadable ones", () => {
    const { malformed, groups } = groupDeliveries("product.changed.v1", [
      delivery(outboxRow({ id: "1" })),
      delivery(outboxRow({ id: "2" }), 3),
      delivery(outboxRow({ id: "3", publishCount: 1 })),
      delivery(outboxRow({ id: "4", payload: "{}" })),
      delivery(outboxRow({ id: "5" })),
    ]);
    const ids = groups.map((group) => group.map(({ event }) => event.id));
    assert.deepEqual(ids, [
      ["product.1", "product.5"],
      ["product.2", "product.3"],
    ]);
    assert.deepEqual(
      malformed.map(({ eventId }) => eventId),
      ["product.4"],
    );
  });

  it("hold each event once, with every message of it", () => {
    const { groups } = groupDeliveries("product.changed.v1", [
      delivery(outboxRow()),
      delivery(outboxRow({ publishCount: 1 })),
    ]);
    assert.deepEqual(
      groups.map((group) => group.map(({ messages }) => messages.length)),
      [[2]],
    );
  });
});

describe("streams and consumers", () => {
  it("are named by platform, owner, event and consumer", () => {
    assert.equal(streamConfig("shop", "order").name, "shop_order");
    assert.deepEqual(streamConfig("shop", "order").subjects, ["shop.events.order.>"]);
    assert.deepEqual(subscriptionOf("shop", "order.paid.v1", "inventory"), {
      owner: "order",
      stream: "shop_order",
      durable: "order_paid_v1__inventory",
    });
  });

  it("cover every pair of event and consumer in the catalogue", () => {
    const durables = consumerConfigs("shop", "product").map((config) => config.durable_name);
    assert.deepEqual(durables, [
      "product_created_v1__inventory",
      "product_created_v1__product",
      "product_changed_v1__product",
    ]);
  });
});

describe("the relay's poll", () => {
  it("doubles between its bounds while nothing comes", () => {
    const delays = [0, 1, 2, 3, 4, 1_000].map((turns) => pollDelayMs(CHANNEL_LIMITS.relay, turns));
    assert.deepEqual(delays, [250, 250, 500, 1_000, 1_000, 1_000]);
  });

  it("keeps a wake that comes while nobody waits", async () => {
    const alarm = new Alarm();
    alarm.ring();
    const outcome = await Promise.race([
      alarm.wait(60_000).then(() => "woken"),
      new Promise((resolve) => setImmediate(() => setImmediate(() => resolve("still waiting")))),
    ]);
    assert.equal(outcome, "woken");
  });
});
