// L1: more than the platform can do. It does what it can as well as before, refuses the rest at once and says when to
// come back, and hears of every payment.
import { connect, type Socket } from "node:net";
import { BenchChild } from "../../../scripts/bench/child-process.ts";
import { API } from "../../support/shop.ts";
import type { Payment } from "../../../services/contracts/payment.ts";
import { type Cell, type Scene, unless } from "../cell.ts";
import type { Flooded } from "../flood.ts";
import { openLoop } from "../open-loop.ts";

const S_MS = 1_000;
const OVERLOAD_MS = 6_000;
const OVERLOAD_FACTOR = 3;
const CUSTOMERS = 400;
const CALLBACKS = 60;
/** Of the peak that was measured before, in the same run. */
const GOODPUT_SHARE_MIN = 0.9;
const SLOW_SOCKETS = 1_500;
const ABUSER_RPS = 300;
const ABUSE_MS = 5_000;

/** Callbacks of payments that were opened before; answers how many were taken. */
async function callBack(scene: Scene, count: number, ms: number): Promise<() => Promise<number>> {
  const { rig, goods } = scene;
  const buyers = await rig.shop.madeUpCustomers(count);
  const payments: Payment[] = [];
  for (const buyer of buyers) {
    const order = await rig.shop.placed(buyer, goods.plentySkus[1] ?? "");
    payments.push(await rig.shop.openPayment(buyer, order.id));
  }
  return async () => {
    const answers = await Promise.all(
      payments.map(async (payment, turn) => {
        await scene.during((turn * ms) / count);
        return await rig.shop.callback(payment).catch(() => undefined);
      }),
    );
    return answers.filter((answer) => answer?.status === 204).length;
  };
}

function overload(): Cell {
  let callbacksTaken = 0;
  let share = 0;
  let refusedBadly = 0;
  return {
    id: "L1a",
    title: "Three times the orders it can take",
    rates: { orders: 2, buyers: 2, browsers: 2 },
    kind: "overload",
    rig: { settings: { ORDER_PAYMENT_WINDOW_MS: "60000" } },
    inject: async (scene) => {
      const { shop } = scene.rig;
      const callBackAll = await callBack(scene, CALLBACKS, OVERLOAD_MS);
      const buyers = await shop.madeUpCustomers(CUSTOMERS);
      const tokens = buyers.map(({ token = "" }) => token);
      const params = { url: shop.url, skuId: scene.goods.plentySkus[0] ?? "", tokens };
      const child = new BenchChild("../../test/chaos/flood.ts");
      const peak = (await child.ask("peak", params)) as number;
      const flooding = { ...params, perSecond: peak * OVERLOAD_FACTOR, ms: OVERLOAD_MS };
      const [flooded, taken] = await Promise.all([
        child.ask("flood", flooding) as Promise<Flooded>,
        callBackAll(),
      ]);
      child.end();
      callbacksTaken = taken;
      refusedBadly = flooded.refusedWithoutRetryAfter;
      const goodput = flooded.good / (OVERLOAD_MS / S_MS);
      share = goodput / peak;
      Object.assign(scene.figures, {
        peak_orders_per_s: Math.round(peak),
        goodput_orders_per_s: Math.round(goodput),
        goodput_share_of_peak: Number(share.toFixed(2)),
        ...{ sent: flooded.sent, refused: flooded.refused },
        others: JSON.stringify(flooded.others),
        refused_p50_ms: Math.round(flooded.refusedP50Ms),
        callbacks_taken: `${String(taken)} of ${String(CALLBACKS)}`,
      });
    },
    expect: () => [
      ...unless(share >= GOODPUT_SHARE_MIN, `goodput fell to ${share.toFixed(2)} of the peak`),
      ...unless(
        callbacksTaken === CALLBACKS,
        `${String(callbacksTaken)} callbacks of ${String(CALLBACKS)} were taken`,
      ),
      ...unless(
        refusedBadly === 0,
        `${String(refusedBadly)} refusals did not say when to come back`,
      ),
    ],
  };
}

/** Clients that send a byte now and then and never finish. */
async function crawl({ rig, during }: Scene): Promise<void> {
  const port = Number(new URL(rig.shop.url).port);
  const sockets: Socket[] = [];
  for (let count = 0; count < SLOW_SOCKETS; count += 1) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write("POST /api/v1/orders HTTP/1.1\r\nHost: shop\r\nX-Slow: ");
    sockets.push(socket);
  }
  for (let second = 0; second < 6; second += 1) {
    for (const socket of sockets) if (socket.writable) socket.write("x");
    await during(S_MS);
  }
  for (const socket of sockets) socket.destroy();
}

function abuse(): Cell {
  let limited = 0;
  return {
    id: "L1c",
    title: `One customer sends ${String(ABUSER_RPS)} requests a second`,
    inject: async (scene) => {
      const [abuser] = await scene.rig.shop.madeUpCustomers(1);
      const answers = await openLoop({ perSecond: ABUSER_RPS, ms: ABUSE_MS }, () =>
        abuser!.get(`${API}/orders`),
      );
      limited = answers.filter(({ answer }) => answer?.status === 429).length;
      scene.figures["requests_limited"] = `${String(limited)} of ${String(answers.length)}`;
    },
    expect: (_, { statuses }) => [
      ...unless(limited > 0, "the customer who sent too much was not limited"),
      ...unless((statuses["429"] ?? 0) === 0, "others were limited for him"),
    ],
  };
}

export const OVERLOAD_CELLS: readonly Cell[] = [
  overload(),
  {
    id: "L1b",
    title: `${String(SLOW_SOCKETS)} clients that never finish their requests`,
    inject: crawl,
    expect: (_, { statuses }) => unless((statuses["0"] ?? 0) === 0, "others were not answered"),
  },
  abuse(),
];
