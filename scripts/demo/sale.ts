// `npm run demo:sale`: a crowd storms a sale, and afterwards everybody can see that exactly as many got one
// as there were units. Ends with PASS or FAIL, also as the exit code. With `--strategy naive` the same crowd
// storms a sale that is made wrong on purpose, and the FAIL is what it shows.
import { parseArgs } from "node:util";
import picocolors from "picocolors";
import { MINUTE_MS } from "../../services/kernel/clock.ts";
import { type Sale, SALE_STRATEGIES, type SaleStrategy } from "../../services/contracts/seckill.ts";
import { LauncherError } from "../launcher/launcher-error.ts";
import { listenForStop } from "../launcher/stop-signals.ts";
import { explain } from "../launcher/up.ts";
import { planCrowd, withoutWaiting } from "./buyer-plan.ts";
import { runCrowd } from "./buyers.ts";
import { Connections } from "./connections.ts";
import { type DemoPlatform, openDemoPlatform, VICTIMS, type Victim } from "./demo-platform.ts";
import { type Admin, createCrowd, signInAdmin } from "./demo-sale.ts";
import { describeNaive, isExact, runNaiveCrowd } from "./naive-crowd.ts";
import { openNaiveSale } from "./naive-sale.ts";
import { describeVerdict, type SaleView, watchSale } from "./sale-view.ts";
import { judge, waitsForUnpaid } from "./verdict.ts";
import { Witness } from "./witness.ts";

/** Connections of those who want to buy, and of those who have bought. */
const SOCKETS = { buying: 512, afterwards: 64 } as const;
const READ_INTERVAL_MS = 2_000;
const KILL_CHECK_MS = 20;
/** The victim dies when this share of the units is promised: units are left, and winners under way. */
const KILL_AT_SHARE = 0.3;
const UNITS_MAX = 100_000;
const BUYERS_MAX = 1_000_000;
const RATE_MAX = 50_000;
const SEED_MAX = 2 ** 31;
const FORCED_EXIT_CODE = 130;
/** `expectedFail`: the naive sale has sold too much, as it is there to show. */
const EXIT_CODES = { pass: 0, fail: 1, expectedFail: 3 } as const;
type Verdict = keyof typeof EXIT_CODES;
/** `naive` is no strategy of the platform. */
const STRATEGIES = [...SALE_STRATEGIES, "naive"] as const;

interface Options {
  readonly units: number;
  readonly buyers: number;
  readonly rate: number;
  readonly seed: number;
  readonly kill: Victim | undefined;
  readonly strategy: SaleStrategy | "naive";
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      units: { type: "string", default: "1000" },
      buyers: { type: "string", default: "20000" },
      rate: { type: "string", default: "4000" },
      seed: { type: "string", default: "1" },
      kill: { type: "string" },
      strategy: { type: "string", default: "gate" },
    },
  });
  const strategy = oneOf("strategy", STRATEGIES, values.strategy);
  const kill = values.kill === undefined ? undefined : oneOf("kill", VICTIMS, values.kill);
  if (strategy === "naive" && kill !== undefined) {
    throw new LauncherError(
      "--strategy naive has nothing that would survive a --kill.",
      "Choose one of the two.",
    );
  }
  return {
    units: wholeNumber("units", values.units, UNITS_MAX),
    buyers: wholeNumber("buyers", values.buyers, BUYERS_MAX),
    rate: wholeNumber("rate", values.rate, RATE_MAX),
    seed: wholeNumber("seed", values.seed, SEED_MAX),
    kill,
    strategy,
  };
}

function oneOf<Word extends string>(name: string, words: readonly Word[], given: string): Word {
  const found = words.find((word) => word === given);
  if (found !== undefined) return found;
  throw new LauncherError(
    `--${name} must be one of ${words.join(", ")}.`,
    `Example: --${name} ${words[0] ?? ""}`,
  );
}

function wholeNumber(name: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new LauncherError(
    `--${name} must be a whole number from 1 to ${max}.`,
    "Example: npm run demo:sale -- --units 1000 --buyers 20000",
  );
}

async function main(): Promise<Verdict> {
  const options = readOptions();
  const platform = await openDemoPlatform();
  listenForStop({
    stop: () => void platform.stop().then(() => process.exit(FORCED_EXIT_CODE)),
    force: () => process.exit(FORCED_EXIT_CODE),
  });
  try {
    // Asked before anything is sold: a victim that cannot come back is no demonstration.
    if (options.kill !== undefined) platform.pidOf(options.kill);
    const { strategy } = options;
    if (strategy === "naive") return await demonstrateNaive(platform, options);
    return (await demonstrate(platform, { ...options, strategy })) ? "pass" : "fail";
  } finally {
    await platform.stop();
  }
}

async function demonstrateNaive(
  { settings }: DemoPlatform,
  { units, buyers, rate, seed }: Options,
): Promise<Verdict> {
  const { MYSQL_URL: mysqlUrl, NAMESPACE: namespace, ORDER_PAYMENT_WINDOW_MS } = settings;
  const paymentWindowMs = ORDER_PAYMENT_WINDOW_MS;
  const plans = planCrowd({ buyers, ratePerS: rate, seed, paymentWindowMs });
  const sale = await openNaiveSale({ mysqlUrl, namespace, units });
  try {
    console.log(
      `\n  ${buyers} buyers for ${units} units, seed ${seed}, straight on the database: read, then write\n`,
    );
    const result = await runNaiveCrowd(sale, plans, units);
    console.log(describeNaive(result));
    return isExact(result) ? "pass" : "expectedFail";
  } finally {
    await sale.close();
  }
}

