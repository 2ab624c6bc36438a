// S1-S6, C1-C2: nodes are killed at every spot between two effects, frozen, starved, restarted one after the other,
// unplugged, or live at another time.
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ORDER_FAILPOINTS } from "../../../services/order/failpoints.ts";
import { APPLY_FAILPOINTS } from "../../../services/payment/apply-callbacks.ts";
import { CLOSE_FAILPOINTS } from "../../../services/payment/close-orders.ts";
import { OPEN_FAILPOINTS } from "../../../services/payment/open-payment.ts";
import { RECEIVE_FAILPOINTS } from "../../../services/payment/receive-callback.ts";
import { REFUND_FAILPOINTS } from "../../../services/payment/refund-runner.ts";
import { RESERVE_FAILPOINTS } from "../../../services/inventory/reserve.ts";
import { SECKILL_FAILPOINTS } from "../../../services/seckill/failpoints.ts";
import { eventually } from "../../support/eventually.ts";
import { openSale, SALES } from "../../support/open-sale.ts";
import { tempFolder } from "../../support/temp-folder.ts";
import { type Cell, type Scene, unless } from "../cell.ts";
import type { Goods } from "../crowd.ts";
import { faketimeLibrary } from "../machine.ts";
import { type JoinedNode, ROLE_NAMES, type Rig, type RoleName } from "../rig.ts";
import { isServed } from "../witness.ts";
import { findFreePort } from "../../../scripts/launcher/ports.ts";

const SHORT_MS = 4_000;
const REACHED_TIMEOUT_MS = 40_000;
const POKE_MS = 500;
const BACK_MAX_MS = 3_000;
const EVERY_FAILPOINT = {
  ...prefixed("order", ORDER_FAILPOINTS),
  ...prefixed("seckill", SECKILL_FAILPOINTS),
  ...prefixed("inventory.reserve", RESERVE_FAILPOINTS),
  ...prefixed("payment.apply", APPLY_FAILPOINTS),
  ...prefixed("payment.close", CLOSE_FAILPOINTS),
  ...prefixed("payment.open", OPEN_FAILPOINTS),
  ...prefixed("payment.receive", RECEIVE_FAILPOINTS),
  ...prefixed("payment.refund", REFUND_FAILPOINTS),
  "consumer.committed": "consumer.committed",
  "outbox.published": "outbox.published",
};

function prefixed(owner: string, points: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.values(points).map((point) => [`${owner}:${point}`, point]));
}

/** Work that only the holder of a lease does: the doomed node must hold it. */
const LED = new Set<string>([
  SECKILL_FAILPOINTS.loadAfterEpoch,
  SECKILL_FAILPOINTS.loadAfterStock,
  "outbox.published",
]);
/** Reached by a node that finds what another one left. */
const FOUND = new Set<string>([
  ORDER_FAILPOINTS.placeAfterAbandon,
  ORDER_FAILPOINTS.placeAfterRelease,
]);

/** Reached when the provider must be asked before an order can be closed. */
const ASKED = new Set<string>([CLOSE_FAILPOINTS.afterClosing, CLOSE_FAILPOINTS.afterProvider]);

/** A node of the whole platform that dies where it is told to, while everybody uses it. */
function crashCell(point: string): Cell {
  let doomed: JoinedNode | undefined;
  return {
    id: `S1:${point}`,
    title: `A node killed at ${point}`,
    prepare: async (scene) => {
      const { rig } = scene;
      if (FOUND.has(point)) await leaveBehind(rig, scene);
      doomed = await rig.join({ name: "doomed", crashAt: point });
      if (LED.has(point)) await handOver(rig);
      rig.doors.push(doomed.url);
    },
    inject: async (scene) => {
      const victim = doomed?.process;
      // Or the worker would find it as often; what is healed comes to life again.
      if (FOUND.has(point)) scene.rig.signal("worker", "SIGSTOP");
      await eventually(
        async () => {
          if (victim?.isRunning() === true) await poke(scene, point);
          return victim?.isRunning() !== true;
        },
        { timeoutMs: REACHED_TIMEOUT_MS, what: `${point} is reached`, intervalMs: POKE_MS },
      );
    },
  };
}

