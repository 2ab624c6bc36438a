// `npm run bench -- --profile`: where the product's CPU time goes, by package and by function, while
// it serves each journey. A profiled process is slower: nothing here is a figure to compare.
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeThrowAwayFolder, removeThrowAwayFolder } from "../launcher/throw-away-folder.ts";
import { type CaseName, SHOP_CASES } from "./cases.ts";
import { MeasuredShop } from "./measured-shop.ts";
import type { Sample } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { Session } from "./session.ts";
import { type CpuProfile, selfTimes, type SelfTimes } from "./self-times.ts";

const NODES = ["edge", "core", "worker"] as const;
const SHOWN_PACKAGES = 14;
const SHOWN_FUNCTIONS = 25;
const SHARE_SHOWN_MIN = 0.004;

export async function profileShop(options: BenchOptions): Promise<void> {
  const folder = makeThrowAwayFolder("flash-sale-profile-");
  try {
    process.env["NODE_OPTIONS"] = `--cpu-prof --cpu-prof-dir=${folder}`;
    const shop = await MeasuredShop.start();
    const pids = new Map(shop.pids);
    const samples = new Map<CaseName, Sample>();
    try {
      const session = await Session.open(shop, options.connections);
      for (const name of SHOP_CASES)
        samples.set(name, await session.measure(name, options.seconds));
      await session.close();
    } finally {
      await shop.stop();
    }
    for (const node of NODES) show(node, readProfile(folder, pids.get(node) ?? 0), samples);
  } finally {
    removeThrowAwayFolder(folder);
  }
}

function readProfile(folder: string, pid: number): CpuProfile {
  const file = readdirSync(folder).find((name) => name.includes(`.${pid}.0.`));
  if (file === undefined) throw new Error(`process ${pid} left no profile in ${tmpdir()}`);
  return JSON.parse(readFileSync(join(folder, file), "utf8")) as CpuProfile;
}

function show(node: string, profile: CpuProfile, samples: ReadonlyMap<CaseName, Sample>): void {
  for (const [name, sample] of samples) {
    const times = selfTimes(profile, sample);
    const units = sample.perSecond * ((sample.untilUs - sample.fromUs) / 1e6);
    console.log(`\n## ${node}: ${name} (${(times.busyUs / units).toFixed(0)} us each, profiled)`);
    list(times, times.byPackage, SHOWN_PACKAGES);
    list(times, times.byFunction, SHOWN_FUNCTIONS);
  }
}

function list({ busyUs }: SelfTimes, times: ReadonlyMap<string, number>, count: number): void {
  const sorted = [...times].sort((left, right) => right[1] - left[1]).slice(0, count);
  for (const [name, us] of sorted) {
    if (us / busyUs < SHARE_SHOWN_MIN) break;
    console.log(`  ${((us / busyUs) * 100).toFixed(1).padStart(5)} %  ${name}`);
  }
  console.log("");
}
