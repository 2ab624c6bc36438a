// Background work of the user service: its message tables and the retention of its own.
import type { ServiceSchema } from "moleculer";
import { channelsMixin } from "../../mixins/channels/channels.mixin.ts";
import { repeatEvery } from "../../mixins/channels/repeat.ts";
import { purgeIdempotencyKeys } from "../../mixins/idempotency/idempotency.repository.ts";
import type { PlatformNode } from "../node.ts";
import { purgeUserData, RETENTION_INTERVAL_MS } from "./retention.ts";

export function wire(node: PlatformNode): ServiceSchema {
  const { failpoint, log, nodeId, random } = node;
  const database = node.database("user");
  const retention = repeatEvery(RETENTION_INTERVAL_MS, log, async () => {
    await purgeIdempotencyKeys(database);
    const rows = await purgeUserData(database);
    if (rows > 0) log.debug({ rows }, "old sessions and mails deleted");
  });
  return {
    name: "user-worker",
    mixins: [
      channelsMixin({
        owner: "user",
        database,
        bus: node.bus(),
        consumers: [],
        nodeId,
        log,
        random,
        failpoint,
        metrics: node.metrics,
        tracer: node.broker.tracer,
      }),
    ],
    started: () => retention.start(),
    stopped: () => retention.stop(),
  };
}
