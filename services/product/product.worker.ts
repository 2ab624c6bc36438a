// Background work of the product service: its outbox and consumers, the second deletes of changed
// products, the hot list, and idempotency keys that have run out.
import type { ServiceSchema } from "moleculer";
import { consumer } from "../../mixins/channels/channel.ts";
import { channelsMixin } from "../../mixins/channels/channels.mixin.ts";
import { repeatEvery } from "../../mixins/channels/repeat.ts";
import { purgeIdempotencyKeys } from "../../mixins/idempotency/idempotency.repository.ts";
import { createRedis } from "../../mixins/redis/redis.ts";
import { MINUTE_MS, SECOND_MS } from "../kernel/clock.ts";
import type { PlatformNode } from "../node.ts";
import { newestVersions, runSecondDeletes, scheduleSecondDelete } from "./cache-invalidation.ts";
import { createHotProducts, HOT_ROLL_UP_INTERVAL_MS } from "./hot-products.ts";
import { createProductCache, type ProductCache } from "./product-cache.ts";
import { createProductHints, type ProductHints } from "./product-hints.ts";
import { createRedisGuard } from "./redis-guard.ts";

/** Nobody waits for these commands, and the roll-up sums up to 120,000 members. */
const REDIS_TIMEOUT_MS = SECOND_MS;
const SECOND_DELETE_INTERVAL_MS = SECOND_MS / 2;
const PURGE_INTERVAL_MS = MINUTE_MS;

export function wire(node: PlatformNode): ServiceSchema {
  const { broker, clock, failpoint, log, nodeId, random, settings } = node;
  const database = node.database("product");
  const redis = createRedis(settings.REDIS_URL, {
    name: `${nodeId}-product-worker`,
    log,
    commandTimeoutMs: REDIS_TIMEOUT_MS,
  });
  const guard = createRedisGuard(redis, log);
  const cache = createProductCache({ guard, namespace: settings.NAMESPACE, random });
  const hot = createHotProducts({ guard, namespace: settings.NAMESPACE, clock });
  const hints = createProductHints(broker);
  const background = [
    repeatEvery(SECOND_DELETE_INTERVAL_MS, log, () => runSecondDeletes(database, cache)),
    repeatEvery(HOT_ROLL_UP_INTERVAL_MS, log, () => hot.rollUp()),
    repeatEvery(PURGE_INTERVAL_MS, log, async () => {
      await purgeIdempotencyKeys(database);
    }),
  ];
  return {
    name: "product-worker",
    mixins: [
      channelsMixin({
        owner: "product",
        database,
        bus: node.bus(),
        consumers: [appeared(hints), changed(cache, hints)],
        nodeId,
        log,
        random,
        failpoint,
        metrics: node.metrics,
        tracer: node.broker.tracer,
      }),
    ],
    started() {
      for (const job of background) job.start();
    },
    async stopped() {
      await Promise.all(background.map((job) => job.stop()));
      guard.close();
    },
  };
}

/** Feeds the id filters of all nodes. Nothing is stored: a lost hint is made good by the rebuild. */
function appeared(hints: ProductHints) {
  return consumer<"product.created.v1">({
    event: "product.created.v1",
    apply: () => Promise.resolve(),
    committed: (events) => hints.appeared(events.map((event) => event.payload.product_id)),
  });
}

function changed(cache: ProductCache, hints: ProductHints) {
  return consumer<"product.changed.v1">({
    event: "product.changed.v1",
    apply: scheduleSecondDelete,
    async committed(events) {
      const versions = [...newestVersions(events)];
      await Promise.all(versions.map(([id, version]) => cache.outdate(id, version)));
      for (const [id, version] of versions) hints.outdated(id, version);
    },
  });
}
