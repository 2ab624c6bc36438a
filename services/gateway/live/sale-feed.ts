// What happens in one sale, for everybody who watches it: read once for all of them, and only while
// somebody watches. Each watcher with a token is also told what became of his own attempt.
import type { ActionResult } from "../../contracts/actions.ts";
import type { SaleEvent } from "../../contracts/gateway.ts";
import type { Sale } from "../../contracts/seckill.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../../mixins/log.ts";
import { quantileMs, type SaleFigures } from "../fast-lane/sale-figures.ts";
import type { EventStream } from "./event-stream.ts";

const TURN_INTERVAL_MS = 500;
/** Orders are counted: that rests ten times as long as it took, and at least this long. */
const ORDERS_INTERVAL_MIN_MS = 2_000;
const ORDERS_REST_FACTOR = 10;
/** How often an own attempt is looked at: while it goes on, and when nothing is expected. */
const MINE_INTERVAL_MS = 1_000;
const MINE_QUIET_INTERVAL_MS = 5_000;
const GOES_ON = new Set<string>(["waiting", "queued", "pending_payment", "closing"]);

export type Mine = Pick<ActionResult<"seckill.mine">, "status" | "order_id" | "reason">;

export interface FeedPort {
  /** Errors: SECKILL_SALE_NOT_FOUND and those of a call. */
  sale(id: string): Promise<Sale>;
  orders(id: string): Promise<Readonly<Record<string, number>>>;
  mine(id: string, token: string): Promise<Mine>;
  figures(id: string): SaleFigures;
}

export interface Watcher {
  readonly stream: EventStream;
  readonly userId: string | undefined;
  readonly token: string | undefined;
}

export interface SaleFeed {
  add(watcher: Watcher): void;
  /** Returns how many are left. */
  remove(watcher: Watcher): number;
  /** This buyer has just been answered. */
  nudge(userId: string): void;
  stop(): void;
}

export interface FeedParts {
  readonly port: FeedPort;
  readonly clock: Clock;
  readonly log: Log;
}

/** @param first the sale as it was just read. */
export function createSaleFeed(parts: FeedParts, first: Sale): SaleFeed {
  return new Feed(parts, first);
}

interface Mark {
  dueMs: number;
  isAsking: boolean;
}

class Feed implements SaleFeed {
  readonly #parts: FeedParts;
  readonly #watchers = new Map<Watcher, Mark>();
  readonly #timer: NodeJS.Timeout;
  #sale: Sale;
  #orders: Readonly<Record<string, number>> | undefined;
  #ordersDueMs = 0;
  #isReading = false;

  constructor(parts: FeedParts, first: Sale) {
    this.#parts = parts;
    this.#sale = first;
    this.#timer = setInterval(() => this.#turn(), TURN_INTERVAL_MS);
  }

  add(watcher: Watcher): void {
    this.#watchers.set(watcher, { dueMs: 0, isAsking: false });
    this.#show(watcher.stream);
    this.#turn();
  }

  remove(watcher: Watcher): number {
    this.#watchers.delete(watcher);
    return this.#watchers.size;
  }

  nudge(userId: string): void {
    for (const [watcher, mark] of this.#watchers) {
      if (watcher.userId === userId) mark.dueMs = 0;
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #turn(): void {
    for (const [watcher, mark] of this.#watchers) void this.#askMine(watcher, mark);
    if (this.#isReading) return;
    this.#isReading = true;
    void this.#read().finally(() => {
      this.#isReading = false;
      for (const { stream } of this.#watchers.keys()) this.#show(stream);
    });
  }

  async #read(): Promise<void> {
    const { port, clock, log } = this.#parts;
    const { id } = this.#sale;
    try {
      this.#sale = await port.sale(id);
      const startedMs = clock.monotonic();
      if (startedMs < this.#ordersDueMs) return;
      // After a failure too.
      this.#ordersDueMs = startedMs + ORDERS_INTERVAL_MIN_MS;
      this.#orders = await port.orders(id);
      const restMs = (clock.monotonic() - startedMs) * ORDERS_REST_FACTOR;
      this.#ordersDueMs = clock.monotonic() + Math.max(ORDERS_INTERVAL_MIN_MS, restMs);
    } catch (error) {
      log.debug({ err: error, sale_id: id }, "a watched sale could not be read");
    }
  }

  #show(stream: EventStream): void {
    stream.send("", saleEvent(this.#sale));
    stream.send("figures", shownFigures(this.#parts.port.figures(this.#sale.id)));
    if (this.#orders !== undefined) stream.send("orders", this.#orders);
  }

  async #askMine({ token, stream }: Watcher, mark: Mark): Promise<void> {
    const { port, clock } = this.#parts;
    if (token === undefined || mark.isAsking || clock.monotonic() < mark.dueMs) return;
    mark.isAsking = true;
    mark.dueMs = clock.monotonic() + MINE_QUIET_INTERVAL_MS;
    try {
      const { status, order_id, reason } = await port.mine(this.#sale.id, token);
      stream.send("mine", { status, order_id, reason });
      if (GOES_ON.has(status)) mark.dueMs = clock.monotonic() + MINE_INTERVAL_MS;
    } catch {
      // Asked again later; a token that has run out just stops telling.
    } finally {
      mark.isAsking = false;
    }
  }
}

export function saleEvent(sale: Sale): SaleEvent {
  const { id, title, status, quantity, remaining, start_at, end_at } = sale;
  const sold = quantity - remaining;
  return { sale_id: id, title, status, quantity, remaining, sold, start_at, end_at };
}

function shownFigures({ answers, winners, others }: SaleFigures): object {
  const arrived = Object.values(answers).reduce((sum, count) => sum + count, 0);
  return {
    arrived,
    answers,
    winners_ms: { p50: quantileMs(winners, 0.5), p99: quantileMs(winners, 0.99) },
    others_ms: { p50: quantileMs(others, 0.5), p99: quantileMs(others, 0.99) },
  };
}
