// `npm run bench`: floors and product in one alternated run on one machine. Ends by itself; what it
// starts ends with it.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CaseName } from "./cases.ts";
import { describeMachine } from "./machine.ts";
import { DOCS_DIR, MeasuredShop } from "./measured-shop.ts";
import type { Sample } from "./measure.ts";
import { type BenchOptions, readOptions } from "./options.ts";
import { profileShop } from "./profile.ts";
import { type BenchResult, markdownOf, ratiosOf } from "./report.ts";
import { Session } from "./session.ts";

const WARM_UP_S = 0.5;
const ATTEMPTS_MAX = 3;

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), DOCS_DIR);
  if (options.isProfile) {
    await profileShop(options);
    return;
  }
  const shop = await MeasuredShop.start();
  const stopAtSignal = (): void => void shop.stop().then(() => process.exit(1));
  process.once("SIGINT", stopAtSignal).once("SIGTERM", stopAtSignal);
  try {
    report(await run(shop, options), options);
  } finally {
    await shop.stop();
  }
}

async function run(shop: MeasuredShop, options: BenchOptions): Promise<BenchResult> {
  const session = await Session.open(shop, options.connections);
  try {
    for (const name of session.cases.keys()) {
      await session.warmUp(name, WARM_UP_S);
      say(`warm: ${name}`);
    }
    const rows = await session.compareRows();
    refuseOtherRows(rows);
    const idleUsPerS = await session.measureIdle();
    const samples = await measureRounds(session, options);
    return {
      takenAt: new Date().toISOString(),
      machine: describeMachine(),
      software: `Node ${process.version}; ${await session.describeDatabase()}; Redis AOF everysec; JetStream on file`,
      conditions: [
        `${options.rounds} alternated rounds of ${options.seconds} s each, ${options.connections} closed-loop clients, load generator on the same machine`,
        "durability, guards and limits as in `npm start`; buyers come from addresses of their own behind TRUSTED_PROXIES=127.0.0.1",
      ],
      idleUsPerS,
      rows,
      samples,
    };
  } finally {
    await session.close();
  }
}

/** @throws when the floor does not write what the product writes: it would be no floor. */
function refuseOtherRows(rows: BenchResult["rows"]): void {
  const other = rows.filter(({ product, floor }) => product !== floor);
  if (other.length === 0) return;
  throw new Error(`the floor writes other rows than the product: ${JSON.stringify(other)}`);
}

async function measureRounds(
  session: Session,
  { rounds, seconds }: BenchOptions,
): Promise<BenchResult["samples"]> {
  const samples = new Map<CaseName, Sample[]>();
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of session.cases.keys()) {
      const sample = await takeSample(session, name, seconds);
      samples.set(name, [...(samples.get(name) ?? []), sample]);
      const cpuUs = Object.values(sample.cpuUs).reduce((sum, us) => sum + us, 0);
      say(
        `round ${round} ${name.padEnd(22)} ${cpuUs.toFixed(1)} us  ${sample.perSecond.toFixed(0)}/s`,
      );
    }
  }
  return Object.fromEntries(samples) as unknown as BenchResult["samples"];
}

/** A sample with failed units is taken again: on a busy machine a limit of the product may be met. */
async function takeSample(session: Session, name: CaseName, seconds: number): Promise<Sample> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await session.measure(name, seconds);
    } catch (error) {
      if (attempt >= ATTEMPTS_MAX) throw error;
      say(`once more: ${String(error)}`);
    }
  }
}

function report(result: BenchResult, { out }: BenchOptions): void {
  const text = markdownOf(result);
  say(`\n${text}`);
  if (out === "") return;
  mkdirSync(out, { recursive: true });
  const record = { ...result, ratios: ratiosOf(result) };
  writeFileSync(join(out, "bench.json"), `${JSON.stringify(record, null, 2)}\n`);
  writeFileSync(join(out, "bench.md"), text);
}

function say(text: string): void {
  console.log(text);
}

await main();
