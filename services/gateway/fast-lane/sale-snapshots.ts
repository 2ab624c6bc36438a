// What this gateway knows of the running sales: polled, and fetched at once after a hint. It answers
// only what cannot be wrong: inside a margin of the window's ends, and for every sale that is not
// known, the sale's own service decides.
import type { Log } from "../../../mixins/log.ts";
import type { ErrorSlug } from "../../contracts/errors.ts";
import type { SaleSnapshot } from "../../contracts/seckill.ts";
import type { Clock } from "../../kernel/clock.ts";

const POLL_INTERVAL_MS = 500;
/** Clocks of two machines may differ by this much. */
export const WINDOW_MARGIN_MS = 2_000;
/** Sales that are over are remembered, the oldest forgotten first. */
const OVER_MAX = 1_000;

export interface SnapshotParts {
  readonly fetch: () => Promise<readonly SaleSnapshot[]>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface SaleSnapshots {
  find(saleId: string): SaleSnapshot | undefined;
  /** Why nobody can buy from this sale now, where that is certain. */
  refusalOf(sale: SaleSnapshot): ErrorSlug | undefined;
  start(): void;
  stop(): void;
  /** Fetches at once; used after a hint. Never rejects. */
  poll(): Promise<void>;
}

export function createSaleSnapshots({ fetch, clock, log }: SnapshotParts): SaleSnapshots {
  let running = new Map<string, SaleSnapshot>();
  const over = new Map<string, SaleSnapshot>();
  let timer: NodeJS.Timeout | undefined;
  let polling: Promise<void> | undefined;
  let following: Promise<void> | undefined;

  async function fetchAll(): Promise<void> {
    const items = await fetch();
    const fresh = new Map(items.map((sale) => [sale.id, sale]));
    for (const [id, sale] of running) if (!fresh.has(id) && isOver(sale)) remember(sale);
    for (const id of fresh.keys()) over.delete(id);
    running = fresh;
  }

  /** A sale is left out of the list when it is closed, and a stale list may lack a new one. */
  function isOver({ status, ends_at_ms: endsAtMs }: SaleSnapshot): boolean {
    return status === "closing" || status === "closed" || clock.now() >= endsAtMs;
  }

  function remember(sale: SaleSnapshot): void {
    over.set(sale.id, { ...sale, status: "closed" });
    const [oldest] = over.keys();
    if (over.size > OVER_MAX && oldest !== undefined) over.delete(oldest);
  }

  async function pollOnce(): Promise<void> {
    await fetchAll().catch((error: unknown) => {
      log.debug({ err: error }, "sales could not be fetched");
    });
  }

  /** A poll under way may have read before the change that was hinted at: one more follows it. */
  function poll(): Promise<void> {
    if (polling === undefined) {
      polling = pollOnce().finally(() => {
        polling = undefined;
      });
      return polling;
    }
    following ??= polling.then(() => {
      following = undefined;
      return poll();
    });
    return following;
  }

  return {
    find: (saleId) => running.get(saleId) ?? over.get(saleId),
    refusalOf({ status, starts_at_ms: startsAtMs, ends_at_ms: endsAtMs }) {
      if (status === "closing" || status === "closed") return "SECKILL_ENDED";
      const nowMs = clock.now();
      if (nowMs < startsAtMs - WINDOW_MARGIN_MS) return "SECKILL_NOT_STARTED";
      return nowMs >= endsAtMs + WINDOW_MARGIN_MS ? "SECKILL_ENDED" : undefined;
    },
    start() {
      void poll();
      timer = setInterval(() => {
        if (polling === undefined) void poll();
      }, POLL_INTERVAL_MS);
    },
    stop: () => clearInterval(timer),
    poll,
  };
}
