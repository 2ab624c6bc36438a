// Gates on the shared Redis, each in a namespace of its own.
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { createRedis, whenRedisReady } from "../../mixins/redis/redis.ts";
import { startServers, type RunningServers } from "../../scripts/launcher/servers.ts";
import {
  makeThrowAwayFolder,
  removeThrowAwayFolder,
} from "../../scripts/launcher/throw-away-folder.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { createGate } from "../../services/seckill/gate.store.ts";
import type { Gate, GateCandidate, GateHolder, GateLoad } from "../../services/seckill/gate.ts";
import { silentLog } from "./database.ts";
import { testServers } from "./servers.ts";

const READY_TIMEOUT_MS = 5_000;
const FOLDER_PREFIX = "flash-sale-redis-";

export interface GateBench {
  readonly redis: Redis;
  readonly namespace: string;
  readonly gate: Gate;
  /** Name of one of the keys of an epoch. */
  keyOf(load: { readonly saleId: string; readonly epoch: number }, part: string): string;
  close(): void;
}

export interface GateBenchOptions {
  /** The shared server unless given. */
  readonly redisUrl?: string;
  /** One of its own unless given. */
  readonly namespace?: string;
  /** The product's unless given; longer where a test sends more than one server can answer in time. */
  readonly commandTimeoutMs?: number;
}

export async function openGate(options: GateBenchOptions = {}): Promise<GateBench> {
  const { redisUrl, namespace = newNamespace(), ...changes } = options;
  const url = redisUrl ?? (await testServers()).redisUrl;
  const redis = createRedis(url, { name: namespace, log: silentLog, ...changes });
  if (!(await whenRedisReady(redis, READY_TIMEOUT_MS))) throw new Error("Redis is away");
  return {
    redis,
    namespace,
    gate: createGate({ redis, namespace, clock: systemClock }),
    keyOf: ({ saleId, epoch }, part) => `${namespace}:seckill:{${saleId}}:e${epoch}:${part}`,
    close: () => redis.disconnect(),
  };
}

function newNamespace(): string {
  return `t${randomBytes(5).toString("hex")}`;
}

/** A Redis of the caller's own, to be killed, paused and emptied. */
export async function startOwnRedis(): Promise<RunningServers> {
  const { mysqlUrl, natsUrl } = await testServers();
  const dataDir = makeThrowAwayFolder(FOLDER_PREFIX);
  const servers = await startServers({ dataDir, given: { mysql: mysqlUrl, nats: natsUrl } });
  return {
    ...servers,
    async stop() {
      await servers.stop();
      removeThrowAwayFolder(dataDir);
    },
  };
}

let lastId = 7_000_000_000_000_000n;

/** Like the platform's: decimal, of more digits than a double holds. */
export function newId(): string {
  lastId += 1n;
  return `${lastId}`;
}

export function candidate(over: Partial<GateCandidate> = {}): GateCandidate {
  return { userId: newId(), requestId: `r${newId()}`, orderId: newId(), ...over };
}

const WINDOW_MS = 60_000;

/** A sale that is open now. */
export function openSale(over: Partial<GateLoad> = {}): GateLoad {
  const now = Date.now();
  return {
    saleId: newId(),
    epoch: 1,
    startsAtMs: now - WINDOW_MS,
    endsAtMs: now + WINDOW_MS,
    units: 3,
    holders: holdersOf([]),
    ...over,
  };
}

/** Pages of holders, as the database would hand them out. */
export async function* holdersOf(
  ...pages: readonly (readonly GateHolder[])[]
): AsyncGenerator<readonly GateHolder[]> {
  for (const page of pages) yield await Promise.resolve(page);
}
