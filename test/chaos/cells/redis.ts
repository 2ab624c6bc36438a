// R1-R7: Redis is killed, emptied, frozen, out of memory, out of disk, or badly reached. It is a gate and never a
// ledger: whatever happens to it, orders and the sale go on.
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { tempFolder } from "../../support/temp-folder.ts";
import { type Cell, type Scene, unless } from "../cell.ts";
import { whyNoDisks } from "../machine.ts";
import { fillDisk, type Rig } from "../rig.ts";
import type { Seen } from "../witness.ts";

const SHORT_MS = 4_000;
const SMALL_DISK_MB = 8;
/** Too little for what Redis holds already. */
const MEMORY_MAX = "1mb";

const sellsMeanwhile = (_: Scene, seen: Seen): readonly string[] =>
  unless(seen.sold_meanwhile > 0, "nothing was sold while Redis was away");

async function killed({ rig, during }: Scene): Promise<void> {
  await rig.killServer("redis");
  await during(SHORT_MS);
}

function loseData({ folder }: Rig): void {
  rmSync(folder.redis, { recursive: true, force: true });
  mkdirSync(folder.redis, { mode: 0o700 });
}

const frozenFor =
  (ms: number): Cell["inject"] =>
  async ({ rig, during }) => {
    await rig.server("redis").kill("SIGSTOP");
    await during(ms);
  };

/** Spoils the gate's keys behind the platform's back. */
const withGateKeys =
  (work: (rig: Rig, keys: readonly string[]) => Promise<unknown>): Cell["inject"] =>
  async ({ rig, during }) => {
    const keys = await rig.redis((redis) => redis.keys("*:seckill:*"));
    await work(rig, keys);
    await during(SHORT_MS);
  };

const overLink =
  (ms: number, spoil: (scene: Scene) => void): Cell["inject"] =>
  async (scene) => {
    spoil(scene);
    await scene.during(ms);
  };

/** What an append-only file of a while ago brings back must not be believed. */
async function restoredOld({ rig, during }: Scene): Promise<void> {
  const old = tempFolder();
  cpSync(rig.folder.redis, old, { recursive: true });
  await during(2_000);
  await rig.killServer("redis");
  loseData(rig);
  cpSync(old, rig.folder.redis, { recursive: true });
  await rig.startServer("redis");
  await during(SHORT_MS);
}

export const REDIS_CELLS: readonly Cell[] = [
  {
    id: "R1",
    title: "Redis killed, comes back empty",
    inject: killed,
    heal: ({ rig }) => {
      loseData(rig);
      return Promise.resolve();
    },
    expect: sellsMeanwhile,
  },
  {
    id: "R1b",
    title: "Redis killed three times, comes back empty each time",
    inject: async ({ rig, during, random }) => {
      for (let time = 0; time < 3; time += 1) {
        await rig.killServer("redis");
        loseData(rig);
        await during(300 + 700 * random());
        await rig.startServer("redis");
        await during(500 + 1_500 * random());
      }
    },
  },
  {
    id: "R2",
    title: "Redis killed, comes back with its append-only file",
    inject: killed,
    expect: sellsMeanwhile,
  },
  {
    id: "R2b",
    title: "Redis comes back with an append-only file of a while ago",
    inject: restoredOld,
  },
  { id: "R3a", title: "Redis frozen for 0.2 s", inject: frozenFor(200) },
  { id: "R3b", title: "Redis frozen for 2 s", inject: frozenFor(2_000) },
  { id: "R3c", title: "Redis frozen for 30 s", inject: frozenFor(30_000), expect: sellsMeanwhile },
  {
    id: "R4a",
    title: "FLUSHALL",
    inject: async ({ rig, during }) => {
      await rig.redis((redis) => redis.flushall());
      await during(SHORT_MS);
    },
    expect: sellsMeanwhile,
  },
  {
    id: "R4b",
    title: "The gate's keys evicted one by one",
    inject: async ({ rig, during, random }) => {
      const keys = await rig.redis((redis) => redis.keys("*:seckill:*"));
      for (const key of keys) {
        if (random() < 0.5) await rig.redis((redis) => redis.del(key));
        await during(100);
      }
      await during(SHORT_MS);
    },
  },
  {
    id: "R4c",
    title: "The gate's keys of the wrong type",
    inject: withGateKeys((rig, keys) =>
      rig.redis(async (redis) => {
        for (const key of keys) await redis.multi().del(key).hset(key, "x", "y").exec();
      }),
    ),
  },
  {
    id: "R5",
    title: "Redis out of memory",
    inject: async ({ rig, during }) => {
      await rig.redis((redis) => redis.config("SET", "maxmemory", MEMORY_MAX));
      await during(SHORT_MS);
    },
    heal: ({ rig }) =>
      rig.redis((redis) => redis.config("SET", "maxmemory", "0")).then(() => undefined),
    expect: sellsMeanwhile,
  },
  {
    id: "R6",
    title: "The disk of the append-only file full",
    kind: "small redis disk",
    rig: { disksMb: { redis: SMALL_DISK_MB } },
    isImpossible: whyNoDisks,
    inject: async (scene) => {
      const empty = fillDisk(scene.rig.folder.redis);
      await scene.during(SHORT_MS);
      empty();
    },
    expect: sellsMeanwhile,
  },
  {
    id: "R7a",
    title: "Redis' replies lost, its commands carried out",
    inject: overLink(SHORT_MS, ({ rig }) => rig.links.redis.drop("replies")),
    expect: sellsMeanwhile,
  },
  {
    id: "R7b",
    title: "Redis reached 2 s late",
    inject: overLink(SHORT_MS, ({ rig, random }) =>
      rig.links.redis.slow({ latencyMs: 1_000, jitterMs: 1_000, random }),
    ),
  },
  {
    id: "R7c",
    title: "Commands to Redis swallowed",
    inject: overLink(SHORT_MS, ({ rig }) => rig.links.redis.drop("requests")),
    expect: sellsMeanwhile,
  },
  {
    id: "R7d",
    title: "Commands to Redis held back and carried out late",
    inject: overLink(3_000, ({ rig }) => rig.links.redis.hold("requests")),
  },
  {
    id: "R7e",
    title: "Connections to Redis reset again and again",
    inject: async ({ rig, during, random }) => {
      for (let time = 0; time < 20; time += 1) {
        rig.links.redis.reset();
        await during(50 + 300 * random());
      }
    },
  },
  {
    id: "R7f",
    title: "Redis over a thin line: 20 kB/s, in slices, closed slowly",
    inject: overLink(SHORT_MS, ({ rig }) =>
      rig.links.redis.slow({ bytesPerS: 20_000, sliceBytes: 7, slowCloseMs: 500 }),
    ),
  },
  {
    id: "R7g",
    title: "One of two nodes without Redis",
    prepare: async ({ rig }) => {
      const lost = new URL(rig.servers.redisUrl);
      lost.port = "9";
      const node = await rig.join({ name: "without-redis", environment: { REDIS_URL: lost.href } });
      rig.doors.push(node.url);
    },
    inject: ({ during }) => during(SHORT_MS),
    expect: sellsMeanwhile,
  },
];
