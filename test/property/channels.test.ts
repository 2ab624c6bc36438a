import assert from "node:assert/strict";
import fc from "fast-check";
import type { Channels } from "../../mixins/channels/channels.ts";
import { sql } from "../../mixins/database/database.ts";
import { type ChannelBench, channelBench, range, recordEffects } from "../support/channels.ts";
import { eventually } from "../support/eventually.ts";

const RUNS = 25;
const STEPS_MAX = 12;
const WAIT_MS = 15_000;
/** Below the tries after which an event is a dead letter. */
const REFUSALS_PER_EVENT_MAX = 5;

type Step =
  | { readonly kind: "pay"; readonly count: number }
  | { readonly kind: "republish" }
  | { readonly kind: "refuse"; readonly times: number }
  | { readonly kind: "lose-ack"; readonly times: number }
  | { readonly kind: "restart-consumer" }
  | { readonly kind: "restart-relay" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("pay"), count: fc.integer({ min: 1, max: 40 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("republish") }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("refuse"), times: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("lose-ack"), times: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart-consumer") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart-relay") }) },
);

const OUTBOX_IDS = sql("test.outbox-ids", "SELECT id FROM outbox ORDER BY id DESC LIMIT 500");

describe("events under any interleaving", function () {
  this.timeout(120_000);
  let bench: ChannelBench;
  let relay: Channels;
  let consumers: Channels;
  const refused = new Map<string, number>();
  let refusals = 0;
  let lostAcks = 0;
  let lastOrder = 0;

  const openConsumers = async (): Promise<Channels> =>
    await bench.startConsumers(
      {
        event: "order.paid.v1",
        async apply(tx, events) {
          await recordEffects(tx, events);
          const often = events.some(({ id }) => (refused.get(id) ?? 0) >= REFUSALS_PER_EVENT_MAX);
          if (refusals > 0 && !often) {
            refusals -= 1;
            for (const { id } of events) refused.set(id, (refused.get(id) ?? 0) + 1);
            throw new Error("refused after the effect, before the commit");
          }
        },
      },
      {
        failpoint: (name) => {
          if (name !== "consumer.committed" || lostAcks === 0) return;
          lostAcks -= 1;
          throw new Error("interrupted between commit and acknowledgement");
        },
      },
    );

  const take = async (one: Step): Promise<void> => {
    switch (one.kind) {
      case "pay":
        await bench.pay(range(lastOrder + 1, one.count));
        lastOrder += one.count;
        return;
      case "republish": {
        const rows = await bench.orders.rows<{ id: string }>(OUTBOX_IDS);
        await relay.republish(rows.map((row) => row.id));
        return;
      }
      case "refuse":
        refusals = one.times;
        return;
      case "lose-ack":
        lostAcks = one.times;
        return;
      case "restart-consumer":
        await consumers.stop();
        consumers = await openConsumers();
        return;
      case "restart-relay":
        await relay.stop();
        relay = await bench.startRelay();
    }
  };

  before(async () => {
    bench = await channelBench();
    relay = await bench.startRelay();
    consumers = await openConsumers();
  });
  after(async () => {
    await bench.drop();
  });

  it("have exactly one effect each", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: STEPS_MAX }), async (steps) => {
        for (const one of steps) await take(one);
        await eventually(
          async () =>
            (await bench.unpublished()) === 0 && (await bench.effects()).orders >= lastOrder,
          { timeoutMs: WAIT_MS, what: `all ${lastOrder} events are applied` },
        );
        // An event whose acknowledgements were lost often enough may be a dead letter as well: its
        // effect is there all the same, and once.
        assert.deepEqual(await bench.effects(), { total: lastOrder, orders: lastOrder });
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  });
});
