// L1: more than the platform can do. It does what it can as well as before, refuses the rest at once and says when to
// come back, and hears of every payment.
import { connect, type Socket } from "node:net";
import { BenchChild } from "../../../scripts/bench/child-process.ts";
import type { FloorAnswer } from "../../../scripts/bench/floor-http.ts";
import { spreadOf } from "../../../scripts/bench/statistics.ts";
import { API } from "../../support/shop.ts";
import type { Payment } from "../../../services/contracts/payment.ts";
import { type Cell, type Scene, unless } from "../cell.ts";
import type { Flooded } from "../flood.ts";
import { openLoop } from "../open-loop.ts";

const S_MS = 1_000;
const OVERLOAD_MS = 6_000;
const OVERLOAD_FACTOR = 3;
const CUSTOMERS = 400;
const ROUNDS = 3;
/** How long a flood warms up a gateway that has never refused anybody; peaks are measured warm too. */
const WARM_UP_MS = 2_000;
/** Of the orders placed while somebody else refuses what is too much, how many a flood of the shop must leave. */
const GOODPUT_MIN = 0.9;
const REFUSED_P50_MAX_MS = 50;
/** In each round. */
const CALLBACKS = 20;
/** The floor's answer, from bare node:http: a shop cannot refuse at less than that. */
const BARE_REFUSAL: FloorAnswer = {
  status: 503,
  head: { "Retry-After": "1" },
  body: JSON.stringify({ error: "OVERLOADED" }),
};
/** More than are ever under way while who is refused is refused at once. */
const STANDING = 2_048;
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

interface Overload extends Pick<Cell, "id" | "title"> {
  /** Connections that are open when the flood begins. */
  readonly standing: number;
  /** Whether goodput and the refusals' time are held against what is asked of them. */
  readonly isJudged: boolean;
}

interface Round {
  /** Orders per second, before the flood. */
  readonly peak: number;
  readonly flooded: Flooded;
  /** The same flood, but what is more than the peak is sent to a server that does nothing but refuse. */
  readonly floor: Flooded;
  readonly callbacksTaken: number;
}

interface RoundPlan {
  readonly tokens: readonly string[];
  readonly standing: number;
  /** Of the server that refuses what is too much for the shop. */
  readonly bareUrl: string;
  /** Whether the floor is measured before the flood. */
  readonly isFloorFirst: boolean;
}

async function floodRound(
  scene: Scene,
  { tokens, standing, bareUrl, isFloorFirst }: RoundPlan,
): Promise<Round> {
  const callBackAll = await callBack(scene, CALLBACKS, OVERLOAD_MS);
  const { shop } = scene.rig;
  const params = { url: shop.url, skuId: scene.goods.plentySkus[0] ?? "", tokens };
  const child = new BenchChild("../../test/chaos/flood.ts");
  const surplus = { url: bareUrl, share: 1 - 1 / OVERLOAD_FACTOR };
  const peak = (await child.ask("peak", params)) as number;
  const flooding = { ...params, perSecond: peak * OVERLOAD_FACTOR, ms: OVERLOAD_MS, standing };
  const flood = async (change: object) =>
    (await child.ask("flood", { ...flooding, ...change })) as Flooded;
  await flood({ ms: WARM_UP_MS });
  const floorFirst = isFloorFirst ? await flood({ surplus }) : undefined;
  const [flooded, callbacksTaken] = await Promise.all([flood({}), callBackAll()]);
  const floor = floorFirst ?? (await flood({ surplus }));
  child.end();
  return { peak, flooded, floor, callbacksTaken };
}

function shareOf({ good }: Flooded, { peak }: Round): number {
  return good / (OVERLOAD_MS / S_MS) / peak;
}

