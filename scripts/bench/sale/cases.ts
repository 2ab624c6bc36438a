// What one round measures, case by case. Every sale is a new one with buyers nobody has seen, except that
// their tokens are seen before where a case says so: as if they had looked at the sale before it opened.
import { loadavg } from "node:os";
import type { Tally } from "../closed-loop.ts";
import type { Heard } from "./crowd-ear.ts";
import { CLOSED_SALE_ID } from "./floor-buyers.ts";
import { ROWS_PER_UNIT } from "./floor-row-size.ts";
import type { Sizes } from "./options.ts";
import { buyPath } from "./sales.ts";
import type { CaseName, SaleSample } from "./sample.ts";
import type { Spent, Stage } from "./stage.ts";

const MANY_SOCKETS = 512;
const FEW_SOCKETS = 64;
const HOT_ROW_CLIENTS = 16;
const ROWS_IN_FLIGHT = 4;
/** Enough that none of them comes near the limit of a user's requests. */
const PASSERS_BY = 8_000;
const SMALL_CROWD = 100;
/** Purchases of one person that his burst of requests allows. */
const SMALL_CROWD_SALES = 36;
const CALM_SHARE = 0.5;
const CALM_SECONDS_FACTOR = 2;
const WARM_UP_SHARE = 0.3;
const MS_PER_S = 1_000;

type Side = "product" | "floor";

interface SellOut {
  readonly side: Side;
  readonly units: number;
  readonly sales?: number;
  readonly sockets?: number;
  readonly isSeen?: boolean;
  /** Same people for every sale, one sale after the other. */
  readonly people?: number;
}

const SMALL_CROWD_SELL_OUT: SellOut = {
  ...{ side: "product", sales: SMALL_CROWD_SALES, units: SMALL_CROWD * SMALL_CROWD_SALES },
  ...{ people: SMALL_CROWD, sockets: SMALL_CROWD, isSeen: true },
};

type Measured = Omit<SaleSample, "load1">;

export class Cases {
  readonly #stage: Stage;
  readonly #sizes: Sizes;
  readonly #idleUsPerS: Readonly<Record<string, number>>;
  readonly #closedSale: string;
  #soldOutSale = "";
  readonly #peaks = new Map<Side, number>();

  private constructor(
    stage: Stage,
    sizes: Sizes,
    known: { readonly idleUsPerS: Readonly<Record<string, number>>; readonly closedSale: string },
  ) {
    this.#stage = stage;
    this.#sizes = sizes;
    this.#idleUsPerS = known.idleUsPerS;
    this.#closedSale = known.closedSale;
  }

  static async prepare(
    stage: Stage,
    sizes: Sizes,
    idleUsPerS: Readonly<Record<string, number>>,
  ): Promise<Cases> {
    const [closedSale = ""] = await stage.sales.open({ count: 1, units: 1, isAhead: true });
    return new Cases(stage, sizes, { idleUsPerS, closedSale });
  }

