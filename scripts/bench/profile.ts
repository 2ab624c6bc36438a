// `npm run bench -- --profile`: where the product's CPU time goes, by package and by function, while
// it serves each journey. A profiled process is slower: nothing here is a figure to compare.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeThrowAwayFolder, removeThrowAwayFolder } from "../launcher/throw-away-folder.ts";
import { SHOP_CASES } from "./cases.ts";
import { MeasuredShop } from "./measured-shop.ts";
import type { Sample } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { Session } from "./session.ts";
import { type CpuProfile, selfTimes, type SelfTimes } from "./self-times.ts";

const NODES = ["edge", "core", "worker"] as const;
const SHOWN_PACKAGES = 12;
const SHOWN_FUNCTIONS = 15;
const SHARE_SHOWN_MIN = 0.005;
const PERCENT = 100;
const US_PER_S = 1_000_000;
/** Less than this is background work of a process that the journey does not touch. */
const US_SHOWN_MIN = 10;

const HEAD = profileHead("bench -- --profile");

export function profileHead(command: string): readonly string[] {
  return [
    "# Where the CPU time goes",
    "",
    `Made by \`npm run ${command}\`; do not edit. Self time of each process while it serves one journey, by package and by function. A profiled process is slower: the shares mean something, the times do not.`,
  ];
}

export async function profileShop(options: BenchOptions): Promise<void> {
  await profiled(
    { head: HEAD, file: "bench-profile.md", out: options.out },
    async (shop, works) => {
      const session = await Session.open(shop, options.connections);
      for (const name of SHOP_CASES) {
        works.set(name, workOf(await session.measure(name, options.seconds)));
      }
      await session.close();
    },
  );
}

/**
 * Runs the product with its profiler on, prints where its time went, and keeps that in a file.
 * @param work does the work on the running shop and notes it, by the name it is shown under.
 */
export async function profiled(
  { head, file, out }: { head: readonly string[]; file: string; out: string },
  work: (shop: MeasuredShop, works: Map<string, ProfiledWork>) => Promise<void>,
): Promise<void> {
  const folder = makeThrowAwayFolder("flash-sale-profile-");
  try {
    process.env["NODE_OPTIONS"] = `--cpu-prof --cpu-prof-dir=${folder}`;
    const shop = await MeasuredShop.start();
    const pids = new Map(shop.pids);
    const works = new Map<string, ProfiledWork>();
    try {
      await work(shop, works);
    } finally {
      await shop.stop();
    }
    const text = [...head, ...profileParts(folder, pids, works)].join("\n");
    console.log(text);
    if (out === "") return;
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, file), `${text}\n`);
  } finally {
    removeThrowAwayFolder(folder);
  }
}

function workOf({ perSecond, fromUs, untilUs }: Sample): ProfiledWork {
  return {
    units: perSecond * ((untilUs - fromUs) / US_PER_S),
    window: { fromUs, untilUs },
  };
}

/** What a part of a profile is compared with: how much was done in which time. */
export interface ProfiledWork {
  readonly units: number;
  /** Monotonic clock, microseconds. */
  readonly window: { readonly fromUs: number; readonly untilUs: number };
}

/** Self times of the platform's nodes, whose profiles lie in the folder, for each kind of work. */
function profileParts(
  folder: string,
  pids: ReadonlyMap<string, number>,
  works: ReadonlyMap<string, ProfiledWork>,
): readonly string[] {
  return NODES.flatMap((node) => partsOf(node, readProfile(folder, pids.get(node) ?? 0), works));
}

function readProfile(folder: string, pid: number): CpuProfile {
  const file = readdirSync(folder).find((name) => name.includes(`.${pid}.0.`));
  if (file === undefined) throw new Error(`process ${pid} left no profile in ${tmpdir()}`);
  return JSON.parse(readFileSync(join(folder, file), "utf8")) as CpuProfile;
}

function partsOf(
  node: string,
  profile: CpuProfile,
  works: ReadonlyMap<string, ProfiledWork>,
): readonly string[] {
  return [...works].flatMap(([name, { units, window }]) => {
    const times = selfTimes(profile, window);
    const usEach = times.busyUs / units;
    if (usEach < US_SHOWN_MIN) return [];
    const heading = `## ${node}: ${name}, ${usEach.toFixed(0)} us each under the profiler`;
    const [packages, functions] = [times.byPackage, times.byFunction];
    return [
      ...["", heading, ""],
      ...[shares(times, packages, SHOWN_PACKAGES), ""],
      shares(times, functions, SHOWN_FUNCTIONS),
    ];
  });
}

/** The largest shares of self time. */
function shares({ busyUs }: SelfTimes, times: ReadonlyMap<string, number>, count: number): string {
  return [...times]
    .map(([name, us]) => ({ name, share: us / busyUs }))
    .filter(({ share }) => share >= SHARE_SHOWN_MIN)
    .sort((left, right) => right.share - left.share)
    .slice(0, count)
    .map(({ name, share }) => `- ${(share * PERCENT).toFixed(1)} % ${name.trim()}`)
    .join("\n");
}
