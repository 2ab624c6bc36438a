// The sale's background work: the relay of its events, units that come back, publishes and closings
// that were left behind. Any number of nodes may run it at once.
import type { ServiceSchema } from "moleculer";
import { channelsMixin } from "../../mixins/channels/channels.mixin.ts";
import { repeatEvery } from "../../mixins/channels/repeat.ts";
import { purgeIdempotencyKeys } from "../../mixins/idempotency/idempotency.repository.ts";
import { MINUTE_MS } from "../kernel/clock.ts";
import type { PlatformNode } from "../node.ts";
import { createGiveBackRetry, type GiveBackDeps, giveBackConsumer } from "./give-back.ts";
import { createSaleKeeper } from "./sale-keeper.ts";
import { lifeDeps, wireGate } from "./seckill.service.ts";

const KEY_PURGE_INTERVAL_MS = MINUTE_MS;

export function wire(node: PlatformNode): ServiceSchema {
  const { broker, log, nodeId, random, failpoint } = node;
  const life = lifeDeps(node);
  const { database } = life;
  const { gate, close } = wireGate(node);
  const giveBacks: GiveBackDeps = { ...life, gate, log };
  const loops = [
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
      }),
    ],
    started() {
      for (const loop of loops) loop.start();
    },
    async stopped() {
      await Promise.all(loops.map((loop) => loop.stop()));
      close();
    },
  };
}
