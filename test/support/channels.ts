// A bench for durable messages: order's outbox and inventory's inbox on real servers, under a
// namespace of their own, and an effect that shows every single application.
import { randomBytes } from "node:crypto";
import { connect } from "nats";
import { consumer, type EventConsumer } from "../../mixins/channels/channel.ts";
import {
  type Channels,
  type ChannelsOptions,
  createChannels,
} from "../../mixins/channels/channels.ts";
import { createBus, type EventBus } from "../../mixins/channels/jetstream.ts";
import { CHANNEL_LIMITS, type ChannelLimits } from "../../mixins/channels/limits.ts";
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import type { MigrationSettings } from "../../migrations/migrate.ts";
import { appendEvents } from "../../mixins/outbox/outbox.ts";
import {
  EVENT_CATALOGUE,
  EVENT_OWNERS,
  type EventOwner,
  type EventPayload,
  type NewEvent,
} from "../../services/contracts/events.ts";
import { silentLog, testDatabase } from "./database.ts";
import { testServers } from "./servers.ts";

/** The product's limits with back-offs a test can wait for. */
export const FAST_LIMITS: ChannelLimits = {
  relay: { ...CHANNEL_LIMITS.relay, claimMs: 1_000, backoff: { baseMs: 20, maxMs: 100 } },
  consumer: {
    ...CHANNEL_LIMITS.consumer,
    backoff: { baseMs: 10, maxMs: 40 },
    stopTimeoutMs: 2_000,
  },
  retention: CHANNEL_LIMITS.retention,
};

const EFFECT = sql("test.effect", "INSERT INTO effects (event_id, order_id) VALUES ?");
const COUNT_EFFECTS = sql(
  "test.count-effects",
  "SELECT COUNT(*) AS total, COUNT(DISTINCT order_id) AS orders FROM effects",
);
const OPEN_OUTBOX = sql(
  "test.open-outbox",
  "SELECT COUNT(*) AS total FROM outbox WHERE published_at IS NULL",
);

export interface ChannelBench {
  readonly orders: Database;
  readonly inventory: Database;
  readonly namespace: string;
  readonly natsUrl: string;
  /** A bus of its own; closed by drop(). */
  openBus(): EventBus;
  /** Order's relay. Stopped by drop(). */
  startRelay(options?: Partial<ChannelsOptions>): Promise<Channels>;
  /** Inventory's consumers; what is not given does nothing. Stopped by drop(). */
  startConsumers(
    paid: EventConsumer<"order.paid.v1">,
    options?: Partial<ChannelsOptions>,
  ): Promise<Channels>;
  /** Stores `order.paid.v1` for these orders in one transaction. */
  pay(orderIds: readonly number[]): Promise<void>;
  effects(): Promise<{ total: number; orders: number }>;
  unpublished(): Promise<number>;
  /** What a child process needs to join: see channel-node.ts. */
  readonly settings: MigrationSettings;
  deleteStreams(): Promise<void>;
  drop(): Promise<void>;
}

