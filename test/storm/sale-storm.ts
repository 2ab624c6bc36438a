// One sale under storm: some buyers come first, then the fault and all the others together. What the buyers heard
// is held against the shop's own figures when everything has come to rest.
//
//   scouts ─▶ each has a promise ─▶ fault + crowd ─▶ everybody knows ─▶ healed       rage()
//   payments, expiries ─▶ every unit left is bought by somebody new ─▶ audit         judge()
import { setTimeout as delay } from "node:timers/promises";
import type { BuyerPlan } from "../../scripts/demo/buyer-plan.ts";
import { planCrowd, seededRandom } from "../../scripts/demo/buyer-plan.ts";
import { runCrowd } from "../../scripts/demo/buyers.ts";
import { Connections } from "../../scripts/demo/connections.ts";
import { createCrowd } from "../../scripts/demo/demo-sale.ts";
import { type Check, judge, unsettled } from "../../scripts/demo/verdict.ts";
import { Witness } from "../../scripts/demo/witness.ts";
import type { Sale } from "../../services/contracts/seckill.ts";
import { must } from "../../services/kernel/assert.ts";
import { eventually } from "../support/eventually.ts";
import { type ArmedFault, SALE_FAULTS, type SaleFault } from "./sale-faults.ts";
import type { Stage } from "./stage.ts";

const AFTERWARDS_SOCKETS = 32;
/** Buyers that are let in before anything happens, as a share of the units. */
const SCOUT_SHARE = 0.4;
const SCOUTED_TIMEOUT_MS = 30_000;
/** The fault comes at a moment of these first milliseconds of the crowd. */
const STRIKE_WITHIN_MS = 60;
const DECIDED_TIMEOUT_MS = 90_000;
const SETTLED_TIMEOUT_MS = 60_000;
const SOLD_TIMEOUT_MS = 45_000;
const LOOK_INTERVAL_MS = 500;
/** Room for ids of buyers between two sales that begin in one second and the next. */
const BUYERS_MAX = 1_000_000;
const LATE_BUYER_PAYS_AFTER_MS = 50;

export interface StormScene {
  readonly buyers: number;
  readonly units: number;
  readonly seed: number;
  /** First requests per second. */
  readonly ratePerS: number;
  readonly fault: SaleFault | undefined;
}

const NO_FAULT: ArmedFault = {
  door: () => undefined,
  strike: () => Promise.resolve(),
  heal: () => Promise.resolve(),
};

export class SaleStorm {
  readonly witness = new Witness();
  readonly #stage: Stage;
  readonly #scene: StormScene;
  readonly #firstBuyer = Math.floor(Date.now() / 1_000) * BUYERS_MAX;
  readonly #crowds: Promise<void>[] = [];
  readonly #buying: Connections;
  readonly #afterwards: Connections;
  #fault = NO_FAULT;
  #sale: Sale | undefined;
  #late = 0;

  constructor(stage: Stage, scene: StormScene) {
    this.#stage = stage;
    this.#scene = scene;
    const url = (): string => this.#fault.door() ?? stage.url;
    this.#buying = new Connections({ url, sockets: scene.buyers });
    this.#afterwards = new Connections({ url: stage.url, sockets: AFTERWARDS_SOCKETS });
  }

