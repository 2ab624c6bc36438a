// The platform's own code over simulated servers, under thousands of interleavings and faults. See
// main.ts for how one of them is repeated.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "../support/temp-folder.ts";
import { idOf, run, textOf } from "./campaign.ts";
import type { CampaignReport } from "./main.ts";
import { SCENARIOS } from "./scenarios.ts";

const SCHEDULES = 10_000;
const SHARDS = 2;
const SEED = 1;
/** Of a machine that has other work; a calm one with two cores takes a minute and a half. */
const CAMPAIGN_TIMEOUT_MS = 40 * 60_000;
/** Of all faults at all kinds of boundaries, in per cent. */
const COVERED_MIN = 85;
/** Worlds are short-lived: room for the young keeps the collector away. */
const NODE_OPTIONS = ["--max-semi-space-size=64"];

const MAIN = join(import.meta.dirname, "main.ts");

async function shard(number: number, folder: string): Promise<CampaignReport> {
  const report = join(folder, `shard-${number}.json`);
  const options = ["--schedules", String(SCHEDULES), "--seed", String(SEED), "--report", report];
  const args = [...NODE_OPTIONS, MAIN, ...options, "--shard", `${number}/${SHARDS}`];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"] });
  await new Promise((resolve) => child.once("close", resolve));
  return JSON.parse(readFileSync(report, "utf8")) as CampaignReport;
}

describe("the simulated platform", () => {
  it("keeps every promise under single faults, pairs and seeded walks", async function () {
    this.timeout(CAMPAIGN_TIMEOUT_MS);
    const folder = tempFolder();
    const reports = await Promise.all(
      Array.from({ length: SHARDS }, (_, index) => shard(index + 1, folder)),
    );
    const failed = reports.flatMap((report) => report.failed);
    assert.deepEqual(failed.slice(0, 3), [], `${failed.length} schedules failed`);
    const schedules = reports.reduce((sum, report) => sum + report.schedules, 0);
    assert.ok(schedules >= SCHEDULES, `${schedules} schedules were run`);
    const possible = new Set(reports.flatMap((report) => report.possible));
    const happened = new Set(reports.flatMap((report) => report.happened));
    const covered = `${happened.size} of ${possible.size} faults at boundaries have happened`;
    assert.ok(happened.size * 100 >= possible.size * COVERED_MIN, covered);
    console.log(`      ${schedules} schedules; ${covered}`);
  });

  it("repeats a schedule exactly", async () => {
    for (const { name } of SCENARIOS) {
      const id = idOf(textOf({ scenario: name, seed: 3, planned: undefined }));
      const [first, second] = [await run(id), await run(id)];
      assert.deepEqual(second.history, first.history);
      assert.equal(second.events, first.events);
    }
  });
});
