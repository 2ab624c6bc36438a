// Copies of what visitors saw last, for the time in which browsing is degraded: then pages come from
// here, with the stock they had, and nothing behind the gateway is asked but by a few at a time.
import { LRUCache } from "lru-cache";
import { PlatformError } from "../contracts/errors.ts";
import type { Clock } from "../kernel/clock.ts";
import { canonicalJson } from "./request.ts";

/** Products on all copies together. */
const COPIED_PRODUCTS_MAX = 20_000;
const COPIES_MAX = 5_000;
/** A copy younger than this is not made anew. */
const COPY_AGE_MIN_MS = 1_000;
/** Requests that may fetch a page which has no copy, at once. */
const REFILLS_MAX = 4;

const BROWSED: ReadonlySet<string> = new Set([
  "product.get",
  "product.list",
  "product.hot",
  "product.listCategories",
]);

interface Copy {
  readonly data: unknown;
  readonly madeMs: number;
}

export interface ShelfParts {
  readonly clock: Clock;
  readonly isDegraded: () => boolean;
}

export interface Browse {
  readonly action: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** What the page is when it is not degraded. */
  readonly fetch: () => Promise<unknown>;
  /** Told the age of a copy that is answered, in seconds. */
  readonly onCopy: (ageS: number) => void;
}

export interface Shelf {
  isBrowsed(action: string): boolean;
  /** Errors: BROWSING_DEGRADED when there is no copy and enough are being made. */
  answer(browse: Browse): Promise<unknown>;
}

export function createShelf({ clock, isDegraded }: ShelfParts): Shelf {
  const copies = new LRUCache<string, Copy>({
    max: COPIES_MAX,
    maxSize: COPIED_PRODUCTS_MAX,
    sizeCalculation: ({ data }) => productsOf(data),
  });
  let refills = 0;

  async function fetchAndKeep(key: string, { fetch }: Browse): Promise<unknown> {
    const data = await fetch();
    const known = copies.peek(key);
    const nowMs = clock.monotonic();
    if (known === undefined || nowMs - known.madeMs >= COPY_AGE_MIN_MS) {
      copies.set(key, { data, madeMs: nowMs });
    }
    return data;
  }

  return {
    isBrowsed: (action) => BROWSED.has(action),
    async answer(browse) {
      const key = `${browse.action}:${canonicalJson(browse.params)}`;
      if (!isDegraded()) return await fetchAndKeep(key, browse);
      const copy = copies.get(key);
      if (copy !== undefined) {
        browse.onCopy(Math.floor((clock.monotonic() - copy.madeMs) / 1_000));
        return copy.data;
      }
      if (refills >= REFILLS_MAX) throw new PlatformError("BROWSING_DEGRADED");
      refills += 1;
      return await fetchAndKeep(key, browse).finally(() => (refills -= 1));
    },
  };
}

function productsOf(data: unknown): number {
  const items = (data as { items?: readonly unknown[] } | null)?.items;
  return Math.max(1, items?.length ?? 1);
}
