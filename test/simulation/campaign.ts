// Which schedules a campaign runs: every single fault at every boundary of every scenario, then pairs of
// them (some, or all), then seeded walks in which anything may happen anywhere. A schedule is known by a short text,
// from which it can be repeated.
import {
  type Fault,
  FAULTS,
  fixedFaults,
  type PlannedFault,
  randomFaults,
} from "./kernel/fault-plan.ts";
import type { FaultPlan } from "./kernel/fault-plan.ts";
import { seededRandom } from "./kernel/seeded-random.ts";
import type { Simulation } from "./kernel/simulation.ts";
import { runSchedule, type ScheduleResult } from "./schedule.ts";
import { type Scenario, SCENARIOS } from "./scenarios.ts";

/** Share of the boundaries of a walk at which a fault happens; a walk has one of these. */
const WALK_SHARES = [0, 0.01, 0.03, 0.08] as const;
/** Of what is left after the single faults. */
const PAIRS_SHARE = 0.5;

export interface ScheduleId {
  readonly scenario: string;
  readonly seed: number;
  /** Undefined: a walk. */
  readonly planned: readonly PlannedFault[] | undefined;
}

export function textOf({ scenario, seed, planned }: ScheduleId): string {
  const faults = planned?.map(({ boundary, fault }) => `${fault}@${boundary}`).join("+") ?? "walk";
  return `${scenario.replaceAll(" ", "_")}:${seed}:${faults}`;
}

export function idOf(text: string): ScheduleId {
  const [scenario = "", seed = "", faults = ""] = text.split(":");
  const planned =
    faults === "walk"
      ? undefined
      : faults
          .split("+")
          .filter((part) => part !== "")
          .map((part) => {
            const [fault, boundary] = part.split("@") as [Fault, string];
            return { fault, boundary: Number(boundary) };
          });
  return { scenario: scenario.replaceAll("_", " "), seed: Number(seed), planned };
}

export interface RanSchedule extends ScheduleResult {
  readonly plan: FaultPlan;
}

export async function run({ scenario: name, seed, planned }: ScheduleId): Promise<RanSchedule> {
  const scenario = scenarioOf(name);
  let made: FaultPlan | undefined;
  const plan = (simulation: Simulation): FaultPlan => {
    const share = WALK_SHARES[seed % WALK_SHARES.length] ?? 0;
    made = planned === undefined ? randomFaults(simulation.random, share) : fixedFaults(planned);
    return made;
  };
  const result = await runSchedule(scenario, seed, plan);
  return { ...result, plan: made! };
}

function scenarioOf(name: string): Scenario {
  const found = SCENARIOS.find((one) => one.name === name);
  if (found === undefined) throw new Error(`there is no scenario ${name}`);
  return found;
}

/** Every boundary of an undisturbed run with every fault it knows. */
async function singlesOf(scenario: string, seed: number): Promise<readonly ScheduleId[]> {
  const { plan } = await run({ scenario, seed, planned: [] });
  return plan.met.flatMap(({ faults }, boundary) =>
    faults.map((fault) => ({ scenario, seed, planned: [{ boundary, fault }] })),
  );
}

export interface CampaignOptions {
  readonly count: number;
  readonly seed: number;
  /** Name of the only scenario. */
  readonly only?: string | undefined;
}

/** The schedules of a campaign, in the order they are run; all single faults, however few are asked for. */
export async function schedulesOf({
  count,
  seed,
  only,
}: CampaignOptions): Promise<readonly ScheduleId[]> {
  const random = seededRandom(seed);
  const names = SCENARIOS.map(({ name }) => name).filter((name) => name === (only ?? name));
  const turn = inTurn<readonly ScheduleId[]>();
  const found = await Promise.all(names.map((name) => turn(() => singlesOf(name, seed))));
  const singles = found.flat();
  const pairCount = Math.max(0, Math.floor((count - singles.length) * PAIRS_SHARE));
  const schedules = [...singles];
  for (let index = 0; index < pairCount; index += 1) schedules.push(pairOf(singles, random));
  for (let index = schedules.length; index < count; index += 1) {
    const scenario = names[index % names.length]!;
    schedules.push({ scenario, seed: seed + index, planned: undefined });
  }
  return schedules;
}

/** One of several processes that share the work. */
export interface Shard {
  /** Which it is, from 1. */
  readonly shard: number;
  readonly shards: number;
}

/** What of all schedules is this process's. */
export function partOf(
  all: readonly ScheduleId[],
  { shard, shards }: Shard,
): readonly ScheduleId[] {
  return all.filter((_, index) => index % shards === shard - 1);
}

export interface PairOptions extends Omit<CampaignOptions, "count"> {
  readonly part: Shard;
}

/**
 * Every single fault, and after each of them every fault at every boundary that such a schedule meets afterwards: what
 * follows a first fault has its own order, so it is run to be known.
 */
export async function* allPairs({ seed, only, part }: PairOptions): AsyncGenerator<ScheduleId> {
  for (const { name } of SCENARIOS.filter(({ name }) => name === (only ?? name))) {
    for (const single of partOf(await singlesOf(name, seed), part)) {
      yield single;
      yield* pairsAfter(single, (await run(single)).plan.met);
    }
  }
}

function* pairsAfter(single: ScheduleId, met: FaultPlan["met"]): Generator<ScheduleId> {
  const [first] = single.planned!;
  for (let boundary = first!.boundary + 1; boundary < met.length; boundary += 1) {
    for (const fault of met[boundary]!.faults) {
      yield { ...single, planned: [first!, { boundary, fault }] };
    }
  }
}

/** Worlds share this thread's clocks: one after the other. */
function inTurn<T>(): (work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result;
    return result;
  };
}

/** Two faults of one scenario, the second of any kind: what follows a first fault has its own order. */
function pairOf(singles: readonly ScheduleId[], random: () => number): ScheduleId {
  const first = singles[Math.floor(random() * singles.length)]!;
  const { boundary } = first.planned![0]!;
  const of = singles.filter(({ scenario }) => scenario === first.scenario);
  const second = of[Math.floor(random() * of.length)]!.planned![0]!;
  const fault = FAULTS[Math.floor(random() * FAULTS.length)]!;
  const planned = [...first.planned!, { boundary: boundary + 1 + second.boundary, fault }];
  return { scenario: first.scenario, seed: first.seed, planned };
}
