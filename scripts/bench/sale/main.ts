// `npm run bench:sale`: floors and product in one alternated run on one machine. Ends by itself; what it
// starts ends with it.
import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describeMachine } from "../machine.ts";
import { DOCS_DIR, MeasuredShop } from "../measured-shop.ts";
import { aimResults, cpuOf } from "./aims.ts";
import { sellBigSale } from "./big-sale.ts";
import { Cases } from "./cases.ts";
import { loadReportOf } from "./load-report.ts";
import { readOptions, type SaleBenchOptions } from "./options.ts";
import { profileSale } from "./profile.ts";
import { markdownOf, plotOf } from "./report.ts";
import { GUARDS, type SaleBenchResult, type StoredResult } from "./result.ts";
import type { CaseName, SaleSample } from "./sample.ts";
import { Stage } from "./stage.ts";
import { measureTracing } from "./tracing.ts";

const IDLE_MS = 2_000;
const ATTEMPTS_MAX = 3;
const MS_PER_S = 1_000;

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), DOCS_DIR);
  if (options.isProfile) {
    await profileSale(options);
    return;
  }
  if (options.isTracing) {
    await measureTracing(options);
    return;
  }
  const shop = await MeasuredShop.start();
  const stopAtSignal = (): void => void shop.stop().then(() => process.exit(1));
  process.once("SIGINT", stopAtSignal).once("SIGTERM", stopAtSignal);
  try {
    const stage = await Stage.build(shop);
    try {
      write(await run(stage, options), options);
    } finally {
      await stage.close();
    }
  } finally {
    await shop.stop();
  }
}

async function run(stage: Stage, options: SaleBenchOptions): Promise<SaleBenchResult> {
  const { sizes } = options;
  const idleUsPerS = await measureIdle(stage);
  const cases = await Cases.prepare(stage, sizes, idleUsPerS);
  const before = stage.memory();
  const { samples, loads } = await measureRounds(cases, options);
  const rounds = loads.length;
  const big = await sellBigSale(stage, sizes, (slice) => {
    console.log(`big sale: ${slice.soldBefore} sold before, ${cpuOf(slice).toFixed(1)} us`);
  });
  return {
    takenAt: new Date().toISOString(),
    machine: describeMachine(),
    software: `Node ${process.version}; ${await stage.describeDatabase()}; Redis AOF everysec; JetStream on file`,
    conditions: [
      `${rounds} alternated rounds; a sale has ${sizes.units} units, one that is only compared with it ${sizes.fewUnits}; the load generator runs on the same machine`,
      "process split, durability, guards and limits as in `npm start`: edge (gateway and admission), core, worker; buyers come from addresses of their own behind TRUSTED_PROXIES=127.0.0.1",
      "tokens seen before: every buyer asked once before the sale opened, and was told that it has not; nothing else is warmed up",
      "a measurement that failed was taken again",
    ],
    guards: GUARDS,
    rounds,
    loads,
    idleUsPerS,
    memoryMib: { before, after: stage.memory() },
    samples,
    big,
  };
}

/** What the platform costs while nobody asks anything of it: CPU microseconds a second. */
async function measureIdle(stage: Stage): Promise<Readonly<Record<string, number>>> {
  const { spent } = await stage.watch(stage.productPids, () => delay(IDLE_MS));
  const each = Object.entries(spent.cpuUs);
  return Object.fromEntries(each.map(([name, us]) => [name, (us * MS_PER_S) / spent.elapsedMs]));
}

async function measureRounds(
  cases: Cases,
  { rounds, only }: SaleBenchOptions,
): Promise<Pick<SaleBenchResult, "samples" | "loads">> {
  const done: ReadonlyMap<CaseName, SaleSample>[] = [];
  const loads: number[] = [];
  while (done.length < rounds) {
    const load = loadavg()[0] ?? 0;
    try {
      done.push(await measureRound(cases, only, done.length + 1));
    } catch (error) {
      // Half a round has nothing to be compared with; the whole ones are kept.
      if (done.length === 0) throw error;
      console.log(`round ${done.length + 1} is given up: ${String(error)}`);
      break;
    }
    loads.push(load);
  }
  const samplesOf = (name: CaseName) => done.flatMap((round) => round.get(name) ?? []);
  return { samples: Object.fromEntries(only.map((name) => [name, samplesOf(name)])), loads };
}

async function measureRound(
  cases: Cases,
  only: readonly CaseName[],
  round: number,
): Promise<ReadonlyMap<CaseName, SaleSample>> {
  const samples = new Map<CaseName, SaleSample>();
  for (const name of only) {
    const sample = await takeSample(cases, name);
    samples.set(name, sample);
    const rate = sample.perSecond.toFixed(0);
    console.log(`round ${round} ${name.padEnd(15)} ${cpuOf(sample).toFixed(1)} us  ${rate}/s`);
  }
  return samples;
}

/** On a busy machine a limit of the product may be met: what went wrong is taken again, and told. */
async function takeSample(cases: Cases, name: CaseName): Promise<SaleSample> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await cases.take(name);
    } catch (error) {
      if (attempt >= ATTEMPTS_MAX) throw error;
      console.log(`${name} once more: ${String(error)}`);
    }
  }
}

function write(result: SaleBenchResult, { out }: SaleBenchOptions): void {
  const text = markdownOf(result);
  console.log(`\n${text}`);
  if (out === "") return;
  mkdirSync(out, { recursive: true });
  const stored: StoredResult = { ...result, aims: aimResults(result.samples) };
  writeFileSync(join(out, "bench-sale.json"), `${JSON.stringify(stored, null, 2)}\n`);
  writeFileSync(join(out, "bench-sale.md"), text);
  writeFileSync(join(out, "bench-sale.svg"), plotOf(result));
  writeFileSync(join(out, "load-report.md"), loadReportOf(result));
}

await main();