/** @param natsUrl the shared server unless given. */
export async function channelBench(natsUrl?: string): Promise<ChannelBench> {
  const url = natsUrl ?? (await testServers()).natsUrl;
  const bench = await testDatabase({ services: ["order", "inventory"] });
  const namespace = bench.settings.NAMESPACE;
  const effects = `\`${bench.nameOf("inventory")}\`.effects`;
  await bench.admin.query(
    `CREATE TABLE ${effects} (id BIGINT AUTO_INCREMENT PRIMARY KEY, event_id VARCHAR(64) NOT NULL,
      order_id BIGINT NOT NULL)`,
  );
  await bench.admin.query(
    `GRANT SELECT, INSERT, DELETE ON ${effects} TO '${namespace}_inventory'@'%'`,
  );
  const orders = bench.database("order");
  const inventory = bench.database("inventory");
  const buses: EventBus[] = [];
  const started: Channels[] = [];
  const openBus = (): EventBus => {
    const bus = createBus({
      url,
      namespace,
      name: `test-${namespace}`,
      log: silentLog,
      ackWaitMs: 1_000,
    });
    buses.push(bus);
    return bus;
  };
  const start = async (options: ChannelsOptions): Promise<Channels> => {
    const channels = createChannels(options);
    started.push(channels);
    await channels.start();
    return channels;
  };
  const shared = (): Pick<ChannelsOptions, "bus" | "nodeId" | "log" | "limits"> => ({
    bus: openBus(),
    nodeId: randomBytes(4).toString("hex"),
    log: silentLog,
    limits: FAST_LIMITS,
  });
  return {
    orders,
    inventory,
    namespace,
    natsUrl: url,
    settings: bench.settings,
    openBus,
    startRelay: (options = {}) =>
      start({
        ...shared(),
        owner: "order",
        database: orders,
        consumers: consumersOf("order"),
        ...options,
      }),
    startConsumers: (paid, options = {}) =>
      start({
        ...shared(),
        owner: "inventory",
        database: inventory,
        consumers: consumersOf("inventory", consumer(paid)),
        ...options,
      }),
    async pay(orderIds) {
      await orders.transaction("test.pay", (tx) => appendEvents(tx, orderIds.map(orderPaid)));
    },
    async effects() {
      const row = await inventory.row<{ total: string; orders: string }>(COUNT_EFFECTS);
      return { total: Number(row?.total), orders: Number(row?.orders) };
    },
    async unpublished() {
      return Number((await orders.row<{ total: string }>(OPEN_OUTBOX))?.total);
    },
    deleteStreams: () => deleteStreams(url, namespace),
    async drop() {
      await Promise.all(started.map((channels) => channels.stop()));
      await Promise.all(buses.map((bus) => bus.close()));
      await deleteStreams(url, namespace);
      await bench.drop();
    },
  };
}

/** Writes one row per applied event. */
export const recordingPaid: EventConsumer<"order.paid.v1"> = {
  event: "order.paid.v1",
  apply: (tx, events) => recordEffects(tx, events),
};

export async function recordEffects(
  tx: Transaction,
  events: readonly { readonly id: string; readonly payload: { readonly order_id: string } }[],
): Promise<void> {
  await tx.run(EFFECT, [events.map((event) => [event.id, event.payload.order_id])]);
}

/** What the catalogue says that `owner` consumes: the given ones, and the rest without an effect. */
export function consumersOf(
  owner: EventOwner,
  ...given: readonly EventConsumer[]
): readonly EventConsumer[] {
  const names = Object.entries(EVENT_CATALOGUE)
    .filter(([, { consumers }]) => (consumers as readonly EventOwner[]).includes(owner))
    .map(([name]) => name as EventConsumer["event"]);
  const others = names.filter((name) => !given.some(({ event }) => event === name));
  return [...given, ...others.map(ignoring)];
}

export function ignoring(event: EventConsumer["event"]): EventConsumer {
  return { event, apply: () => Promise.resolve() };
}

export function paidPayload(orderId: number): EventPayload<"order.paid.v1"> {
  return {
    order_id: String(orderId),
    user_id: "7",
    sale_id: null,
    payment_id: "9",
    total_price: 1_000,
    lines: [{ sku_id: "3", quantity: 1, price: 1_000 }],
  };
}

export function orderPaid(orderId: number): NewEvent {
  return {
    name: "order.paid.v1",
    aggregateId: String(orderId),
    aggregateVersion: 2,
    payload: paidPayload(orderId),
  };
}

async function deleteStreams(url: string, namespace: string): Promise<void> {
  const { host, username, password } = new URL(url);
  const connection = await connect({ servers: host, user: username, pass: password });
  const manager = await connection.jetstreamManager();
  for (const owner of EVENT_OWNERS) {
    await manager.streams.delete(`${namespace}_${owner}`).catch(() => undefined);
  }
  await connection.close();
}

export function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_unused, index) => from + index);
}
