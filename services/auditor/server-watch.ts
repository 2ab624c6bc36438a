// How the servers behind the shop are doing, as they tell it themselves: MySQL's and Redis's counters, the
// streams and their consumers. Only read; a server that is away is shown as away.
import type { Redis } from "ioredis";
import type { EventBus } from "../../mixins/channels/jetstream.ts";
import { type Database, sql } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import type { MetricName } from "../../mixins/metrics/catalogue.ts";
import type { Metrics } from "../../mixins/metrics/metrics.ts";

const MYSQL_STATUS = sql(
  "auditor.servers.mysql-status",
  `SHOW GLOBAL STATUS WHERE Variable_name IN
     ('Threads_connected', 'Threads_running', 'Questions', 'Innodb_row_lock_waits')`,
);
const MYSQL_MAX = sql("auditor.servers.mysql-max", "SELECT @@max_connections AS n");

type Shown = Readonly<Record<string, { readonly name: MetricName; readonly isCounter: boolean }>>;

const MYSQL_SHOWN: Shown = {
  Threads_connected: { name: "app_mysql_connections", isCounter: false },
  Threads_running: { name: "app_mysql_threads_running", isCounter: false },
  Questions: { name: "app_mysql_statements_total", isCounter: true },
  Innodb_row_lock_waits: { name: "app_mysql_row_lock_waits_total", isCounter: true },
};
const REDIS_SHOWN: Shown = {
  connected_clients: { name: "app_redis_clients", isCounter: false },
  used_memory: { name: "app_redis_memory_bytes", isCounter: false },
  total_commands_processed: { name: "app_redis_commands_total", isCounter: true },
  evicted_keys: { name: "app_redis_evicted_keys_total", isCounter: true },
};

export interface ServerWatchParts {
  readonly database: Pick<Database, "rows" | "row">;
  readonly redis: Pick<Redis, "info">;
  readonly bus: Pick<EventBus, "streams">;
  readonly metrics: Pick<Metrics, "set" | "increment">;
  readonly log: Log;
}

export interface ServerWatch {
  /** Asks every server once. Never rejects. */
  look(): Promise<void>;
}

export function createServerWatch(parts: ServerWatchParts): ServerWatch {
  const { metrics, log } = parts;
  /** What a server's own counters said the last time. */
  const before = new Map<MetricName, number>();

  const show = (shown: Shown, figures: ReadonlyMap<string, string>): void => {
    for (const [field, { name, isCounter }] of Object.entries(shown)) {
      const value = Number(figures.get(field) ?? Number.NaN);
      if (!Number.isFinite(value)) continue;
      if (!isCounter) metrics.set(name, undefined, value);
      else metrics.increment(name, undefined, increase(before.get(name), value));
      before.set(name, value);
    }
  };

  const askMysql = async (): Promise<void> => {
    const rows = await parts.database.rows<{ Variable_name: string; Value: string }>(MYSQL_STATUS);
    show(MYSQL_SHOWN, new Map(rows.map(({ Variable_name: name, Value: value }) => [name, value])));
    const max = await parts.database.row<{ n: string }>(MYSQL_MAX);
    metrics.set("app_mysql_connections_max", undefined, Number(max?.n ?? 0));
  };
  const askRedis = async (): Promise<void> => {
    show(REDIS_SHOWN, parseInfo(await parts.redis.info()));
  };
  const askStreams = async (): Promise<void> => {
    for (const { owner, messages, bytes, bytesMax, consumers } of await parts.bus.streams()) {
      metrics.set("app_stream_messages", { owner }, messages);
      metrics.set("app_stream_bytes", { owner }, bytes);
      metrics.set("app_stream_bytes_max", { owner }, bytesMax);
      for (const { consumer, event, waiting, unacknowledged } of consumers) {
        metrics.set("app_consumer_backlog", { consumer, event }, waiting);
        metrics.set("app_consumer_unacknowledged", { consumer, event }, unacknowledged);
      }
    }
  };

  const ask = async (server: string, question: () => Promise<void>): Promise<void> => {
    try {
      await question();
      metrics.set("app_server_up", { server }, 1);
    } catch (error) {
      metrics.set("app_server_up", { server }, 0);
      log.debug({ err: error, server }, "a server does not tell how it is doing");
    }
  };

  return {
    async look() {
      await Promise.all([ask("mysql", askMysql), ask("redis", askRedis), ask("nats", askStreams)]);
    },
  };
}

/** A server that began anew counts from 0; what it had counted before the first look is not ours. */
function increase(before: number | undefined, now: number): number {
  if (before === undefined) return 0;
  return now >= before ? now - before : now;
}

/** `name:value` lines, as INFO answers. */
function parseInfo(text: string): ReadonlyMap<string, string> {
  const pairs = text.split("\r\n").map((line) => line.split(":", 2) as [string, string?]);
  return new Map(pairs.map(([name, value = ""]) => [name, value]));
}
