// The connections of one process, made on first use and shared by everything in it.
import type { Redis } from "ioredis";
import { type DatabaseSchema, databaseCredentials } from "../config/database.ts";
import type { Settings } from "../config/schema.ts";
import { createBus, type EventBus } from "../mixins/channels/jetstream.ts";
import type { Database } from "../mixins/database/database.ts";
import { createDatabase } from "../mixins/database/mysql-database.ts";
import type { Log } from "../mixins/log.ts";
import type { Metrics } from "../mixins/metrics/metrics.ts";
import { createRedis } from "../mixins/redis/redis.ts";

export interface Dependency {
  readonly name: string;
  /** Rejects when it is away. */
  readonly probe: () => Promise<void>;
}

export interface Connections {
  /** The pool of one schema with its own user. */
  database(schema: DatabaseSchema): Database;
  redis(): Redis;
  bus(): EventBus;
  dependencies(): readonly Dependency[];
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
}

export function createConnections(parts: ConnectionParts): Connections {
  const { settings, nodeId, log } = parts;
  const open: Connection[] = [];
  const databases = new Map<DatabaseSchema, Database>();
  let redis: Redis | undefined;
  let bus: EventBus | undefined;

  return {
    database(schema) {
      const known = databases.get(schema);
      if (known !== undefined) return known;
      const database = openDatabase(parts, schema);
      databases.set(schema, database);
      open.push({
        name: `mysql:${schema}`,
        probe: () => database.ping(),
        close: () => database.close(),
      });
      return database;
    },
    redis() {
      if (redis !== undefined) return redis;
      const client = createRedis(settings.REDIS_URL, { name: nodeId, log });
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
    async close() {
      for (const connection of open.reverse()) {
        await connection.close().catch((error: unknown) => {
          log.warn({ err: error, connection: connection.name }, "connection did not close cleanly");
        });
      }
    },
  };
}

function openDatabase(
  { settings, log, random, metrics }: ConnectionParts,
  schema: DatabaseSchema,
): Database {
  return createDatabase({
    ...databaseCredentials(settings, schema),
    poolSize: settings.DATABASE_POOL_SIZE,
    log,
    random,
    onStatement: (statement, ms, isOk) => {
      metrics.observe("app_statement_duration_ms", { statement }, ms);
      if (!isOk) metrics.increment("app_statement_errors_total", { statement });
    },
  });
}
