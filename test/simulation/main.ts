// Runs schedules of the simulated platform from the command line.
//
//   npm run simulate -- [--schedules 10000] [--seed 1] [--shard 1/2] [--only admit] [--first]
//   npm run simulate -- --pairs [--only refund] [--shard 1/2]     every pair of faults: 620,000 schedules
//   npm run simulate -- --replay admit:1:crash_after@17     prints what happened
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { allPairs, idOf, partOf, run, type ScheduleId, schedulesOf, textOf } from "./campaign.ts";

const SCHEDULES = 10_000;
const SHOWN_MAX = 10;
/** Of a long campaign, a line is shown after so many schedules. */
const PROGRESS_SCHEDULES = 10_000;
/** Errors are thrown by the million; a schedule that is replayed has all their frames. */
const STACK_FRAMES = 3;

/** What a campaign, or one shard of it, came to. */
export interface CampaignReport {
  schedules: number;
  events: number;
  /** `label fault` that could have happened somewhere, and that did. */
  possible: string[];
  happened: string[];
  failed: { schedule: string; faults: readonly string[] }[];
}

type Schedules = Iterable<ScheduleId> | AsyncIterable<ScheduleId>;

/** @param endsAtFirst with the first schedule that fails. */
async function campaign(schedules: Schedules, endsAtFirst: boolean): Promise<CampaignReport> {
  Error.stackTraceLimit = STACK_FRAMES;
  const possible = new Set<string>();
  const happened = new Set<string>();
  const report: CampaignReport = {
    schedules: 0,
    events: 0,
    possible: [],
    happened: [],
    failed: [],
  };
  for await (const id of schedules) {
    const { plan, faults, events } = await run(id);
    report.schedules += 1;
    report.events += events;
    for (const met of plan.met) for (const one of met.faults) possible.add(`${met.label} ${one}`);
    for (const one of plan.happened) happened.add(one);
    if (faults.length > 0) report.failed.push({ schedule: textOf(id), faults });
    if (report.schedules % PROGRESS_SCHEDULES === 0) {
      console.error(`${report.schedules} schedules, ${report.failed.length} failed: ${textOf(id)}`);
    }
    if (endsAtFirst && report.failed.length > 0) break;
  }
  return { ...report, possible: [...possible].sort(), happened: [...happened].sort() };
}

function show({ schedules, events, possible, happened, failed }: CampaignReport): void {
  console.log(`${schedules} schedules, ${events} events`);
  console.log(`faults at boundaries: ${happened.length} of ${possible.length} have happened`);
  for (const { schedule, faults } of failed.slice(0, SHOWN_MAX)) {
    console.log(`\nnpm run simulate -- --replay ${schedule}\n  ${faults.join("\n  ")}`);
  }
  console.log(failed.length === 0 ? "everything held" : `${failed.length} schedules failed`);
}

async function replay(text: string): Promise<boolean> {
  const { history, faults, plan } = await run(idOf(text));
  console.log(history.join("\n"));
  console.log(plan.happened.length === 0 ? "no fault happened" : plan.happened.join(", "));
  console.log(faults.length === 0 ? "everything held" : faults.join("\n"));
  return faults.length === 0;
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      schedules: { type: "string", default: String(SCHEDULES) },
      seed: { type: "string", default: "1" },
      shard: { type: "string", default: "1/1" },
      only: { type: "string" },
      pairs: { type: "boolean", default: false },
      first: { type: "boolean", default: false },
      report: { type: "string" },
      replay: { type: "string" },
    },
  });
  if (values.replay !== undefined) return await replay(values.replay);
  const [shard = 1, shards = 1] = values.shard.split("/").map(Number);
  const part = { shard, shards };
  const options = { seed: Number(values.seed), only: values.only };
  const schedules = values.pairs
    ? allPairs({ ...options, part })
    : partOf(await schedulesOf({ ...options, count: Number(values.schedules) }), part);
  const report = await campaign(schedules, values.first);
  if (values.report === undefined) show(report);
  else writeFileSync(values.report, JSON.stringify(report));
  return report.failed.length === 0;
}

process.exitCode = (await main()) ? 0 : 1;
