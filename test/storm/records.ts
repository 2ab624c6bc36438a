// What a campaign has done so far, in a file that is replaced whole after every sale: whoever interrupts it loses
// the sales under way and nothing else.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FILE = "campaign.json";

/** Violations, all of which must be 0. */
export interface Violations {
  /** Promises without a row that belongs to the buyer who heard them. */
  lost: number;
  /** Units sold beyond those of the sale. */
  oversold: number;
  /** Units nobody could buy, and units that were neither sold nor returned. */
  undersold: number;
  /** Buyers with two live orders of one sale, and orders promised to two buyers. */
  twice: number;
}

export interface SaleRecord extends Violations {
  readonly saleId: string;
  readonly units: number;
  /** Acknowledged purchases. */
  readonly promised: number;
  readonly requests: number;
  readonly givenBack: number;
  readonly faults: readonly string[];
}

export interface Campaign {
  readonly seed: number;
  readonly units: number;
  readonly startedAt: string;
  /** Of all its parts, without what lay between them. */
  seconds: number;
  interruptions: number;
  isFinished: boolean;
  readonly sales: SaleRecord[];
  /** Sales under way, and those that an interruption left: audited in the end, and not counted. */
  readonly open: string[];
  /** How often each fault struck. */
  readonly faults: Record<string, number>;
}

export function newCampaign(seed: number, units: number): Campaign {
  return {
    seed,
    units,
    startedAt: new Date().toISOString(),
    seconds: 0,
    interruptions: 0,
    isFinished: false,
    sales: [],
    open: [],
    faults: {},
  };
}

/** Undefined when none was begun in this folder. */
export function readCampaign(dataDir: string): Campaign | undefined {
  let text: string;
  try {
    text = readFileSync(join(dataDir, FILE), "utf8");
  } catch {
    return undefined;
  }
  return JSON.parse(text) as Campaign;
}

export function writeCampaign(dataDir: string, campaign: Campaign): void {
  const file = join(dataDir, FILE);
  writeFileSync(`${file}.new`, JSON.stringify(campaign));
  renameSync(`${file}.new`, file);
}

export function acknowledgedOf({ sales }: Campaign): number {
  return sales.reduce((sum, { promised }) => sum + promised, 0);
}
