// One process of the platform: its settings, ports and connections. Services get what they need
// from here by their `wire(node)`; connections are made on first use and closed in reverse order.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Redis } from "ioredis";
import { ServiceBroker } from "moleculer";
import { type DatabaseSchema, databaseCredentials } from "../config/database.ts";
import type { Settings } from "../config/schema.ts";
import { authMiddleware } from "../mixins/auth/auth.middleware.ts";
import { type AccessTokens, createAccessTokens } from "../mixins/auth/tokens.ts";
import { createBus, type EventBus } from "../mixins/channels/jetstream.ts";
import type { Database } from "../mixins/database/database.ts";
import { createDatabase } from "../mixins/database/mysql-database.ts";
import { createIds, type LeasedIds } from "../mixins/ids/snowflake-ids.ts";
import { createLog, type Log } from "../mixins/log.ts";
import { createRedis } from "../mixins/redis/redis.ts";
import {
  contextMiddleware,
  deadlineMiddleware,
  failureMiddleware,
} from "../mixins/resilience/middlewares.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { call } from "./contracts/actions.ts";
import { type Clock, systemClock } from "./kernel/clock.ts";
import { type Failpoint, noFailpoint } from "./kernel/failpoint.ts";

export interface PlatformNode {
  readonly settings: Settings;
  readonly nodeId: string;
  readonly broker: ServiceBroker;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly failpoint: Failpoint;
  readonly tokens: AccessTokens;
  /** Usable once this node has leased a worker id; refuses with SERVICE_UNAVAILABLE before. */
  readonly ids: LeasedIds;
  /** The pool of one schema with its own user; the same object for every caller of this process. */
  database(schema: DatabaseSchema): Database;
  redis(): Redis;
  bus(): EventBus;
  /** What this node depends on, for /readyz: name and a probe that rejects when it is away. */
  dependencies(): readonly { readonly name: string; readonly probe: () => Promise<void> }[];
  /** Registers what must happen before the broker stops, such as closing a listener. */
  beforeStop(hook: () => Promise<void>): void;
  /** Runs the hooks of beforeStop, newest first. */
  prepareStop(): Promise<void>;
  /** Closes every connection, newest first. Call after the broker has stopped. */
  close(): Promise<void>;
}

export interface NodeOptions {
  readonly settings: Settings;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly failpoint?: Failpoint;
}

/** The owner of a worker id is stored in 128 characters. */
const OWNER_NODE_LENGTH_MAX = 100;

interface Connection {
  readonly name: string;
  readonly probe: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export function createNode(options: NodeOptions): PlatformNode {
  const { settings, clock = systemClock, random = Math.random, failpoint = noFailpoint } = options;
  const nodeId =
    settings.NODE_ID === "" ? `${hostname()}-${randomUUID().slice(0, 8)}` : settings.NODE_ID;
  const log = createLog(settings.LOG_LEVEL, { node: nodeId });
  const tokens = createAccessTokens(
    { current: settings.JWT_SECRET, previous: settings.JWT_PREVIOUS_SECRET },
    clock,
  );
  const middlewares = [
    contextMiddleware(),
    failureMiddleware(log),
    authMiddleware(tokens),
    deadlineMiddleware(clock),
  ];
  const broker = new ServiceBroker(brokerOptions({ settings, nodeId, middlewares }));
  const connections = createConnections({ settings, nodeId, log, random });
  const ids = createIds({
    lease: (request) => call(broker, "user.leaseWorkerId", request),
    clock,
    // A restarted node is another owner: the process before it may still be alive somewhere.
    owner: `${nodeId.slice(0, OWNER_NODE_LENGTH_MAX)}:${randomUUID().slice(0, 8)}`,
    log,
    random,
  });
  const stopHooks: (() => Promise<void>)[] = [];
  return {
    settings,
    nodeId,
    broker,
    clock,
    random,
    log,
    failpoint,
    tokens,
    ids,
    beforeStop: (hook) => void stopHooks.push(hook),
    async prepareStop() {
      for (const hook of stopHooks.splice(0).reverse()) await hook();
    },
    ...connections,
    dependencies: () => [
      ...connections.dependencies(),
      { name: "ids", probe: () => ids.probe() },
    ],
  };
}

type Connections = Pick<PlatformNode, "database" | "redis" | "bus" | "dependencies" | "close">;

interface ConnectionParts {
  readonly settings: Settings;
  readonly nodeId: string;
  readonly log: Log;
  readonly random: () => number;
}

function createConnections({ settings, nodeId, log, random }: ConnectionParts): Connections {
  const open: Connection[] = [];
  const databases = new Map<DatabaseSchema, Database>();
  let redis: Redis | undefined;
  let bus: EventBus | undefined;

  return {
    database(schema) {
      const known = databases.get(schema);
      if (known !== undefined) return known;
      const database = createDatabase({
        ...databaseCredentials(settings, schema),
        poolSize: settings.DATABASE_POOL_SIZE,
        log,
        random,
      });
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
