// What a demonstration shows: a block that moves on a terminal, a line now and then elsewhere, and in the
// end a table.
import picocolors from "picocolors";
import { quantile } from "../bench/statistics.ts";
import type { SaleAudit } from "../../services/contracts/seckill.ts";
import type { Check } from "./verdict.ts";
import type { Witness } from "./witness.ts";

const DRAW_INTERVAL_MS = 250;
const LINE_INTERVAL_MS = 2_000;
const NAME_WIDTH = 42;
const CLEAR_LINE = "\u001b[2K";

export interface Watched {
  readonly witness: Witness;
  /** Units left, as the sale was last read. */
  readonly remaining: () => number | undefined;
  readonly orders: () => Readonly<Record<string, number>>;
  readonly waiting: () => number;
}

export interface SaleView {
  /** A line that stays. */
  say(text: string): void;
  stop(): void;
}

export function watchSale(watched: Watched): SaleView {
  const isLive = process.stdout.isTTY && process.env["CI"] !== "true";
  return isLive ? drawBlock(watched) : printLines(watched);
}

function drawBlock(watched: Watched): SaleView {
  const rate = createRate(watched.witness);
  let drawn = 0;
  const erase = (): void => {
    if (drawn > 0) process.stdout.write(`\u001b[${drawn}A`);
    drawn = 0;
  };
  const draw = (): void => {
    const lines = blockOf(watched, rate());
    erase();
    process.stdout.write(lines.map((line) => `${CLEAR_LINE}${line}\n`).join(""));
    drawn = lines.length;
  };
  const timer = setInterval(draw, DRAW_INTERVAL_MS);
  return {
    say(text) {
      erase();
      process.stdout.write(`${CLEAR_LINE}  ${text}\n`);
      draw();
    },
    stop() {
      clearInterval(timer);
      draw();
    },
  };
}

function printLines(watched: Watched): SaleView {
  const rate = createRate(watched.witness);
  let last = "";
  const timer = setInterval(() => {
    const line = lineOf(watched, rate());
    if (line !== last) console.log(`  ${line}`);
    last = line;
  }, LINE_INTERVAL_MS);
  return {
    say: (text) => {
      console.log(`  ${text}`);
    },
    stop() {
      clearInterval(timer);
      console.log(blockOf(watched, rate()).join("\n"));
    },
  };
}

/** Requests per second since the last call. */
function createRate(witness: Witness): () => number {
  let [lastMs, last] = [performance.now(), 0];
  return () => {
    const [nowMs, { requests }] = [performance.now(), witness.counts];
    const rate = ((requests - last) * 1_000) / Math.max(1, nowMs - lastMs);
    [lastMs, last] = [nowMs, requests];
    return Math.round(rate);
  };
}

function lineOf({ witness, remaining }: Watched, rate: number): string {
  const { requests, promised, paid } = witness.counts;
  const left = remaining() ?? "?";
  return `${requests} requests (${rate}/s), ${promised} promised, ${paid} paid, ${left} units left`;
}

function blockOf(watched: Watched, rate: number): readonly string[] {
  const { witness, remaining, orders, waiting } = watched;
  const { requests, promised, answers, paid, lateRefunds } = witness.counts;
  const refused = [...answers]
    .filter(([outcome]) => outcome !== "queued")
    .map(([outcome, count]) => `${outcome.replace("SECKILL_", "").toLowerCase()} ${count}`);
  const statuses = Object.entries(orders()).map(([status, count]) => `${status} ${count}`);
  const row = (name: string, text: string): string =>
    `  ${picocolors.dim(name.padEnd(10))} ${text}`;
  return [
    row("requests", `${requests}  ${rate}/s  ${waiting()} in line`),
    row("promised", `${picocolors.green(String(promised))}  ${remaining() ?? "?"} units left`),
    row("answered", refused.join("  ")),
    row("orders", statuses.join("  ")),
    row("payments", `${paid} sent within the window, ${lateRefunds} after it`),
    row("winners", timesOf(witness.times("winners"))),
    row("others", timesOf(witness.times("others"))),
  ];
}

function timesOf(times: readonly number[]): string {
  if (times.length === 0) return "–";
  const at = (share: number): string => `${quantile(times, share).toFixed(1)} ms`;
  return `p50 ${at(0.5)}  p99 ${at(0.99)}  max ${at(1)}`;
}

export function describeVerdict(audit: SaleAudit, checks: readonly Check[]): string {
  const { quantity, live, given_back: givenBack, returned, orders } = audit;
  return describeTable(
    [
      ["units of the sale", String(quantity)],
      ["sold", String(live)],
      ["returned to the stock", String(returned)],
      ["given back and offered again", String(givenBack)],
      ...Object.entries(orders).map(
        ([status, count]) => [`orders ${status}`, String(count)] as const,
      ),
    ],
    checks,
  );
}

/** What was counted, then what was judged. */
export function describeTable(
  figures: readonly (readonly [name: string, text: string])[],
  checks: readonly Check[],
): string {
  const lines = figures.map(([name, text]) => `  ${name.padEnd(NAME_WIDTH)} ${text}`);
  const judged = checks.map(({ name, found, isGood }) => {
    const mark = isGood ? picocolors.green("✓") : picocolors.red("✗");
    return `${mark} ${name.padEnd(NAME_WIDTH)} ${found}`;
  });
  return ["", ...lines, "", ...judged, ""].join("\n");
}