async function demonstrate(
  platform: DemoPlatform,
  options: Options & { readonly strategy: SaleStrategy },
): Promise<boolean> {
  const { url, settings } = platform;
  const { units, buyers, rate, seed, strategy } = options;
  const paymentWindowMs = settings.ORDER_PAYMENT_WINDOW_MS;
  const crowdPlans = planCrowd({ buyers, ratePerS: rate, seed, paymentWindowMs });
  const isPatient = waitsForUnpaid(paymentWindowMs);
  const plans = isPatient ? crowdPlans : withoutWaiting(crowdPlans);
  const firstBuyer = Math.floor(Date.now() / 1_000) * BUYERS_MAX;
  const people = createCrowd(settings.JWT_SECRET, firstBuyer);
  const crowd = Array.from({ length: buyers }, (_, index) => people(index));
  const buyerOf = (index: number) => crowd[index] ?? people(index);
  const from = { url, ...addressing(platform) };
  const connections = new Connections({ ...from, sockets: SOCKETS.buying });
  const afterwards = new Connections({ ...from, sockets: SOCKETS.afterwards });
  const witness = new Witness();
  const admin = await signInAdmin(url, settings);
  const sale = await admin.openSale({ units, strategy, title: `Demo ${new Date().toISOString()}` });
  console.log(
    `\n  ${buyers} buyers for ${units} units, strategy ${strategy}, seed ${seed}; watch it at ${picocolors.cyan(`${url}/live/${sale.id}`)}\n`,
  );
  if (!isPatient) console.log(picocolors.dim(`  ${impatience(paymentWindowMs)}\n`));
  const reader = readAlong(admin, sale);
  const view = watchSale({ witness, ...reader, waiting: () => connections.waiting });
  const opensMs = performance.now() + Date.parse(sale.start_at) - Date.parse(sale.server_time);
  const run = `demo-${sale.id}`;
  const killing = killWhen(platform, options, { witness, view });
  await runCrowd({
    saleId: sale.id,
    opensMs,
    plans,
    buyerOf,
    connections,
    afterwards,
    witness,
    paymentWindowMs,
    run,
  });
  killing.end();
  const say = (text: string): void => {
    view.say(picocolors.dim(text));
  };
  const parts = { saleId: sale.id, admin, witness, connections, buyerOf, paymentWindowMs, say };
  const { audit, checks, isPassed } = await judge(parts);
  reader.stop();
  view.stop();
  connections.close();
  afterwards.close();
  console.log(describeVerdict(audit, checks));
  console.log(isPassed ? picocolors.green("PASS") : picocolors.red("FAIL"));
  return isPassed;
}

function impatience(paymentWindowMs: number): string {
  const minutes = Math.round(paymentWindowMs / MINUTE_MS);
  return `The shop that runs lets people pay for ${minutes} minutes, so unpaid orders are not waited for; stop it, and a demonstration starts one with a short window.`;
}

/** Where the shop does not believe what we say of our buyers' addresses, they come from many of ours. */
function addressing({ settings, isOwn }: DemoPlatform): {
  localAddressOf?: (socket: number) => string;
} {
  const isTrusted = settings.TRUSTED_PROXIES.includes("127.0.0.1");
  if (isOwn || isTrusted) return {};
  if (process.platform !== "linux") {
    throw new LauncherError(
      "The platform that runs trusts no proxy, so all buyers would share one address and its limit.",
      "Start it with TRUSTED_PROXIES=127.0.0.1, or stop it: the demonstration starts one itself.",
    );
  }
  // Linux answers on all of 127.0.0.0/8.
  return { localAddressOf: (socket) => `127.1.${(socket >> 8) & 255}.${socket & 255 || 255}` };
}

/** The sale as its admin sees it, read now and then. */
function readAlong(admin: Admin, sale: Sale) {
  let { remaining } = sale;
  let orders: Readonly<Record<string, number>> = {};
  let isReading = false;
  const read = async (): Promise<void> => {
    const audit = await admin.audit(sale.id);
    remaining = audit.remaining;
    orders = audit.orders;
  };
  const timer = setInterval(() => {
    if (isReading) return;
    isReading = true;
    read()
      .catch(() => undefined)
      .finally(() => {
        isReading = false;
      });
  }, READ_INTERVAL_MS);
  return {
    remaining: () => remaining,
    orders: () => orders,
    stop: () => {
      clearInterval(timer);
    },
  };
}

interface Scene {
  readonly witness: Witness;
  readonly view: SaleView;
}

/** Kills the victim once, in the middle of the sale, and tells for how long no promise was heard. */
function killWhen(
  platform: DemoPlatform,
  { kill, units }: Options,
  { witness, view }: Scene,
): { end: () => void } {
  if (kill === undefined) return { end: () => undefined };
  let isKilled = false;
  let [last, lastMs, silentMs] = [0, performance.now(), 0];
  const timer = setInterval(() => {
    const { promised } = witness.counts;
    if (promised > last) [last, lastMs] = [promised, performance.now()];
    if (isKilled && promised < units) silentMs = Math.max(silentMs, performance.now() - lastMs);
    if (isKilled || promised < units * KILL_AT_SHARE) return;
    process.kill(platform.pidOf(kill), "SIGKILL");
    isKilled = true;
    view.say(picocolors.yellow(`${kill} killed after ${promised} promises`));
  }, KILL_CHECK_MS);
  return {
    end() {
      clearInterval(timer);
      const seconds = (silentMs / 1_000).toFixed(1);
      view.say(picocolors.yellow(`the longest time without a promise after that was ${seconds} s`));
    },
  };
}

try {
  const verdict = await main();
  process.exit(EXIT_CODES[verdict]);
} catch (error) {
  explain(error);
  process.exit(error instanceof LauncherError ? error.exitCode : 1);
}
