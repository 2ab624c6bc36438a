// L1: more than the platform can do. It does what it can as well as before, refuses the rest at once and says when to
// come back, and hears of every payment.
import { randomUUID } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { Answer, HttpClient } from "../../support/http-client.ts";
import { API } from "../../support/shop.ts";
import type { Payment } from "../../../services/contracts/payment.ts";
import { type Cell, type Scene, unless } from "../cell.ts";

const S_MS = 1_000;
const MEASURED_MS = 4_000;
const OVERLOAD_MS = 6_000;
const OVERLOAD_FACTOR = 3;
const CLOSED_LOOP_BUYERS = 24;
const CUSTOMERS = 400;
const CALLBACKS = 60;
/** An answer that comes later than this is of no use to its customer. */
const USEFUL_MS = 3_000;
const SLOW_SOCKETS = 1_500;
const ABUSER_RPS = 300;
const ABUSE_MS = 5_000;

interface Timed {
  readonly answer: Answer | undefined;
  readonly tookMs: number;
}

async function timed(send: () => Promise<Answer>): Promise<Timed> {
  const startMs = performance.now();
  const answer = await send().catch(() => undefined);
  return { answer, tookMs: performance.now() - startMs };
}

function placeAs(buyer: HttpClient, { goods }: Scene): Promise<Timed> {
  const body = { items: [{ sku_id: goods.plentySkus[0] ?? "", quantity: 1 }] };
  return timed(() => buyer.send("POST", `${API}/orders`, { body, key: randomUUID() }));
}

/** Orders per second when each of a few buyers orders again as soon as he is answered. */
async function measurePeak(scene: Scene, buyers: readonly HttpClient[]): Promise<number> {
  const endMs = performance.now() + MEASURED_MS;
  let placed = 0;
  const loop = async (from: number): Promise<void> => {
    for (let turn = from; performance.now() < endMs; turn += CLOSED_LOOP_BUYERS) {
      const { answer } = await placeAs(buyers[turn % buyers.length]!, scene);
      if (answer?.status === 201) placed += 1;
    }
  };
  await Promise.all(Array.from({ length: CLOSED_LOOP_BUYERS }, (_, from) => loop(from)));
  return placed / (MEASURED_MS / S_MS);
}

/** So many requests per second whatever is answered. */
async function flood(
  perSecond: number,
  ms: number,
  send: (turn: number) => Promise<Timed>,
): Promise<readonly Timed[]> {
  const startMs = performance.now();
  const all: Promise<Timed>[] = [];
  while (performance.now() - startMs < ms) {
    const due = Math.floor(((performance.now() - startMs) / S_MS) * perSecond);
    while (all.length < due) all.push(send(all.length));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return await Promise.all(all);
}

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
  let refusedBadly = 0;
  return {
    id: "L1a",
    title: "Three times the orders it can take",
    rates: { orders: 2, buyers: 2, browsers: 2 },
    kind: "overload",
    rig: { settings: { ORDER_PAYMENT_WINDOW_MS: "30000" } },
    inject: async (scene) => {
      const buyers = await scene.rig.shop.madeUpCustomers(CUSTOMERS);
      const callBackAll = await callBack(scene, CALLBACKS, OVERLOAD_MS);
      const peak = await measurePeak(scene, buyers);
      const [answers, taken] = await Promise.all([
        flood(peak * OVERLOAD_FACTOR, OVERLOAD_MS, (turn) =>
          placeAs(buyers[turn % buyers.length]!, scene),
        ),
        callBackAll(),
      ]);
      callbacksTaken = taken;
      const good = answers.filter((one) => one.answer?.status === 201 && one.tookMs <= USEFUL_MS);
      const refused = answers.filter(({ answer }) => answer?.status === 503);
      refusedBadly = refused.filter(
        ({ answer }) => answer?.headers["retry-after"] === undefined,
      ).length;
      const refusedMs = refused.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
      Object.assign(scene.figures, {
        peak_orders_per_s: Math.round(peak),
        goodput_orders_per_s: Math.round(good.length / (OVERLOAD_MS / S_MS)),
        refused: refused.length,
        refused_p50_ms: Math.round(refusedMs[Math.floor(refusedMs.length / 2)] ?? 0),
        callbacks_taken: `${String(taken)} of ${String(CALLBACKS)}`,
      });
    },
    expect: () => [
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
      const answers = await flood(ABUSER_RPS, ABUSE_MS, () =>
        timed(() => abuser!.get(`${API}/orders`)),
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