/** Placings that nobody finishes: a node dies with them. */
async function leaveBehind(rig: Rig, { during }: Scene): Promise<void> {
  const crashAt = ORDER_FAILPOINTS.placeAfterReserve;
  const before = await rig.join({ name: "before", crashAt });
  const [sku] = [await rig.shop.product(10)];
  const [buyer] = await rig.shop.madeUpCustomers(1);
  const body = { items: [{ sku_id: sku.skuId, quantity: 1 }] };
  await fetch(`${before.url}/api/v1/orders`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "idempotency-key": `left-behind-${String(performance.now())}`,
      authorization: `Bearer ${buyer?.token ?? ""}`,
    },
    body: JSON.stringify(body),
  }).catch(() => undefined);
  await during(POKE_MS);
}

/** The worker leaves in good order, so that its leases go to the node that has joined. */
async function handOver(rig: Rig): Promise<void> {
  const pid = rig.pidOf("worker");
  rig.signal("worker", "SIGTERM");
  await rig.whenBack("worker", pid);
}

/** What steady load alone does not bring about. */
async function poke({ rig, goods }: Scene, point: string): Promise<void> {
  if (ASKED.has(point)) await cancelWithOpenPayment(rig, goods);
  if (point === SECKILL_FAILPOINTS.loadAfterEpoch || point === SECKILL_FAILPOINTS.loadAfterStock) {
    await rig.redis((redis) => redis.flushall());
  }
  if (point.startsWith("seckill.publish") || point.startsWith("seckill.close")) {
    const { admin } = rig.shop;
    const url = rig.doors.at(-1) ?? "";
    const sale = await openSale(rig.shop, { quantity: 1 });
    const headers = {
      authorization: `Bearer ${admin.token ?? ""}`,
      "content-type": "application/json",
    };
    const draft = await admin.create<{ id: string }>(SALES, {
      sku_id: goods.plentySkus[0],
      price: 100,
      quantity: 1,
      start_at: new Date().toISOString(),
      end_at: new Date(Date.now() + 60_000).toISOString(),
    });
    for (const path of [`${draft.data.id}/publish`, `${sale.id}/close`]) {
      await fetch(`${url}${SALES}/${path}`, { method: "POST", headers }).catch(() => undefined);
    }
  }
}

/** Asks the doomed node, which must ask the provider before it can say that nothing is paid any more. */
async function cancelWithOpenPayment({ shop, doors }: Rig, { plentySkus }: Goods): Promise<void> {
  const [buyer] = await shop.madeUpCustomers(1);
  const order = await shop.placed(buyer!, plentySkus[0] ?? "");
  await shop.openPayment(buyer!, order.id);
  const headers = { authorization: `Bearer ${buyer?.token ?? ""}` };
  const url = `${doors.at(-1) ?? ""}/api/v1/orders/${order.id}/cancel`;
  await fetch(url, { method: "POST", headers }).catch(() => undefined);
}

interface Back {
  /** When each role had started again, ms after its death. */
  readonly started: ReadonlyMap<RoleName, number>;
  /** When every gateway could serve again. */
  readonly readyMs: number;
}

async function killAll(rig: Rig, roles: readonly RoleName[]): Promise<Back> {
  const started = new Map<RoleName, number>();
  const before = roles.map((role) => [role, rig.pidOf(role)] as const);
  const startMs = performance.now();
  for (const role of roles) rig.signal(role, "SIGKILL");
  await Promise.all(
    before.map(async ([role, pid]) => {
      await rig.whenBack(role, pid);
      started.set(role, Math.round(performance.now() - startMs));
    }),
  );
  await rig.whenReady();
  return { started, readyMs: Math.round(performance.now() - startMs) };
}

/** Killed twice: before anybody comes, to see how long it takes, and under load. */
function killCell(id: string, roles: readonly RoleName[]): Cell {
  let back: Back = { started: new Map(), readyMs: 0 };
  const note = ({ figures }: Scene, when: string): void => {
    for (const [role, ms] of back.started) figures[`${role}_back_${when}_ms`] = ms;
    figures[`ready_${when}_ms`] = back.readyMs;
  };
  return {
    id,
    title: `${roles.join(", ")} killed by SIGKILL; the launcher brings ${roles.length === 1 ? "it" : "them"} back`,
    prepare: async (scene) => {
      back = await killAll(scene.rig, roles);
      note(scene, "at_rest");
    },
    inject: async (scene) => {
      back = await killAll(scene.rig, roles);
      note(scene, "under_load");
    },
    expect: () =>
      [...back.started].flatMap(([role, ms]) =>
        unless(ms < BACK_MAX_MS, `${role} was started again after ${String(ms)} ms`),
      ),
  };
}