  async take(name: CaseName): Promise<SaleSample> {
    const load1 = loadavg()[0] ?? 0;
    return { ...(await this.#run(name)), load1 };
  }

  #run(name: CaseName): Promise<Measured> {
    const { units, fewUnits } = this.#sizes;
    const sellOut = (options: SellOut) => () => this.#sellOut(options);
    const runs: Readonly<Record<CaseName, () => Promise<Measured>>> = {
      bare64: () => this.#bare(FEW_SOCKETS),
      bare512: () => this.#bare(MANY_SOCKETS),
      skeleton: () => this.#skeleton(),
      hotRow: () => this.#inDatabase("hotRow", HOT_ROW_CLIENTS, 1),
      rows: () => this.#inDatabase("rows", ROWS_IN_FLIGHT, ROWS_PER_UNIT),
      floorSale: () => this.#peak({ side: "floor", units, isSeen: true }),
      sale: () => this.#peak({ side: "product", units, isSeen: true }),
      floorFirstSeen: sellOut({ side: "floor", units }),
      saleFirstSeen: sellOut({ side: "product", units }),
      duplicate: () => this.#duplicate(),
      soldOut: () => this.#refused(() => this.#soldOut()),
      notStarted: () => this.#refused(() => Promise.resolve(this.#closedSale)),
      floorCalm: () => this.#calm("floor"),
      calm: () => this.#calm("product"),
      drain: () => this.#drain(),
      sales10: sellOut({ side: "product", units: fewUnits, sales: 10, isSeen: true }),
      floorSales100: sellOut({ side: "floor", units: fewUnits, sales: 100, isSeen: true }),
      sales100: sellOut({ side: "product", units: fewUnits, sales: 100, isSeen: true }),
      buyers100: sellOut(SMALL_CROWD_SELL_OUT),
      buyers10k: sellOut({
        ...{ side: "product", units: fewUnits, sockets: SMALL_CROWD, isSeen: true },
      }),
    };
    return runs[name]();
  }

  async #bare(sockets: number): Promise<Measured> {
    const { urls, children } = this.#stage;
    await this.#stage.gather(PASSERS_BY);
    const path = buyPath(CLOSED_SALE_ID);
    return await this.#answers({ url: urls.bare, path, sockets }, [["floor", children.bare.pid]]);
  }

