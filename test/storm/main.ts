// `npm run chaos:sale -- --purchases N [--seed S] [--units U] [--fresh]`: flash sales under faults until N purchases
// are acknowledged, then the audit of all of them. Interrupted, it goes on where it was; --fresh begins anew.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LauncherError } from "../../scripts/launcher/launcher-error.ts";
import { listenForStop } from "../../scripts/launcher/stop-signals.ts";
import { explain } from "../../scripts/launcher/up.ts";
import { LaunchedPlatform } from "../support/launched-platform.ts";
import { ROOT } from "../support/source.ts";
import { publish, resultOf } from "./campaign-report.ts";
import { CampaignRun } from "./campaign.ts";
import { auditEverything } from "./final-audit.ts";
import { type Campaign, newCampaign, readCampaign, writeCampaign } from "./records.ts";
import { openStage } from "./stage.ts";

const PURCHASES_MAX = 10_000_000;
const UNITS_MAX = 100_000;
const SEED_MAX = 2 ** 31;
const PROGRESS_INTERVAL_MS = 10_000;
const INTERRUPTED_EXIT_CODE = 130;
const DATA_DIR = join(ROOT, ".data", "chaos-sale");
/** Unpaid orders outlive the campaign: what it is about is their promise. */
const PAYMENT_WINDOW_MS = 24 * 3_600_000;

interface Options {
  readonly purchases: number;
  readonly seed: number;
  readonly units: number;
  readonly isFresh: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      purchases: { type: "string", default: "1000000" },
      seed: { type: "string", default: "1" },
      units: { type: "string", default: "20000" },
      fresh: { type: "boolean", default: false },
    },
  });
  return {
    purchases: wholeNumber("purchases", values.purchases, PURCHASES_MAX),
    seed: wholeNumber("seed", values.seed, SEED_MAX),
    units: wholeNumber("units", values.units, UNITS_MAX),
    isFresh: values.fresh,
  };
}

function wholeNumber(name: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new LauncherError(
    `--${name} must be a whole number from 1 to ${max}.`,
    "Example: npm run chaos:sale -- --purchases 50000 --seed 7",
  );
}

/** The campaign that was interrupted, or a new one in an empty folder. */
function takeUp(dataDir: string, { seed, units, isFresh }: Options): Campaign {
  const known = isFresh ? undefined : readCampaign(dataDir);
  if (known === undefined || known.isFinished) {
    if (existsSync(dataDir)) rmSync(dataDir, { recursive: true });
    mkdirSync(dataDir, { recursive: true });
    return newCampaign(seed, units);
  }
  if (known.seed !== seed || known.units !== units) {
    throw new LauncherError(
      `A campaign with seed ${known.seed} and ${known.units} units was interrupted.`,
      "Go on with these, or begin anew with --fresh.",
    );
  }
  known.interruptions += 1;
  return known;
}

async function main(): Promise<boolean> {
  const options = readOptions();
  const dataDir = process.env["DATA_DIR"] ?? DATA_DIR;
  const campaign = takeUp(dataDir, options);
  writeCampaign(dataDir, campaign);
  const platform = new LaunchedPlatform({
    dataDir,
    environment: {
      ORDER_PAYMENT_WINDOW_MS: String(PAYMENT_WINDOW_MS),
      TRUSTED_PROXIES: "127.0.0.1",
      LAUNCHER_DEMO_DATA: "0",
    },
  });
  const stop = async (): Promise<void> => {
    platform.child.kill("SIGTERM");
    await platform.exited;
  };
  listenForStop({
    stop: () => void stop().then(() => process.exit(INTERRUPTED_EXIT_CODE)),
    force: () => process.exit(INTERRUPTED_EXIT_CODE),
  });
  try {
    await platform.open();
    return await carryOut(dataDir, campaign, options.purchases);
  } finally {
    await stop();
  }
}

async function carryOut(dataDir: string, campaign: Campaign, purchases: number): Promise<boolean> {
  let lastFault = "none";
  const run = new CampaignRun({
    dataDir,
    purchases,
    campaign,
    say: (fault) => {
      lastFault = fault;
    },
  });
  const timer = setInterval(() => {
    const { acknowledged, sales, faults } = run.standing;
    const seconds = Math.round(process.uptime());
    console.log(
      `  ${String(seconds).padStart(5)} s  ${acknowledged.toLocaleString("en")} of ${purchases.toLocaleString("en")} acknowledged, ${sales} sales verified, ${faults} faults, the last one ${lastFault}`,
    );
  }, PROGRESS_INTERVAL_MS);
  try {
    await run.run();
  } finally {
    clearInterval(timer);
  }
  console.log("  auditing every sale and every invariant");
  const audit = await auditEverything(await openStage(dataDir), campaign);
  campaign.isFinished = true;
  writeCampaign(dataDir, campaign);
  const result = resultOf(campaign, audit, purchases);
  publish(result);
  console.log(JSON.stringify(result, null, 2));
  console.log(result.holds ? "PASS" : "FAIL");
  return result.holds;
}

try {
  process.exit((await main()) ? 0 : 1);
} catch (error) {
  explain(error);
  process.exit(error instanceof LauncherError ? error.exitCode : 1);
}
