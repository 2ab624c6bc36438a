// What this node knows of the operator's rules: asked for twice a second, and at once after a hint. When
// they cannot be asked for, the last ones known hold; how old they are is a metric.
import type { ErrorSlug } from "../../services/contracts/errors.ts";
import { type Rule, type SwitchName, SWITCHES } from "../../services/contracts/operations.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";

const POLL_INTERVAL_MS = 500;
/** Pages in one poll; the rest comes with the next. */
const PAGES_PER_POLL_MAX = 200;

export interface BoardParts {
  /** Rules changed after this number, a page of them, in order. */
  readonly fetch: (afterSeq: number) => Promise<readonly Rule[]>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "set" | "onCollect">;
}

export interface OrderLine {
  readonly sku_id: string;
  readonly quantity: number;
}

export interface RuleBoard {
  /** False until the rules have been read once. */
  isKnown(): boolean;
  isOn(name: SwitchName, target?: string): boolean;
  /** Why this user may not buy in this sale now. */
  refusalOfPurchase(saleId: string, userId: string): ErrorSlug | undefined;
  /** Why this user may not place an order now. */
  refusalOfOrder(userId: string): ErrorSlug | undefined;
  /** The line with more units than its SKU's limit per order, and that limit. */
  lineOverLimit(lines: readonly OrderLine[]): { skuId: string; perOrder: number } | undefined;
  /** Number of the change that made an API client's secret; undefined for one that is not let in. */
  versionOfClient(keyId: string): number | undefined;
  start(): void;
  stop(): void;
  /** Reads what has changed, at once. Never rejects. */
  poll(): Promise<void>;
}

export function createRuleBoard(parts: BoardParts): RuleBoard {
  return new Board(parts);
}

class Board implements RuleBoard {
  readonly #parts: BoardParts;
  readonly #on = new Map<SwitchName, Set<string>>(SWITCHES.map((name) => [name, new Set()]));
  readonly #blocked = new Set<string>();
  readonly #invited = new Map<string, Set<string>>();
  readonly #limits = new Map<string, number>();
  readonly #clients = new Map<string, number>();
  #lastSeq = 0;
  /** Monotonic time of the last successful reading. */
  #readAtMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #polling: Promise<void> | undefined;
  #following: Promise<void> | undefined;

  constructor(parts: BoardParts) {
    this.#parts = parts;
    parts.metrics.onCollect(() => this.#show());
  }

  isKnown(): boolean {
    return this.#readAtMs !== undefined;
  }

  isOn(name: SwitchName, target = ""): boolean {
    return this.#on.get(name)?.has(target) === true;
  }

  refusalOfPurchase(saleId: string, userId: string): ErrorSlug | undefined {
    if (this.isOn("pause_sale", saleId)) return "SECKILL_PAUSED";
    const invited = this.#invited.get(saleId);
    if (invited !== undefined && !invited.has(userId)) return "SECKILL_NOT_INVITED";
    return this.refusalOfOrder(userId);
  }

  refusalOfOrder(userId: string): ErrorSlug | undefined {
    if (this.isOn("stop_orders")) return "ORDERS_STOPPED";
    return this.#blocked.has(userId) ? "BUYER_BLOCKED" : undefined;
  }

  lineOverLimit(lines: readonly OrderLine[]): { skuId: string; perOrder: number } | undefined {
    if (this.#limits.size === 0) return undefined;
    const units = new Map<string, number>();
    for (const { sku_id: skuId, quantity } of lines) {
      units.set(skuId, (units.get(skuId) ?? 0) + quantity);
    }
    for (const [skuId, count] of units) {
      const perOrder = this.#limits.get(skuId);
      if (perOrder !== undefined && count > perOrder) return { skuId, perOrder };
    }
    return undefined;
  }

  versionOfClient(keyId: string): number | undefined {
    return this.#clients.get(keyId);
  }

  start(): void {
    void this.poll();
    this.#timer = setInterval(() => {
      if (this.#polling === undefined) void this.poll();
    }, POLL_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** A poll under way may have read before the change that was hinted at: one more follows it. */
  poll(): Promise<void> {
    if (this.#polling === undefined) {
      this.#polling = this.#pollOnce().finally(() => {
        this.#polling = undefined;
      });
      return this.#polling;
    }
    this.#following ??= this.#polling.then(() => {
      this.#following = undefined;
      return this.poll();
    });
    return this.#following;
  }

  async #pollOnce(): Promise<void> {
    const { fetch, clock, log } = this.#parts;
    try {
      for (let page = 0; page < PAGES_PER_POLL_MAX; page += 1) {
        const rules = await fetch(this.#lastSeq);
        for (const rule of rules) this.#follow(rule);
        if (rules.length === 0) break;
      }
      this.#readAtMs = clock.monotonic();
    } catch (error) {
      log.debug({ err: error }, "rules could not be read");
    }
  }

  #follow({ seq, kind, target, user_id: userId, is_on: isOn, value }: Rule): void {
    this.#lastSeq = Math.max(this.#lastSeq, seq);
    if (kind === "blocked") put(this.#blocked, userId, isOn);
    else if (kind === "invited") this.#invite(target, userId, isOn);
    else if (kind === "limit_sku") putNumber(this.#limits, target, isOn ? value : null);
    else if (kind === "api_client") putNumber(this.#clients, target, isOn ? seq : null);
    else put(this.#on.get(kind), target, isOn);
  }

  /** A sale whose last invitation was taken back is open to everybody again. */
  #invite(saleId: string, userId: string, isOn: boolean): void {
    const invited = this.#invited.get(saleId) ?? new Set();
    put(invited, userId, isOn);
    if (invited.size > 0) this.#invited.set(saleId, invited);
    else this.#invited.delete(saleId);
  }

  #show(): void {
    const { metrics, clock } = this.#parts;
    for (const [name, targets] of this.#on) {
      metrics.set("app_switch_on", { switch: name }, targets.size);
    }
    if (this.#readAtMs === undefined) return;
    metrics.set("app_rules_age_ms", undefined, clock.monotonic() - this.#readAtMs);
  }
}

function put(set: Set<string> | undefined, value: string, isIn: boolean): void {
  if (isIn) set?.add(value);
  else set?.delete(value);
}

function putNumber(map: Map<string, number>, key: string, value: number | null): void {
  if (value === null) map.delete(key);
  else map.set(key, value);
}