  get sale(): Sale {
    return must(this.#sale, "the sale");
  }

  /** Resolves when every buyer knows what has become of his attempts, and the fault is healed. */
  async rage(): Promise<void> {
    const { buyers, units, seed, ratePerS, fault } = this.#scene;
    const { admin, settings } = this.#stage;
    const paymentWindowMs = settings.ORDER_PAYMENT_WINDOW_MS;
    if (fault !== undefined) this.#fault = await SALE_FAULTS[fault](this.#stage);
    this.#sale = await admin.openSale(units, `Storm ${fault ?? "without a fault"}, seed ${seed}`);
    const opensMs =
      performance.now() + Date.parse(this.#sale.start_at) - Date.parse(this.#sale.server_time);
    const plans = planCrowd({ buyers, ratePerS, seed, paymentWindowMs });
    const scouts = plans.slice(0, Math.ceil(units * SCOUT_SHARE));
    void this.#send(scouts.map(asScout), { opensMs, connections: this.#afterwards });
    await eventually(() => this.witness.counts.promised >= scouts.length, {
      timeoutMs: SCOUTED_TIMEOUT_MS,
      what: "the first buyers have their promises",
    });
    const first = plans[scouts.length]?.arrivesMs ?? 0;
    void this.#send(plans.slice(scouts.length), {
      opensMs: performance.now() - first,
      connections: this.#buying,
    });
    await delay(seededRandom(seed)() * STRIKE_WITHIN_MS);
    await this.#fault.strike();
    try {
      await eventually(() => this.witness.counts.decided >= buyers, {
        timeoutMs: DECIDED_TIMEOUT_MS,
        what: "everybody knows what became of his attempts",
      });
    } finally {
      await this.#fault.heal();
    }
  }

  /** What was found when everything had come to rest. */
  async judge(): Promise<readonly Check[]> {
    await Promise.all(this.#crowds);
    const unsold = await this.#sellTheRest();
    const { admin, settings } = this.#stage;
    const { checks } = await judge({
      saleId: this.sale.id,
      admin,
      witness: this.witness,
      connections: this.#afterwards,
      buyerOf: this.#buyerOf(),
      paymentWindowMs: settings.ORDER_PAYMENT_WINDOW_MS,
      say: () => undefined,
    });
    this.#buying.close();
    this.#afterwards.close();
    const found = String(unsold);
    return [...checks, { name: "units that nobody could buy", found, isGood: unsold === 0 }];
  }

  /** New buyers come for what is left; answers how many units nobody can get. */
  async #sellTheRest(): Promise<number> {
    const { admin } = this.#stage;
    const audit = () => admin.audit(this.sale.id);
    await eventually(async () => unsettled(await audit()) === 0, {
      timeoutMs: SETTLED_TIMEOUT_MS,
      what: "orders are paid or cancelled",
      intervalMs: LOOK_INTERVAL_MS,
    });
    const isSold = async (): Promise<boolean> => {
      const { remaining } = await audit();
      if (remaining === 0) return true;
      const plans = Array.from({ length: remaining }, () => this.#lateBuyer());
      await this.#send(plans, { opensMs: performance.now(), connections: this.#afterwards });
      return (await audit()).remaining === 0;
    };
    await eventually(isSold, {
      timeoutMs: SOLD_TIMEOUT_MS,
      what: "what is left can be bought",
      intervalMs: LOOK_INTERVAL_MS,
    }).catch(() => undefined);
    return (await audit()).remaining;
  }

  #lateBuyer(): BuyerPlan {
    this.#late += 1;
    return {
      index: this.#scene.buyers + this.#late,
      persona: "human",
      arrivesMs: 0,
      clicks: 1,
      clickGapMs: 0,
      paysAfterMs: LATE_BUYER_PAYS_AFTER_MS,
      comesBackAfterMs: undefined,
    };
  }

  #send(
    plans: readonly BuyerPlan[],
    { opensMs, connections }: { readonly opensMs: number; readonly connections: Connections },
  ): Promise<void> {
    const crowd = runCrowd({
      saleId: this.sale.id,
      opensMs,
      plans,
      buyerOf: this.#buyerOf(),
      connections,
      afterwards: this.#afterwards,
      witness: this.witness,
      paymentWindowMs: this.#stage.settings.ORDER_PAYMENT_WINDOW_MS,
      run: `storm-${this.sale.id}`,
    });
    this.#crowds.push(crowd);
    return crowd;
  }

  #buyerOf() {
    return createCrowd(this.#stage.settings.JWT_SECRET, this.#firstBuyer);
  }
}

/** One click, so that each of them has one promise. */
function asScout(plan: BuyerPlan): BuyerPlan {
  return { ...plan, clicks: 1, arrivesMs: 0 };
}
