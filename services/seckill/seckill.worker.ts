// The sale's background work: the relay of its events, units that come back, publishes and closings
// that were left behind. Any number of nodes may run it at once.
import type { ServiceSchema } from "moleculer";
import { channelsMixin } from "../../mixins/channels/channels.mixin.ts";
import { repeatEvery } from "../../mixins/channels/repeat.ts";
import { createLease } from "../../mixins/database/lease.ts";
import { purgeIdempotencyKeys } from "../../mixins/idempotency/idempotency.repository.ts";
import { MINUTE_MS, SECOND_MS } from "../kernel/clock.ts";
import type { PlatformNode } from "../node.ts";
import { createGateCoordinator } from "./gate-coordinator.ts";
import { createGiveBackRetry, type GiveBackDeps, giveBackConsumer } from "./give-back.ts";
import { createReaper } from "./reaper.ts";
import { createSaleKeeper } from "./sale-keeper.ts";
import { lifeDeps, wireGate } from "./seckill.service.ts";

const KEY_PURGE_INTERVAL_MS = MINUTE_MS;
/** While the coordinator of a load is dead its sale lets nobody in, so another must come soon. */
const GATE_LEASE_MS = 3 * SECOND_MS;

export function wire(node: PlatformNode): ServiceSchema {
  const { broker, log, nodeId, random, failpoint, metrics } = node;
  const life = lifeDeps(node);
  const { database } = life;
  const { gate, close } = wireGate(node);
  const giveBacks: GiveBackDeps = { ...life, gate, log };
  const lease = createLease({
    database,
    name: "seckill-gates",
    owner: nodeId,
    log,
    durationMs: GATE_LEASE_MS,
  });
  const gates = { ...life, gate, lease, log, metrics };
  const loops = [
    createGateCoordinator(gates),
    createReaper(gates),
    createSaleKeeper({ ...life, log }, broker),
    createGiveBackRetry(giveBacks),
    repeatEvery(KEY_PURGE_INTERVAL_MS, log, async () => {
      await purgeIdempotencyKeys(database);
    }),
  ];
  return {
    name: "seckill-worker",
    mixins: [
      channelsMixin({
        owner: "seckill",
        database,
        bus: node.bus(),
        consumers: [giveBackConsumer(giveBacks)],
        nodeId,
        log,
        random,
        failpoint,
        metrics,
        tracer: broker.tracer,
      }),
    ],
    started() {
      lease.start();
      for (const loop of loops) loop.start();
    },
    async stopped() {
      await Promise.all(loops.map((loop) => loop.stop()));
      await lease.stop();
      close();
    },
  };
}
