// Answers "there is surely no such product" without a look anywhere. It may say "maybe" wrongly and
// must never say "no" wrongly: ids younger than its last full build are always "maybe", whatever
// hints were lost. An id is a Snowflake: its time of birth is in it.
import bloomFilters from "bloom-filters";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Log } from "../../mixins/log.ts";
import { type Clock, MINUTE_MS } from "../kernel/clock.ts";
import { snowflakeParts } from "../kernel/snowflake.ts";
import type { ProductRepository } from "./product.repository.ts";

export const FILTER_REBUILD_INTERVAL_MS = MINUTE_MS;
/** An id may be this old before its row is committed, clocks of two nodes being apart included. */
export const FILTER_CERTAINTY_DELAY_MS = 2 * MINUTE_MS;
const FALSE_MAYBE_RATE = 0.01;
/** Ids added by hints between two builds before the rate of wrong "maybe" rises. */
const SPARE_IDS = 1_000;
const IDS_PER_PAGE = 1_000;
/** About 2 ms of work; then other requests have their turn. */
const IDS_PER_TURN = 250;
/** Beyond this the filter would cost more than it saves: everything is "maybe" then. */
const IDS_MAX = 2_000_000;

export interface ProductIdFilter {
  /** False only when there is no product of this id. */
  mayExist(id: string): boolean;
  /** Ids that were just created; a hint, may be lost. */
  add(ids: readonly string[]): void;
  /** Reads all ids and replaces the filter. One at a time. A failed one leaves the old filter. */
  rebuild(): Promise<void>;
}

type Bloom = InstanceType<typeof bloomFilters.BloomFilter>;

interface BuiltFilter {
  readonly bloom: Bloom;
  /** Ids born before this are all in it. */
  readonly completeUntilMs: number;
}

export interface ProductIdFilterParts {
  readonly products: Pick<ProductRepository, "idsAfter" | "count">;
  readonly clock: Clock;
  readonly log: Log;
}

export function createProductIdFilter(parts: ProductIdFilterParts): ProductIdFilter {
  const { products, clock, log } = parts;
  let built: BuiltFilter | undefined;
  /** Hints that came during a build: its pages may have passed their place already. */
  let arrived: string[] = [];
  let build: Promise<void> | undefined;

  async function rebuildNow(): Promise<void> {
    const completeUntilMs = clock.now() - FILTER_CERTAINTY_DELAY_MS;
    arrived = [];
    const total = await products.count();
    if (total > IDS_MAX) {
      log.warn({ products: total, products_max: IDS_MAX }, "too many products for the id filter");
      built = undefined;
      return;
    }
    const bloom = bloomFilters.BloomFilter.create(total + SPARE_IDS, FALSE_MAYBE_RATE);
    await addAll(bloom, products);
    for (const id of arrived) bloom.add(id);
    built = { bloom, completeUntilMs };
  }

  return {
    mayExist(id) {
      if (built === undefined || snowflakeParts(id).timeMs >= built.completeUntilMs) return true;
      return built.bloom.has(id);
    },
    add(ids) {
      for (const id of ids) built?.bloom.add(id);
      if (build !== undefined) arrived.push(...ids);
    },
    rebuild() {
      build ??= rebuildNow().finally(() => {
        build = undefined;
      });
      return build;
    },
  };
}

async function addAll(bloom: Bloom, products: ProductIdFilterParts["products"]): Promise<void> {
  let after = "0";
  for (let read = 0; read <= IDS_MAX;) {
    const page = await products.idsAfter(after, IDS_PER_PAGE);
    for (let start = 0; start < page.length; start += IDS_PER_TURN) {
      for (const id of page.slice(start, start + IDS_PER_TURN)) bloom.add(id);
      await nextTurn();
    }
    const last = page.at(-1);
    if (last === undefined || page.length < IDS_PER_PAGE) return;
    after = last;
    read += page.length;
  }
}