function figuresOf(rounds: readonly Round[]): Scene["figures"] {
  const each = (of: (round: Round) => number | string) => rounds.map(of).join(", ");
  const taken = sum(rounds, ({ callbacksTaken }) => callbacksTaken);
  return {
    peak_orders_per_s: each(({ peak }) => Math.round(peak)),
    goodput_share_of_peak: each((round) => shareOf(round.flooded, round).toFixed(2)),
    floor_share_of_peak: each((round) => shareOf(round.floor, round).toFixed(2)),
    refused_p50_ms: each(({ flooded }) => Math.round(flooded.refusedP50Ms)),
    others: each(({ flooded }) => JSON.stringify(flooded.others)),
    sent: sum(rounds, ({ flooded }) => flooded.sent),
    refused: sum(rounds, ({ flooded }) => flooded.refused),
    generator_cores: each(({ flooded }) => flooded.generatorCores.toFixed(2)),
    callbacks_taken: `${String(taken)} of ${String(rounds.length * CALLBACKS)}`,
  };
}

function sum(rounds: readonly Round[], of: (round: Round) => number): number {
  return rounds.reduce((total, round) => total + of(round), 0);
}

function brokenBy(rounds: readonly Round[], isJudged: boolean): readonly string[] {
  const medianOf = (of: (round: Round) => number) => spreadOf(rounds.map(of)).median;
  const share = medianOf(({ flooded, floor }) => flooded.good / floor.good);
  const refusedMs = medianOf(({ flooded }) => flooded.refusedP50Ms);
  const missed = sum(rounds, ({ callbacksTaken }) => CALLBACKS - callbacksTaken);
  const mute = sum(rounds, ({ flooded }) => flooded.refusedWithoutRetryAfter);
  const unanswered = sum(rounds, ({ flooded }) => flooded.others["none"] ?? 0);
  const tooSlow = [
    ...unless(share >= GOODPUT_MIN, `goodput fell to ${share.toFixed(2)} of the floor`),
    ...unless(refusedMs <= REFUSED_P50_MAX_MS, `who was refused waited ${refusedMs.toFixed(0)} ms`),
  ];
  return [
    ...(isJudged ? tooSlow : []),
    ...unless(missed === 0, `${String(missed)} callbacks were not taken`),
    ...unless(mute === 0, `${String(mute)} refusals did not say when to come back`),
    ...unless(unanswered === 0, `${String(unanswered)} were never answered`),
  ];
}

/** Peak, flood and floor alternate: what else the machine does meanwhile changes by more than a tenth. */
function overload({ id, title, standing, isJudged }: Overload): Cell {
  const rounds: Round[] = [];
  return {
    ...{ id, title },
    rates: { orders: 2, buyers: 2, browsers: 2 },
    kind: "overload",
    rig: { isDirect: true, settings: { ORDER_PAYMENT_WINDOW_MS: "60000" } },
    inject: async (scene) => {
      const buyers = await scene.rig.shop.madeUpCustomers(CUSTOMERS);
      const tokens = buyers.map(({ token = "" }) => token);
      const bare = new BenchChild("floor-http.ts");
      const bareUrl = `http://127.0.0.1:${String(await bare.ask("listen", BARE_REFUSAL))}`;
      rounds.length = 0;
      while (rounds.length < ROUNDS) {
        const isFloorFirst = rounds.length % 2 === 1;
        rounds.push(await floodRound(scene, { tokens, standing, bareUrl, isFloorFirst }));
      }
      bare.end();
      Object.assign(scene.figures, figuresOf(rounds));
    },
    expect: () => brokenBy(rounds, isJudged),
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
  overload({
    ...{ id: "L1a", title: "Three times the orders it can take" },
    ...{ standing: STANDING, isJudged: true },
  }),
  // Node lets in one connection per turn of its event loop (ADR 14): what is placed may be late.
  overload({
    ...{ id: "L1d", title: "The same, and no connection is open when it begins" },
    ...{ standing: 0, isJudged: false },
  }),
  {
    id: "L1b",
    title: `${String(SLOW_SOCKETS)} clients that never finish their requests`,
    inject: crawl,
    expect: (_, { statuses }) => unless((statuses["0"] ?? 0) === 0, "others were not answered"),
  },
  abuse(),
];
