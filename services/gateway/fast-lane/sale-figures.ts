// What this node has answered, sale by sale: counts and times to answer, for the live view and the
// metrics. Counting costs an addition; whoever wants the figures reads them.

/** Upper bounds in milliseconds, each 1.5 times the one before; the last bucket is open. */
const FIRST_BOUND_MS = 0.5;
const BOUND_FACTOR = 1.5;
const BUCKETS = 26;
const SALES_MAX = 1_000;

export type Times = readonly number[];

export interface SaleFigures {
  /** Answers by outcome: `queued`, `waiting` or the slug of an error. */
  readonly answers: Readonly<Record<string, number>>;
  /** Answers by time to answer; bucket `n` ends at `boundMs(n)`. */
  readonly winners: Times;
  readonly others: Times;
}

export interface FigureBook {
  count(saleId: string, outcome: string, ms: number): void;
  of(saleId: string): SaleFigures | undefined;
}

interface Counted {
  readonly answers: Record<string, number>;
  readonly winners: number[];
  readonly others: number[];
}

const EMPTY = (): Counted => ({
  answers: {},
  winners: new Array<number>(BUCKETS).fill(0),
  others: new Array<number>(BUCKETS).fill(0),
});

export function createFigureBook(): FigureBook {
  const sales = new Map<string, Counted>();
  const open = (saleId: string): Counted => {
    const known = sales.get(saleId);
    if (known !== undefined) return known;
    const [oldest] = sales.keys();
    if (sales.size >= SALES_MAX && oldest !== undefined) sales.delete(oldest);
    const counted = EMPTY();
    sales.set(saleId, counted);
    return counted;
  };
  return {
    count(saleId, outcome, ms) {
      const { answers, winners, others } = open(saleId);
      answers[outcome] = (answers[outcome] ?? 0) + 1;
      const times = outcome === "queued" ? winners : others;
      const at = bucketOf(ms);
      times[at] = (times[at] ?? 0) + 1;
    },
    of: (saleId) => sales.get(saleId),
  };
}

function bucketOf(ms: number): number {
  if (ms <= FIRST_BOUND_MS) return 0;
  const at = Math.ceil(Math.log(ms / FIRST_BOUND_MS) / Math.log(BOUND_FACTOR));
  return Math.min(at, BUCKETS - 1);
}

/** Upper bound of a bucket in milliseconds. */
export function boundMs(bucket: number): number {
  return FIRST_BOUND_MS * BOUND_FACTOR ** bucket;
}

/** Figures of several nodes together. */
export function sumOf(parts: readonly SaleFigures[]): SaleFigures {
  const sum = EMPTY();
  for (const { answers, winners, others } of parts) {
    for (const [outcome, count] of Object.entries(answers)) {
      sum.answers[outcome] = (sum.answers[outcome] ?? 0) + count;
    }
    winners.forEach((count, at) => (sum.winners[at] = (sum.winners[at] ?? 0) + count));
    others.forEach((count, at) => (sum.others[at] = (sum.others[at] ?? 0) + count));
  }
  return sum;
}

/** Upper bound of the bucket that holds the share, in milliseconds; null without answers. */
export function quantileMs(times: Times, share: number): number | null {
  const total = times.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let seen = 0;
  const at = times.findIndex((count) => (seen += count) >= total * share);
  return Math.round(boundMs(at) * 10) / 10;
}
