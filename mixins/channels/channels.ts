// Everything about durable messages of one service: its relay, its consumers, its dead letters and
// the retention of its message tables. The mixin gives it a Moleculer service's life-cycle.
import { assert } from "../../services/kernel/assert.ts";
import type { EventOwner } from "../../services/contracts/events.ts";
import { type Failpoint, noFailpoint } from "../../services/kernel/failpoint.ts";
import type { Database } from "../database/database.ts";
import { createLease } from "../database/lease.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import {
  OutboxRelay,
  type RelayBus,
  type RelayOptions,
  type RelayStats,
} from "../outbox/outbox-relay.ts";
import { type OutboxBacklog, readBacklog, requestRepublish } from "../outbox/outbox.repository.ts";
import { createConsumerSpans, type SpanStarter } from "../tracing/consumer-spans.ts";
import type { EventConsumer } from "./channel.ts";
import { showChannels } from "./channel-metrics.ts";
import { type ConsumerBus, ConsumerRunner, type RunnerStats } from "./consumer-runner.ts";
import { createDeadLetters, type DeadLetters } from "./dead-letter.ts";
import { BACKLOG_INTERVAL_MS, CHANNEL_LIMITS, type ChannelLimits } from "./limits.ts";
import { repeatEvery } from "./repeat.ts";
import { purgeMessages } from "./retention.ts";
import { consumersOf, eventNames } from "./topology.ts";

export interface ChannelsOptions {
  readonly owner: EventOwner;
  readonly database: Database;
  readonly bus: RelayBus & ConsumerBus;
  /** One per event that the catalogue gives to this service. */
  readonly consumers: readonly EventConsumer[];
  /** Names the holder of the relay's lease; unique per process. */
  readonly nodeId: string;
  readonly log: Log;
  readonly random?: () => number;
  readonly failpoint?: Failpoint;
  readonly limits?: ChannelLimits;
  readonly metrics?: Pick<Metrics, "set" | "increment" | "onCollect">;
  /** Moleculer's; without it consumers make no spans. */
  readonly tracer?: SpanStarter;
  /** Told of events that the stream has acknowledged, each once unless a node died in between. */
  readonly onPublished?: RelayOptions["onPublished"];
}

export interface ChannelsStats {
  readonly owner: EventOwner;
  readonly relay: RelayStats;
  /** As counted at most some seconds ago; by the leader only, zeros elsewhere. */
  readonly backlog: OutboxBacklog;
  readonly consumers: readonly RunnerStats[];
}

export interface Channels {
  start(): Promise<void>;
  /** Finishes what is in work, at most for the consumers' stop time-out. */
  stop(): Promise<void>;
  stats(): ChannelsStats;
  /** Has the relay publish these events again. Returns how many there were to publish. */
  republish(outboxIds: readonly string[]): Promise<number>;
  readonly deadLetters: DeadLetters;
}

const EMPTY_BACKLOG: OutboxBacklog = { rows: 0, oldestAgeMs: 0 };

export function createChannels(options: ChannelsOptions): Channels {
  const { owner, database, bus, consumers, nodeId, log } = options;
  const { random = Math.random, failpoint = noFailpoint, limits = CHANNEL_LIMITS } = options;
  assertCatalogued(owner, consumers);
  const lease = createLease({ database, name: "outbox-relay", owner: nodeId, log });
  const shared = { database, bus, random, failpoint, log };
  const relay = new OutboxRelay({
    ...shared,
    owner,
    leadership: lease,
    limits: limits.relay,
    onPublished: options.onPublished,
  });
  const spans = options.tracer && createConsumerSpans(options.tracer, `${owner}-worker`);
  const runners = consumers.map(
    (definition) =>
      new ConsumerRunner({
        ...shared,
        consumer: owner,
        definition,
        limits: limits.consumer,
        spans,
      }),
  );
  let backlog = EMPTY_BACKLOG;
  const chores = [
    repeatEvery(BACKLOG_INTERVAL_MS, log, async () => {
      backlog = lease.isHeld() ? await readBacklog(database) : EMPTY_BACKLOG;
    }),
    repeatEvery(limits.retention.intervalMs, log, async () => {
      if (lease.isHeld()) await purgeMessages(database, limits.retention);
    }),
  ];

  const stats = (): ChannelsStats => ({
    owner,
    relay: relay.stats(),
    backlog,
    consumers: runners.map((runner) => runner.stats()),
  });
  if (options.metrics !== undefined) showChannels(options.metrics, stats);

  return {
    start() {
      lease.start();
      relay.start();
      for (const runner of runners) runner.start();
      for (const chore of chores) chore.start();
      return Promise.resolve();
    },
    async stop() {
      await Promise.all([
        relay.stop(),
        ...runners.map((runner) => runner.stop()),
        ...chores.map((chore) => chore.stop()),
      ]);
      await lease.stop();
    },
    stats,
    async republish(outboxIds) {
      const count = await requestRepublish(database, outboxIds);
      relay.wake();
      return count;
    },
    deadLetters: createDeadLetters(database, owner, consumers),
  };
}

/** Who consumes what is data in the catalogue; code that differs from it must not start. */
function assertCatalogued(owner: EventOwner, consumers: readonly EventConsumer[]): void {
  const wanted = eventNames()
    .filter((name) => consumersOf(name).includes(owner))
    .sort();
  const given = consumers.map(({ event }) => event).sort();
  assert(
    wanted.join() === given.join(),
    `${owner} consumes [${given.join()}], catalogued are [${wanted.join()}]`,
  );
}