/** A second node of everything stands beside while each process of the first is replaced. */
async function rollOver({ rig, during }: Scene): Promise<void> {
  for (const role of ROLE_NAMES) {
    const pid = rig.pidOf(role);
    rig.signal(role, "SIGTERM");
    await rig.whenBack(role, pid);
    await rig.whenReady();
    await during(1_000);
  }
}

const nothingFails = ({ witness }: Scene): readonly string[] => {
  const failed = witness.exchanges.filter((one) => !isServed(one));
  const kinds = Map.groupBy(failed, ({ kind, outcome }) => `${kind} ${outcome}`);
  const counts = [...kinds].map(([name, all]) => `${name} × ${String(all.length)}`);
  return unless(failed.length === 0, `requests failed: ${counts.join(", ")}`);
};

async function second({ rig }: Scene): Promise<void> {
  const node = await rig.join({ name: "second" });
  rig.doors.push(node.url);
  await rig.whenReady();
}

/** The provider is somebody else's service: it is not restarted with the shop's processes. */
async function beside(scene: Scene): Promise<void> {
  const { rig } = scene;
  const port = await findFreePort();
  const environment = { PROVIDER_PORT: String(port) };
  await rig.join({ name: "provider", services: "provider", environment });
  rig.links.provider.pointTo(port);
  await second(scene);
}

/** Frozen and let go in turns: an event loop that hardly comes to run. */
async function starve({ rig, during }: Scene, role: RoleName): Promise<void> {
  const untilMs = performance.now() + 6_000;
  while (performance.now() < untilMs) {
    rig.signal(role, "SIGSTOP");
    await during(400);
    rig.signal(role, "SIGCONT");
    await during(60);
  }
}

/** A node whose wall clock jumps while it works; monotonic time goes on. */
function clockCell(id: string, step: string, what: string): Cell {
  let file = "";
  return {
    id,
    title: `The clock of one of two nodes jumps ${what}`,
    isImpossible: () =>
      existsSync(faketimeLibrary()) ? undefined : "libfaketime is not installed",
    prepare: async ({ rig }) => {
      file = join(tempFolder(), "clock");
      writeFileSync(file, "+0\n");
      const node = await rig.join({
        name: "other-time",
        environment: {
          LD_PRELOAD: faketimeLibrary(),
          FAKETIME_TIMESTAMP_FILE: file,
          FAKETIME_DONT_FAKE_MONOTONIC: "1",
          FAKETIME_NO_CACHE: "1",
        },
      });
      rig.doors.push(node.url);
      await rig.whenReady();
    },
    inject: async ({ during }) => {
      writeFileSync(file, `${step}\n`);
      await during(5_000);
      writeFileSync(file, "+0\n");
    },
  };
}

export const SERVICE_CELLS: readonly Cell[] = [
  ...Object.values(EVERY_FAILPOINT).map(crashCell),
  {
    id: "S2",
    title: "Every process restarted in turn under load",
    prepare: beside,
    inject: rollOver,
    expect: nothingFails,
  },
  {
    id: "S3",
    title: "One of two nodes frozen for 8 s",
    prepare: second,
    inject: async ({ rig, during }) => {
      for (const role of ["core", "worker"] as const) rig.signal(role, "SIGSTOP");
      await during(8_000);
    },
  },
  {
    id: "S4a",
    title: "The gateway's event loop starved",
    inject: (scene) => starve(scene, "edge"),
  },
  { id: "S4b", title: "The core's event loop starved", inject: (scene) => starve(scene, "core") },
  killCell("S5a", ["edge"]),
  killCell("S5b", ["core"]),
  killCell("S5c", ["worker"]),
  killCell("S6", ROLE_NAMES),
  clockCell("C1a", "+30", "30 s ahead"),
  clockCell("C1b", "-30", "30 s back"),
  clockCell("C1c", "+3600", "an hour ahead"),
  clockCell("C1d", "-3600", "an hour back"),
  {
    id: "C2",
    title: "Everything killed at once and started in any order",
    inject: async ({ rig, during, random }) => {
      const kinds = ["mysql", "redis", "nats"] as const;
      for (const role of ROLE_NAMES) rig.signal(role, "SIGKILL");
      await Promise.all(kinds.map((kind) => rig.killServer(kind)));
      for (const kind of kinds.toSorted(() => random() - 0.5)) {
        await during(500 * random());
        await rig.startServer(kind);
      }
      await during(SHORT_MS);
    },
  },
];
