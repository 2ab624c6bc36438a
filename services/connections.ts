// The connections of one process, made on first use and shared by everything in it.
import type { Redis } from "ioredis";
import { type DatabaseSchema, databaseCredentials } from "../config/database.ts";
import type { Settings } from "../config/schema.ts";
import { createBus, type EventBus } from "../mixins/channels/jetstream.ts";
import type { PoolFigures } from "../mixins/database/connection-pool.ts";
import type { Database } from "../mixins/database/database.ts";
import { createDatabase } from "../mixins/database/mysql-database.ts";
import type { Log } from "../mixins/log.ts";
import type { Metrics } from "../mixins/metrics/metrics.ts";
import { type CommandObserver, createRedis } from "../mixins/redis/redis.ts";
import type { TellServerSpan } from "../mixins/tracing/server-spans.ts";

/** Connections of a pool with a purpose of its own. */
const PURPOSE_POOL_SIZE = 2;

export interface Dependency {
  readonly name: string;
  /** Rejects when it is away. */
  readonly probe: () => Promise<void>;
}

/** Of a smaller pool of its own, for work that must not queue behind everything else. */
export interface Purpose {
  readonly name: string;
  /** How long a statement may take, ms; as everywhere else when not given. */
  readonly queryTimeoutMs?: number;
}

export interface Connections {
  /** The pool of one schema with its own user. */
  database(schema: DatabaseSchema, purpose?: Purpose): Database;
  redis(): Redis;
  /** For Redis clients that a service opens for itself. */
  readonly onRedisCommand: CommandObserver;
  bus(): EventBus;
  dependencies(): readonly Dependency[];
  /** Figures of the pools, by schema. */
  readonly pools: () => ReadonlyMap<string, PoolFigures>;
  /** Closes every connection, newest first. */
  close(): Promise<void>;
}

interface Connection extends Dependency {
  readonly close: () => Promise<void>;
}

export interface ConnectionParts {
  readonly settings: Settings;
  readonly nodeId: string;
  readonly log: Log;
  readonly random: () => number;
  readonly metrics: Metrics;
  /** Undefined when this process does not trace. */
  readonly tellSpan: TellServerSpan | undefined;
}

export function createConnections(parts: ConnectionParts): Connections {
  const { settings, nodeId, log } = parts;
  const onRedisCommand = redisObserver(parts);
  const open: Connection[] = [];
  const databases = new Map<string, Database>();
  const poolReaders = new Map<string, () => PoolFigures>();
  let redis: Redis | undefined;
  let bus: EventBus | undefined;

  return {
    database(schema, purpose) {
      const name = purpose === undefined ? schema : `${schema}:${purpose.name}`;
      const known = databases.get(name);
      if (known !== undefined) return known;
      const poolSize = purpose === undefined ? settings.DATABASE_POOL_SIZE : PURPOSE_POOL_SIZE;
      const pool = { name, schema, poolSize, queryTimeoutMs: purpose?.queryTimeoutMs };
      const database = openDatabase(parts, pool, (read) => void poolReaders.set(name, read));
      databases.set(name, database);
      open.push({
        name: `mysql:${name}`,
        probe: () => database.ping(),
        close: () => database.close(),
      });
      return database;
    },
    onRedisCommand,
    redis() {
      if (redis !== undefined) return redis;
      const client = createRedis(settings.REDIS_URL, {
        name: nodeId,
        log,
        onCommand: onRedisCommand,
      });
      redis = client;
      open.push({
        name: "redis",
        probe: async () => {
          await client.ping();
        },
        close: async () => {
          client.disconnect();
          return Promise.resolve();
        },
      });
      return client;
    },
    bus() {
      if (bus !== undefined) return bus;
      const created = createBus({
        url: settings.NATS_URL,
        namespace: settings.NAMESPACE,
        name: nodeId,
        log,
      });
      bus = created;
      open.push({ name: "nats", probe: () => created.ping(), close: () => created.close() });
      return created;
    },
    dependencies: () => open,
    pools: () => new Map([...poolReaders].map(([schema, read]) => [schema, read()])),
    async close() {
      for (const connection of open.reverse()) {
        await connection.close().catch((error: unknown) => {
          log.warn({ err: error, connection: connection.name }, "connection did not close cleanly");
        });
      }
    },
  };
}

interface PoolParts {
  readonly name: string;
  readonly schema: DatabaseSchema;
  readonly poolSize: number;
  readonly queryTimeoutMs: number | undefined;
}

function openDatabase(
  { settings, log, random, metrics, tellSpan }: ConnectionParts,
  { name, schema, poolSize, queryTimeoutMs }: PoolParts,
  onPool: (read: () => PoolFigures) => void,
): Database {
  return createDatabase({
    ...databaseCredentials(settings, schema),
    poolSize,
    ...(queryTimeoutMs === undefined ? {} : { queryTimeoutMs }),
    log,
    random,
    onStatement: (one) => {
      metrics.observe("app_statement_duration_ms", { statement: one.name }, one.ms);
      if (!one.isOk) metrics.increment("app_statement_errors_total", { statement: one.name });
      tellSpan?.("mysql", one);
    },
    onPool: (read) => {
      onPool(read);
      metrics.onCollect(() => {
        const { open, idle, waiting, sizeMax } = read();
        metrics.set("app_database_connections", { schema: name, state: "busy" }, open - idle);
        metrics.set("app_database_connections", { schema: name, state: "idle" }, idle);
        metrics.set("app_database_connections_max", { schema: name }, sizeMax);
        metrics.set("app_database_waiting", { schema: name }, waiting);
      });
    },
  });
}

function redisObserver({ metrics, tellSpan }: ConnectionParts): CommandObserver {
  return (one) => {
    metrics.observe("app_redis_command_duration_ms", { command: one.name }, one.ms);
    if (!one.isOk) metrics.increment("app_redis_command_errors_total", { command: one.name });
    tellSpan?.("redis", one);
  };
}
