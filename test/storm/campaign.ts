// Sale after sale on one platform under faults, a few side by side, until as many purchases have been acknowledged
// as were asked for. While one waits for its last buyers or is verified, the others are sold. What is done is
// written down after every sale.
import { seededRandom } from "../../scripts/demo/buyer-plan.ts";
import { eventually } from "../support/eventually.ts";
import { CampaignSale } from "./campaign-sale.ts";
import { startFaultLoop } from "./fault-loop.ts";
import { acknowledgedOf, type Campaign, writeCampaign } from "./records.ts";
import { type ArmedFault, SALE_FAULTS, type SaleFault } from "./sale-faults.ts";
import { openStage, type Stage } from "./stage.ts";

const SALES_AT_ONCE = 3;
/** In every so many sales half of the buyers go to an edge that dies at a crash point. */
const DOOMED_EVERY = 4;
const CRASH_POINTS = ["edge-dies-after-gate", "edge-dies-after-commit"] as const;
/** Commits that a doomed edge survives, at most. */
const PASSES_MAX = 8;
/** The admin signs in anew long before his token runs out. */
const STAGE_AGE_MAX_MS = 300_000;
const SIGN_IN = { timeoutMs: 60_000, what: "the admin signs in", intervalMs: 500 } as const;
const UNITS_MIN = 100;
/** For one crowd's seed to be far from the next one's. */
const SEED_STEP = 7_919;

export interface CampaignOptions {
  readonly dataDir: string;
  readonly purchases: number;
  readonly campaign: Campaign;
  readonly say: (text: string) => void;
}

/** How far it is, sales under way included. */
export interface Standing {
  readonly acknowledged: number;
  readonly sales: number;
  readonly faults: number;
}

interface Underway {
  readonly units: number;
  /** Undefined while it is being published. */
  sale: CampaignSale | undefined;
}

export class CampaignRun {
  readonly #options: CampaignOptions;
  readonly #startedMs = performance.now();
  readonly #before: number;
  readonly #underway = new Set<Underway>();
  /** Sales begun so far; each has a seed of its own. */
  #begun: number;
  #stage: Stage | undefined;
  #stageMs = 0;

  constructor(options: CampaignOptions) {
    this.#options = options;
    this.#before = options.campaign.seconds;
    this.#begun = options.campaign.sales.length;
  }

  get standing(): Standing {
    const { campaign } = this.#options;
    let acknowledged = acknowledgedOf(campaign);
    for (const { sale } of this.#underway) acknowledged += sale?.promised ?? 0;
    return {
      acknowledged,
      sales: campaign.sales.length,
      faults: Object.values(campaign.faults).reduce((sum, count) => sum + count, 0),
    };
  }

  /** Rejects with what the platform or the campaign fails with; violations are in the records. */
  async run(): Promise<void> {
    const { campaign } = this.#options;
    const faults = startFaultLoop(
      await this.#freshStage(),
      campaign.seed + campaign.sales.length,
      (fault) => this.#struck(fault),
    );
    try {
      await Promise.all(Array.from({ length: SALES_AT_ONCE }, () => this.#sellOn()));
    } finally {
      await faults.stop();
    }
  }

  /** One sale after the other, as long as those under way cannot be enough. */
  async #sellOn(): Promise<void> {
    const { campaign, purchases } = this.#options;
    for (;;) {
      // Every unit of a sale is promised at least once.
      let left = purchases - acknowledgedOf(campaign);
      for (const { units } of this.#underway) left -= units;
      if (left <= 0) return;
      await this.#sell(Math.min(campaign.units, Math.max(UNITS_MIN, left)));
    }
  }

  async #sell(units: number): Promise<void> {
    const { campaign } = this.#options;
    const number = (this.#begun += 1);
    const underway: Underway = { units, sale: undefined };
    this.#underway.add(underway);
    const stage = await this.#freshStage();
    const seed = campaign.seed + number * SEED_STEP;
    const doomed = number % DOOMED_EVERY === 0 ? await this.#doom(stage, seed) : null;
    let turn = 0;
    const door = (): string | undefined => {
      turn += 1;
      return turn % 2 === 0 ? doomed?.door() : undefined;
    };
    const sale = await CampaignSale.begin(stage, { units, seed, door });
    underway.sale = sale;
    campaign.open.push(sale.saleId);
    this.#write();
    await sale.whenDecided();
    await doomed?.heal();
    const record = await sale.verify();
    this.#underway.delete(underway);
    campaign.open.splice(campaign.open.indexOf(record.saleId), 1);
    campaign.sales.push(record);
    this.#write();
  }

  /** Null when the platform was just being killed; the next time then. */
  async #doom(stage: Stage, seed: number): Promise<ArmedFault | null> {
    const random = seededRandom(seed);
    const kind = CRASH_POINTS[Math.floor(random() * CRASH_POINTS.length)] ?? CRASH_POINTS[0];
    const passes = Math.floor(random() * PASSES_MAX);
    const armed = await SALE_FAULTS[kind](stage, { passes }).catch(() => null);
    if (armed !== null) this.#struck(kind);
    return armed;
  }

  #struck(fault: SaleFault): void {
    const { campaign } = this.#options;
    campaign.faults[fault] = (campaign.faults[fault] ?? 0) + 1;
    this.#options.say(fault);
  }

  #write(): void {
    const { campaign, dataDir } = this.#options;
    campaign.seconds = this.#before + (performance.now() - this.#startedMs) / 1_000;
    writeCampaign(dataDir, campaign);
  }

  async #freshStage(): Promise<Stage> {
    const isOld = performance.now() - this.#stageMs > STAGE_AGE_MAX_MS;
    if (this.#stage === undefined || isOld) {
      // A shop that is just being killed is asked again.
      this.#stage = await eventually(() => openStage(this.#options.dataDir), SIGN_IN);
      this.#stageMs = performance.now();
    }
    return this.#stage;
  }
}
