// P1-P6: callbacks come many times, late, in the wrong order or forged; the payment provider is away, slow, or its
// answers are lost. Money is taken once, given back once, and never kept for an order that is not there.
import { eventually } from "../../support/eventually.ts";
import type { HttpClient } from "../../support/http-client.ts";
import type { Order } from "../../../services/contracts/order.ts";
import type { Payment } from "../../../services/contracts/payment.ts";
import { PAYMENT_WINDOW_MS, type Rig } from "../rig.ts";
import { type Cell, type Scene, unless } from "../cell.ts";

const SHORT_MS = 5_000;
const PATIENCE_MS = 30_000;
const STORM = 100;
const STORMS = 5;

interface Bill {
  readonly buyer: HttpClient;
  readonly order: Order;
  readonly payment: Payment;
}

async function bills({ rig, goods }: Scene, count: number): Promise<readonly Bill[]> {
  const buyers = await rig.shop.madeUpCustomers(count);
  const patiently = <T>(what: string, attempt: () => Promise<T>): Promise<Exclude<T, undefined>> =>
    eventually(attempt, { timeoutMs: PATIENCE_MS, what, intervalMs: 500 }) as never;
  return await Promise.all(
    buyers.map(async (buyer) => {
      const sku = goods.plentySkus[0] ?? "";
      const order = await patiently("an order is placed", () => rig.shop.placed(buyer, sku));
      const payment = await patiently("a payment is opened", () =>
        rig.shop.openPayment(buyer, order.id),
      );
      return { buyer, order, payment };
    }),
  );
}

/** Status of each payment by the rows. */
async function statesOf(rig: Rig, all: readonly Bill[]): Promise<readonly string[]> {
  const rows = await rig.sql<{ state: string }>(
    "SELECT status AS state FROM {payment}.payments WHERE id IN (?)",
    [all.map(({ payment }) => payment.id)],
  );
  return rows.map(({ state }) => state);
}

function billedCell(
  id: string,
  title: string,
  parts: {
    readonly count: number;
    readonly act: (scene: Scene, all: readonly Bill[]) => Promise<void>;
    /** What every one of these payments must have become. */
    readonly ends: readonly string[];
  },
): Cell {
  let all: readonly Bill[] = [];
  return {
    id,
    title,
    inject: async (scene) => {
      all = await bills(scene, parts.count);
      await parts.act(scene, all);
    },
    expect: async ({ rig }) => {
      const wrong = (await statesOf(rig, all)).filter((state) => !parts.ends.includes(state));
      return unless(wrong.length === 0, `payments ended ${wrong.join(", ")}`);
    },
  };
}

const linkCell = (id: string, title: string, spoil: (scene: Scene) => void): Cell => ({
  id,
  title,
  inject: async (scene) => {
    spoil(scene);
    await scene.during(SHORT_MS);
  },
});

/** Forged and wrong callbacks; answers those that were believed. */
async function forge({ rig }: Scene, all: readonly Bill[]): Promise<readonly string[]> {
  const { shop } = rig;
  const believed: string[] = [];
  for (const { payment } of all) {
    const wrongs = {
      amount: await shop.callback(payment, { amount: payment.amount - 1 }),
      key: await shop.callback(payment, {
        secret: `whsec_${Buffer.alloc(32, 1).toString("base64")}`,
      }),
      body: await shop.callback(payment, { tamper: true }),
      old: await shop.callback(payment, { ageS: -600 }),
      early: await shop.callback(payment, { ageS: 600 }),
    };
    for (const [what, { status }] of Object.entries(wrongs)) {
      if (status < 400) believed.push(what);
    }
  }
  return believed;
}

function forgedCell(): Cell {
  let all: readonly Bill[] = [];
  let believed: readonly string[] = [];
  return {
    id: "P4",
    title: "Callbacks with another amount, key, body or time",
    inject: async (scene) => {
      all = await bills(scene, 5);
      believed = await forge(scene, all);
    },
    expect: async ({ rig }) => {
      const moved = (await statesOf(rig, all)).filter((state) => state !== "closed");
      return [
        ...unless(believed.length === 0, `believed: ${believed.join(", ")}`),
        ...unless(moved.length === 0, `payments that moved: ${moved.join(", ")}`),
      ];
    },
  };
}

export const PAYMENT_CELLS: readonly Cell[] = [
  billedCell("P1", "Each callback a hundred times at once", {
    count: STORMS,
    ends: ["succeeded"],
    act: async ({ rig }, all) => {
      for (const { payment } of all) {
        const webhookId = `storm-${payment.id}`;
        await Promise.all(
          Array.from({ length: STORM }, () => rig.shop.callback(payment, { webhookId })),
        );
      }
    },
  }),
  billedCell("P2", "Callbacks after the order was cancelled", {
    count: 5,
    ends: ["refunded"],
    act: async ({ rig, during }, all) => {
      await during(PAYMENT_WINDOW_MS + 5_000);
      await Promise.all(all.map(({ payment }) => rig.shop.callback(payment)));
    },
  }),
  billedCell("P3", "Callbacks in the wrong order", {
    count: 6,
    ends: ["succeeded"],
    act: async ({ rig, random }, all) => {
      for (const { payment } of all) {
        const statuses = ["succeeded", "failed", "succeeded"] as const;
        for (const status of statuses.toSorted(() => random() - 0.5)) {
          await rig.shop.callback(payment, { status });
        }
      }
    },
  }),
  forgedCell(),
  linkCell("P5a", "The provider cannot be reached", ({ rig }) => rig.links.provider.cut()),
  linkCell("P5b", "The provider does what it is asked, its answers are lost", ({ rig }) =>
    rig.links.provider.drop("replies"),
  ),
  linkCell("P5c", "The provider answers after 2 to 4 s", ({ rig, random }) =>
    rig.links.provider.slow({ latencyMs: 1_000, jitterMs: 1_000, random }),
  ),
  linkCell("P6a", "Callbacks stored, the provider never hears it", ({ rig }) =>
    rig.links.callbacks.drop("replies"),
  ),
  linkCell("P6b", "Callbacks do not get through", ({ rig }) => rig.links.callbacks.cut()),
];