  async #skeleton(): Promise<Measured> {
    const { urls, children } = this.#stage;
    const { units } = this.#sizes;
    await this.#stage.gather(units + MANY_SOCKETS);
    await this.#show(urls.skeleton, CLOSED_SALE_ID);
    await children.skeleton.ask("open", { id: "3", units });
    const pids = new Map([["floor", children.skeleton.pid], ...this.#stage.sharedPids]);
    const { value, spent } = await this.#stage.watch(pids, () =>
      this.#stage.visit({
        ...{ url: urls.skeleton, paths: [buyPath("3")], sockets: MANY_SOCKETS, route: "spread" },
        ...{ visits: units + MANY_SOCKETS, isPatient: false },
      }),
    );
    refuseOtherThan(units, value);
    const perSecond = (units * MS_PER_S) / value.lastPromiseMs;
    return { units, perSecond, ...this.#costOf(spent, units), winners: value.winners };
  }

  async #inDatabase(
    unit: "hotRow" | "rows",
    clients: number,
    unitsEach: number,
  ): Promise<Measured> {
    const { rows } = this.#stage.children;
    const { seconds } = this.#sizes;
    const pids = new Map([["floor", rows.pid], ...this.#stage.sharedPids]);
    await rows.start(unit, clients);
    await pause(seconds * WARM_UP_SHARE);
    await rows.mark();
    const { value: tally, spent } = await this.#stage.watch(pids, async (): Promise<Tally> => {
      await pause(seconds);
      return await rows.mark();
    });
    await rows.stop();
    if (tally.failure !== "") throw new Error(`${unit} failed: ${tally.failure}`);
    const units = tally.units * unitsEach;
    const perSecond = (units * MS_PER_S) / spent.elapsedMs;
    return { units, perSecond, ...this.#costOf(spent, units) };
  }

  async #peak(sellOut: SellOut): Promise<Measured> {
    const sample = await this.#sellOut(sellOut);
    this.#peaks.set(sellOut.side, sample.perSecond);
    return sample;
  }

  /** Sales from their opening to their last order row, and until no event waits any more. */
  async #sellOut(options: SellOut): Promise<Measured> {
    const { side, units, sales: count = 1, sockets = MANY_SOCKETS, people } = options;
    const { sales, schemas } = this.#stage;
    await this.#stage.gather(people ?? units + sockets);
    const ids = await this.#open(side, count, Math.floor(units / count));
    if (options.isSeen === true) await this.#showTo(side);
    const schema = schemas[side].order;
    let lastOrderMs = NaN;
    const { value, spent } = await this.#stage.watch(this.#pidsOf(side), async () => {
      const startMs = performance.now();
      const heard = await this.#stage.visit({
        ...{ url: this.#urlOf(side), paths: ids.map(buyPath), sockets, isPatient: true },
        ...(people === undefined
          ? { route: "spread", visits: units + sockets }
          : { route: "inTurn", visits: units }),
      });
      await sales.untilOrdered(schema, ids, units);
      lastOrderMs = performance.now() - startMs;
      await sales.untilPublished(Object.values<string>({ ...schemas[side] }));
      return heard;
    });
    await this.#refuseWrongSale({ heard: value, units, schema, ids });
    if (side === "product") this.#soldOutSale = ids[0] ?? "";
    return {
      units,
      perSecond: (units * MS_PER_S) / lastOrderMs,
      acceptedPerSecond: (value.winners.count * MS_PER_S) / Math.max(1, value.lastPromiseMs),
      sellOutMs: value.lastPromiseMs,
      lastOrderMs,
      ...this.#costOf(spent, units, side),
      winners: value.winners,
      losers: value.losers,
      answers: value.answers,
    };
  }

  /** The buyers of the last sale ask again: each is told the order he has. */
  async #duplicate(): Promise<Measured> {
    const path = buyPath(await this.#soldOut());
    return await this.#answers({ url: this.#stage.urls.shop, path, sockets: FEW_SOCKETS });
  }

  async #refused(saleOf: () => Promise<string>): Promise<Measured> {
    const path = buyPath(await saleOf());
    await this.#stage.gather(PASSERS_BY);
    await this.#showTo("product");
    return await this.#answers({ url: this.#stage.urls.shop, path, sockets: FEW_SOCKETS });
  }

  /** A sale without a unit left; the last one of this round, or a small one made for it. */
  async #soldOut(): Promise<string> {
    if (this.#soldOutSale === "") {
      await this.#sellOut({ side: "product", units: this.#sizes.fewUnits, isSeen: true });
    }
    return this.#soldOutSale;
  }

  /** Requests come at half of the peak rate, whatever the answers do; half of them find a unit. */
  async #calm(side: Side): Promise<Measured> {
    if (!this.#peaks.has(side)) {
      await this.#peak({ side, units: this.#sizes.fewUnits, isSeen: true });
    }
    const ratePerS = Math.max(1, Math.round((this.#peaks.get(side) ?? 0) * CALM_SHARE));
    const visits = Math.round(ratePerS * this.#sizes.seconds * CALM_SECONDS_FACTOR);
    const units = Math.ceil(visits / 2);
    const { sales, schemas } = this.#stage;
    await this.#stage.gather(visits);
    const ids = await this.#open(side, 1, units);
    await this.#showTo(side);
    const { value, spent } = await this.#stage.watch(this.#pidsOf(side), async () => {
      const heard = await this.#stage.visitOnTime({
        ...{ url: this.#urlOf(side), paths: ids.map(buyPath), sockets: MANY_SOCKETS },
        ...{ route: "spread", visits, ratePerS, isPatient: false },
      });
      await sales.untilOrdered(schemas[side].order, ids, heard.winners.count);
      return heard;
    });
    return {
      ...{ units: visits, perSecond: (visits * MS_PER_S) / value.lastAnswerMs, ratePerS },
      ...this.#costOf(spent, visits, side),
      ...{ winners: value.winners, losers: value.losers, answers: value.answers },
    };
  }

  /** The worker stands still while a sale sells; measured is how fast it makes the orders then. */
  async #drain(): Promise<Measured> {
    const { sales, schemas, shop } = this.#stage;
    const { units } = this.#sizes;
    const sockets = MANY_SOCKETS;
    await this.#stage.gather(units + sockets);
    const ids = await this.#open("product", 1, units);
    const worker = shop.pids.get("worker") ?? 0;
    let sold = 0;
    process.kill(worker, "SIGSTOP");
    try {
      const { answers } = await this.#stage.visit({
        ...{ url: shop.url, paths: ids.map(buyPath), sockets, route: "spread" },
        ...{ visits: units + sockets, isPatient: true },
      });
      // Fewer than the units when the backlog meets its limit: then the shop takes on no more.
      sold = (answers["queued"] ?? 0) + (answers["waiting"] ?? 0);
    } finally {
      process.kill(worker, "SIGCONT");
    }
    const { value: perSecond, spent } = await this.#stage.watch(this.#pidsOf("product"), () =>
      sales.drainRate(schemas.product.order, ids, sold),
    );
    await sales.untilPublished(Object.values<string>({ ...schemas.product }));
    return { units: sold, perSecond, ...this.#costOf(spent, sold) };
  }

  async #answers(
    { url, path, sockets }: { url: string; path: string; sockets: number },
    pids: Iterable<readonly [string, number]> = this.#stage.productPids,
  ): Promise<Measured> {
    const { seconds } = this.#sizes;
    const visits = { url, paths: [path], sockets, route: "spread", isPatient: false } as const;
    await this.#stage.visit({ ...visits, seconds: seconds * WARM_UP_SHARE });
    const counted = new Map([...pids, ["crowd", this.#stage.children.crowd.pid]]);
    const { value, spent } = await this.#stage.watch(counted, () =>
      this.#stage.visit({ ...visits, seconds }),
    );
    const units = Object.values(value.answers).reduce((sum, count) => sum + count, 0);
    const perSecond = (units * MS_PER_S) / spent.elapsedMs;
    const cost = this.#costOf(spent, units);
    return { units, perSecond, ...cost, losers: value.losers, answers: value.answers };
  }

  async #open(side: Side, count: number, units: number): Promise<readonly string[]> {
    if (side === "floor") return await this.#stage.openFloorSales(count, units);
    return await this.#stage.sales.open({ count, units });
  }

  async #showTo(side: Side): Promise<void> {
    const saleId = side === "floor" ? CLOSED_SALE_ID : this.#closedSale;
    await this.#show(this.#urlOf(side), saleId);
  }

  /** Everybody looks in before the opening, so that his token has been seen. */
  async #show(url: string, saleId: string): Promise<void> {
    const visits = this.#stage.peopleHere;
    await this.#stage.visit({
      ...{ url, paths: [buyPath(saleId)], sockets: FEW_SOCKETS, route: "spread", visits },
      isPatient: false,
    });
  }

  #urlOf(side: Side): string {
    return side === "floor" ? this.#stage.urls.floor : this.#stage.urls.shop;
  }

  #pidsOf(side: Side): ReadonlyMap<string, number> {
    return side === "floor" ? this.#stage.floorPids : this.#stage.productPids;
  }

  /** What the idle platform costs the servers is taken off the floors, not off the product. */
  #costOf(spent: Spent, units: number, side?: Side): Pick<SaleSample, "cpuUs" | "window"> {
    const { fromUs, untilUs } = spent;
    const isFloor = side === "floor" || "floor" in spent.cpuUs;
    const idleS = isFloor ? spent.elapsedMs / MS_PER_S : 0;
    const cpuUs = Object.entries(spent.cpuUs).map(([name, us]) => {
      const idleUs = (this.#idleUsPerS[name] ?? 0) * idleS;
      return [name, Math.max(0, us - idleUs) / units] as const;
    });
    return { cpuUs: Object.fromEntries(cpuUs), window: { fromUs, untilUs } };
  }

  /** Figures of a sale that sold more or less than its units are worth nothing. */
  async #refuseWrongSale(sold: {
    readonly heard: Heard;
    readonly units: number;
    readonly schema: string;
    readonly ids: readonly string[];
  }): Promise<void> {
    const { heard, units, schema, ids } = sold;
    const orders = await this.#stage.sales.ordersOf(schema, ids);
    const { promisedTwice, winners } = heard;
    if (orders === units && winners.count <= units && promisedTwice === 0) return;
    const answers = JSON.stringify(heard.answers);
    throw new Error(
      `${units} units became ${orders} orders, ${winners.count} promised: ${answers}`,
    );
  }
}

function refuseOtherThan(units: number, { winners, answers }: Heard): void {
  if (winners.count === units) return;
  throw new Error(`${winners.count} of ${units} units were sold: ${JSON.stringify(answers)}`);
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * MS_PER_S));
}
