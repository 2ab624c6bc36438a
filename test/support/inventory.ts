// The inventory's parts on real MySQL and Redis, without a broker: several of them on one database
// are several nodes.
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import type { Database } from "../../mixins/database/database.ts";
import { createRedis, whenRedisReady } from "../../mixins/redis/redis.ts";
import { createAvailabilityCopies } from "../../services/inventory/availability.redis.ts";
import { AvailabilityStore } from "../../services/inventory/availability.store.ts";
import { openStock, type StockOfSku } from "../../services/inventory/inventory.repository.ts";
import { createReserver, type Reserver } from "../../services/inventory/reserve.ts";
import {
  createSoldOutMarks,
  type SoldOutMarks,
  type StockHint,
} from "../../services/inventory/sold-out-marks.ts";
import { readStock } from "../../services/inventory/stock.repository.ts";
import { must } from "../../services/kernel/assert.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import type { Failpoint } from "../../services/kernel/failpoint.ts";
import { noFailpoint } from "../../services/kernel/failpoint.ts";
import type { Stock } from "../../services/inventory/domain/stock.ts";
import { silentLog, type TestDatabase } from "./database.ts";
import { testServers } from "./servers.ts";

const REDIS_READY_MS = 2_000;

export interface InventoryNode {
  readonly database: Database;
  readonly marks: SoldOutMarks;
  readonly hints: StockHint[];
  readonly reserver: Reserver;
  readonly redis: Redis;
  readonly availability: AvailabilityStore;
  readonly namespace: string;
  /** Statements run by `database`, by name. */
  readonly statements: string[];
  close(): Promise<void>;
}

export interface InventoryNodeOptions {
  readonly failpoint?: Failpoint;
  readonly redisUrl?: string;
  /** Puts something between the reserver and its database. */
  readonly through?: (database: Database) => Database;
}

export async function inventoryNode(
  schemas: TestDatabase,
  {
    failpoint = noFailpoint,
    redisUrl,
    through = (database) => database,
  }: InventoryNodeOptions = {},
): Promise<InventoryNode> {
  const statements: string[] = [];
  const database = schemas.database("inventory", {
    onStatement: ({ name }) => void statements.push(name),
  });
  const namespace = `t${randomBytes(5).toString("hex")}`;
  const redis = createRedis(redisUrl ?? (await testServers()).redisUrl, {
    name: "inventory-test",
    log: silentLog,
  });
  if (redisUrl === undefined) await whenRedisReady(redis, REDIS_READY_MS);
  const hints: StockHint[] = [];
  const marks = createSoldOutMarks(systemClock, (hint) => void hints.push(hint));
  const availability = new AvailabilityStore({
    database,
    copies: createAvailabilityCopies(redis, namespace),
    clock: systemClock,
    log: silentLog,
  });
  const reserver = createReserver({
    database: through(database),
    marks,
    failpoint,
    onChanged: (changed) => void availability.remember(changed),
  });
  return {
    database,
    marks,
    hints,
    reserver,
    redis,
    availability,
    namespace,
    statements,
    async close() {
      await reserver.drain();
      await availability.stop();
      redis.disconnect();
    },
  };
}

export async function open(database: Database, ...skus: StockOfSku[]): Promise<readonly Stock[]> {
  return await database.transaction("test.open", (tx) => openStock(tx, skus));
}

export async function stockOf(database: Database, skuId: string): Promise<Stock> {
  return must((await readStock(database, [skuId]))[0], `stock of ${skuId}`);
}

let lastId = 1_000_000;

/** Decimal ids that no other test of this process uses. */
export function newId(): string {
  lastId += 1;
  return String(lastId);
}
