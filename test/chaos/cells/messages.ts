// N1-N7 and B1: NATS is killed, emptied, frozen, full or badly reached; events come twice, late, in disorder, or
// cannot be understood; nobody consumes. Events live in the outbox until they have taken effect.
import { mkdirSync, rmSync } from "node:fs";
import { connect, type NatsConnection, StringCodec } from "nats";
import { natsOptions } from "../../../moleculer.config.ts";
import { eventually } from "../../support/eventually.ts";
import { type Cell, type Scene, unless } from "../cell.ts";
import { whyNoDisks } from "../machine.ts";
import { fillDisk, type Rig } from "../rig.ts";
import type { Seen } from "../witness.ts";

const SHORT_MS = 4_000;
const DISK_MB = 24;
const OWNERS = ["order", "payment", "seckill", "product"] as const;
const POISON_TIMEOUT_MS = 120_000;

async function withNats<T>(
  { servers }: Rig,
  work: (nats: NatsConnection) => Promise<T>,
): Promise<T> {
  const nats = await connect(natsOptions(servers.natsUrl));
  try {
    return await work(nats);
  } finally {
    await nats.close();
  }
}

function limitStreams(rig: Rig, maxBytes: number): Promise<void> {
  return withNats(rig, async (nats) => {
    const manager = await nats.jetstreamManager();
    for await (const { config } of manager.streams.list()) {
      await manager.streams.update(config.name, { ...config, max_bytes: maxBytes });
    }
  });
}

/** Everything that was published in the last minute is published again, in disorder. */
async function republish({ rig }: Scene): Promise<void> {
  for (const owner of OWNERS) {
    await rig.sql(
      `UPDATE {${owner}}.outbox SET published_at = NULL, claimed_until = NULL
       WHERE created_at > NOW(3) - INTERVAL 1 MINUTE ORDER BY RAND()`,
    );
  }
}

async function poison({ rig, during }: Scene): Promise<void> {
  const namespace = rig.source.nameOf("order").replace(/_order$/, "");
  await withNats(rig, async (nats) => {
    for (const name of ["order.paid.v1", "order.cancelled.v1", "seckill.admitted.v1"]) {
      for (const text of ["{", '{"data":1}', ""]) {
        nats.publish(`${namespace}.events.${name}`, StringCodec().encode(text));
      }
    }
    await nats.flush();
  });
  await during(SHORT_MS);
}

/** What cannot be understood ends where an admin sees it, and stays there. */
async function poisonIsSeen({ rig }: Scene): Promise<readonly string[]> {
  let found = 0;
  const count = async (): Promise<number> => {
    const [row] = await rig.sql<{ found: string }>(
      `SELECT (SELECT COUNT(*) FROM {inventory}.dead_letters) +
              (SELECT COUNT(*) FROM {order}.dead_letters) AS found`,
    );
    return (found = Number(row?.found));
  };
  await eventually(async () => (await count()) > 0, {
    timeoutMs: POISON_TIMEOUT_MS,
    what: "dead letters",
    intervalMs: 1_000,
  }).catch(() => undefined);
  return unless(found > 0, "no dead letter tells of what could not be understood");
}

const consumes = (_: Scene, { statuses }: Seen): readonly string[] =>
  unless((statuses["500"] ?? 0) === 0, "somebody was answered 500");

export const MESSAGE_CELLS: readonly Cell[] = [
  {
    id: "N1",
    title: "NATS killed",
    inject: async ({ rig, during }) => {
      await rig.killServer("nats");
      await during(SHORT_MS);
    },
  },
  {
    id: "N1b",
    title: "NATS frozen for 10 s",
    inject: async ({ rig, during }) => {
      await rig.server("nats").kill("SIGSTOP");
      await during(10_000);
    },
  },
  {
    id: "N2",
    title: "NATS killed, its store deleted",
    inject: async ({ rig, during }) => {
      await rig.killServer("nats");
      rmSync(rig.folder.nats, { recursive: true, force: true });
      mkdirSync(rig.folder.nats, { mode: 0o700 });
      await during(1_000);
    },
  },
  {
    id: "N3",
    title: "Streams full",
    inject: async ({ rig, during }) => {
      await limitStreams(rig, 1);
      await during(SHORT_MS);
      await limitStreams(rig, 1024 * 1024 * 1024);
    },
  },
  {
    id: "N4",
    title: "The disk of the streams full",
    kind: "small message disk",
    rig: { disksMb: { nats: DISK_MB } },
    isImpossible: whyNoDisks,
    inject: async ({ rig, during }) => {
      const empty = fillDisk(rig.folder.nats);
      await during(SHORT_MS);
      empty();
      // It does not heal by itself when there is room again; its operator restarts it.
      await rig.killServer("nats");
    },
  },
  {
    id: "N5a",
    title: "Every event published again, in disorder",
    inject: async (scene) => {
      for (let time = 0; time < 3; time += 1) {
        await republish(scene);
        await scene.during(1_500);
      }
    },
    expect: consumes,
  },
  {
    id: "N5b",
    title: "Acknowledgements lost: events delivered again",
    inject: async ({ rig, during }) => {
      for (let time = 0; time < 4; time += 1) {
        rig.links.nats.drop("requests");
        await during(250);
        rig.links.nats.mend();
        await during(1_200);
      }
    },
  },
  { id: "N6", title: "Events nobody can understand", inject: poison, expect: poisonIsSeen },
  {
    id: "N7a",
    title: "NATS' messages swallowed for 8 s",
    inject: async ({ rig, during }) => {
      rig.links.nats.drop("replies");
      await during(8_000);
    },
  },
  {
    id: "N7b",
    title: "Connections to NATS reset again and again",
    inject: async ({ rig, during, random }) => {
      for (let time = 0; time < 8; time += 1) {
        rig.links.nats.reset();
        await during(200 + 800 * random());
      }
    },
  },
  {
    id: "B1",
    title: "Nobody consumes for 60 s under load",
    inject: async ({ rig, during }) => {
      rig.signal("worker", "SIGSTOP");
      await during(60_000);
    },
  },
];
