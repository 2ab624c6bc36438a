// One sale that crowds storm, and the log of what its buyers heard. Nobody who has a promise is forgotten: the log
// is held against rows and figures when everything has come to rest.
import type { BuyerPlan } from "../../scripts/demo/buyer-plan.ts";
import { type Buyer, runCrowd } from "../../scripts/demo/buyers.ts";
import { Connections } from "../../scripts/demo/connections.ts";
import { createCrowd, madeUpUserId } from "../../scripts/demo/demo-sale.ts";
import { Witness } from "../../scripts/demo/witness.ts";
import type { Sale, SaleAudit } from "../../services/contracts/seckill.ts";
import { eventually } from "../support/eventually.ts";
import type { Stage } from "./stage.ts";

const AFTERWARDS_SOCKETS = 96;
const SETTLED_TIMEOUT_MS = 120_000;
const SOLD_TIMEOUT_MS = 60_000;
const AUDITED_TIMEOUT_MS = 60_000;
const LOOK_INTERVAL_MS = 500;
/** Ids of one sale's buyers. */
const BUYERS_MAX = 1_000_000;
/** Ids of those who come for what is left. */
const FIRST_LATE_BUYER = 900_000;
const LATE_BUYER_PAYS_AFTER_MS = 50;

let lastBlock = 0;

/** A number of its own for every sale of this process; those of a later process are higher. */
function nextBlock(): number {
  lastBlock = Math.max(lastBlock + 1, Math.floor(Date.now() / 1_000));
  return lastBlock;
}

export interface SaleOptions {
  readonly units: number;
  readonly title: string;
  /** Connections of those who want to buy. */
  readonly sockets: number;
  /** Where they go; undefined for the platform's own gateway. */
  readonly door: () => string | undefined;
}

export class StormedSale {
  readonly sale: Sale;
  readonly witness = new Witness();
  readonly afterwards: Connections;
  readonly #stage: Stage;
  readonly #buying: Connections;
  readonly #firstBuyer = nextBlock() * BUYERS_MAX;
  readonly #opensMs: number;
  readonly #crowds: Promise<void>[] = [];
  #late = FIRST_LATE_BUYER;

  private constructor(stage: Stage, sale: Sale, { sockets, door }: SaleOptions) {
    this.#stage = stage;
    this.sale = sale;
    this.#opensMs = performance.now() + Date.parse(sale.start_at) - Date.parse(sale.server_time);
    this.#buying = new Connections({ url: () => door() ?? stage.url, sockets });
    this.afterwards = new Connections({ url: stage.url, sockets: AFTERWARDS_SOCKETS });
  }

  /** Published; it opens in a moment. Errors: those of the shop. */
  static async open(stage: Stage, options: SaleOptions): Promise<StormedSale> {
    const { units, title } = options;
    const sale = await stage.admin.openSale({ units, title });
    return new StormedSale(stage, sale, options);
  }

  /** By performance.now(), and never in the past. */
  get opensMs(): number {
    return Math.max(this.#opensMs, performance.now());
  }

  /** Buyers come; their times count from `opensMs`. */
  send(plans: readonly BuyerPlan[], opensMs: number): void {
    this.#crowds.push(this.#run(plans, opensMs, this.#buying));
  }

  /** Buyers come, on other connections than the crowd's. */
  sendApart(plans: readonly BuyerPlan[], opensMs: number): void {
    this.#crowds.push(this.#run(plans, opensMs, this.afterwards));
  }

  /** Rejects when for so many milliseconds nobody more has learnt what became of his attempts. */
  async whenDecided(buyers: number, stallMs: number): Promise<void> {
    let { decided } = this.witness.counts;
    while (decided < buyers) {
      const before = decided;
      await eventually(() => this.witness.counts.decided > before, {
        timeoutMs: stallMs,
        what: `more than ${before} of ${buyers} buyers know what became of their attempts`,
      });
      ({ decided } = this.witness.counts);
    }
  }

  /** Everybody has paid, cancelled, come back or given up. */
  async whenGone(): Promise<void> {
    await Promise.all(this.#crowds);
  }

  /**
   * New buyers come for what is left when no order is in a status that still moves; answers how many units nobody
   * can get.
   */
  async sellTheRest(moving: readonly string[]): Promise<number> {
    const isMoving = ({ orders }: SaleAudit): boolean =>
      moving.some((status) => (orders[status] ?? 0) > 0);
    await eventually(async () => !isMoving(await this.audit()), {
      timeoutMs: SETTLED_TIMEOUT_MS,
      what: `no order is ${moving.join(" or ")}`,
      intervalMs: LOOK_INTERVAL_MS,
    });
    await eventually(() => this.#sellOnce(), {
      timeoutMs: SOLD_TIMEOUT_MS,
      what: "what is left can be bought",
      intervalMs: LOOK_INTERVAL_MS,
    }).catch(() => undefined);
    return (await this.audit()).remaining;
  }

  /** A shop that is being killed is asked again. */
  async audit(): Promise<SaleAudit> {
    return await eventually(() => this.#stage.admin.audit(this.sale.id), {
      timeoutMs: AUDITED_TIMEOUT_MS,
      what: "the sale can be audited",
      intervalMs: LOOK_INTERVAL_MS,
    });
  }

  get buyerOf(): (index: number) => Buyer {
    return createCrowd(this.#stage.settings.JWT_SECRET, this.#firstBuyer);
  }

  userIdOf(index: number): string {
    return madeUpUserId(this.#firstBuyer, index);
  }

  close(): void {
    this.#buying.close();
    this.afterwards.close();
  }

  async #sellOnce(): Promise<boolean> {
    const { remaining } = await this.audit();
    if (remaining === 0) return true;
    const plans = Array.from({ length: remaining }, () => this.#lateBuyer());
    await this.#run(plans, performance.now(), this.afterwards);
    return (await this.audit()).remaining === 0;
  }

  #lateBuyer(): BuyerPlan {
    this.#late += 1;
    return { ...calmBuyer(this.#late), paysAfterMs: LATE_BUYER_PAYS_AFTER_MS };
  }

  #run(plans: readonly BuyerPlan[], opensMs: number, connections: Connections): Promise<void> {
    return runCrowd({
      saleId: this.sale.id,
      opensMs,
      plans,
      buyerOf: this.buyerOf,
      connections,
      afterwards: this.afterwards,
      witness: this.witness,
      paymentWindowMs: this.#stage.settings.ORDER_PAYMENT_WINDOW_MS,
      run: `storm-${this.sale.id}`,
    });
  }
}

/** Comes at once, clicks once, never pays and does not come back. */
export function calmBuyer(index: number): BuyerPlan {
  return {
    index,
    persona: "human",
    arrivesMs: 0,
    clicks: 1,
    clickGapMs: 0,
    paysAfterMs: undefined,
    comesBackAfterMs: undefined,
  };
}
