// One sale under one fault: some buyers come first, then the fault and all the others together. What the buyers
// heard is held against the shop's own figures when everything has come to rest.
//
//   scouts ─▶ each has a promise ─▶ fault + crowd ─▶ everybody knows ─▶ healed       rage()
//   payments, expiries ─▶ every unit left is bought by somebody new ─▶ audit         judge()
import { setTimeout as delay } from "node:timers/promises";
import { type BuyerPlan, planCrowd, seededRandom } from "../../scripts/demo/buyer-plan.ts";
import { type Check, judge, UNSETTLED } from "../../scripts/demo/verdict.ts";
import { must } from "../../services/kernel/assert.ts";
import { eventually } from "../support/eventually.ts";
import { type ArmedFault, SALE_FAULTS, type SaleFault } from "./sale-faults.ts";
import type { Stage } from "./stage.ts";
import { StormedSale } from "./stormed-sale.ts";

/** Buyers that are let in before anything happens, as a share of the units. */
const SCOUT_SHARE = 0.4;
const SCOUTED_TIMEOUT_MS = 30_000;
/** The fault comes at a moment of these first milliseconds of the crowd. */
const STRIKE_WITHIN_MS = 60;
const STALL_MAX_MS = 90_000;

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
  readonly #stage: Stage;
  readonly #scene: StormScene;
  #stormed: StormedSale | undefined;

  constructor(stage: Stage, scene: StormScene) {
    this.#stage = stage;
    this.#scene = scene;
  }

  /** Resolves when every buyer knows what has become of his attempts, and the fault is healed. */
  async rage(): Promise<void> {
    const { buyers, units, seed, ratePerS, fault } = this.#scene;
    const paymentWindowMs = this.#stage.settings.ORDER_PAYMENT_WINDOW_MS;
    const armed = fault === undefined ? NO_FAULT : await SALE_FAULTS[fault](this.#stage);
    const stormed = await StormedSale.open(this.#stage, {
      units,
      title: `Storm: ${fault ?? "no fault"}, seed ${seed}`,
      sockets: buyers,
      door: armed.door,
    });
    this.#stormed = stormed;
    const plans = planCrowd({ buyers, ratePerS, seed, paymentWindowMs });
    const scouts = plans.slice(0, Math.ceil(units * SCOUT_SHARE));
    stormed.sendApart(scouts.map(asScout), stormed.opensMs);
    await eventually(() => stormed.witness.counts.promised >= scouts.length, {
      timeoutMs: SCOUTED_TIMEOUT_MS,
      what: "the first buyers have their promises",
    });
    const firstMs = plans[scouts.length]?.arrivesMs ?? 0;
    stormed.send(plans.slice(scouts.length), performance.now() - firstMs);
    await delay(seededRandom(seed)() * STRIKE_WITHIN_MS);
    await armed.strike();
    try {
      await stormed.whenDecided(buyers, STALL_MAX_MS);
    } finally {
      await armed.heal();
    }
  }

  /** What was found when everything had come to rest. */
  async judge(): Promise<readonly Check[]> {
    const stormed = must(this.#stormed, "a sale that was stormed");
    await stormed.whenGone();
    const unsold = await stormed.sellTheRest(UNSETTLED);
    const { admin, settings } = this.#stage;
    const { checks } = await judge({
      saleId: stormed.sale.id,
      admin,
      witness: stormed.witness,
      connections: stormed.afterwards,
      buyerOf: stormed.buyerOf,
      paymentWindowMs: settings.ORDER_PAYMENT_WINDOW_MS,
      say: () => undefined,
    });
    stormed.close();
    const found = String(unsold);
    return [...checks, { name: "units that nobody could buy", found, isGood: unsold === 0 }];
  }
}

/** One click, so that each of them has one promise. */
function asScout(plan: BuyerPlan): BuyerPlan {
  return { ...plan, clicks: 1, arrivesMs: 0 };
}
