// The way a product is read, cheapest first: this process's memory (1 s), the id filter, Redis, the
// database. One read per id and process is under way at a time; everybody else waits for that one.
// A version that is known to be outdated is never remembered by this process again.
import { LRUCache } from "lru-cache";
import type { Product } from "../contracts/product.ts";
import { type Clock, SECOND_MS } from "../kernel/clock.ts";
import type { ProductCache } from "./product-cache.ts";
import type { ProductIdFilter } from "./product-id-filter.ts";
import type { ProductRepository } from "./product.repository.ts";
import type { ReadTally } from "./read-tally.ts";

/** How stale an answer may be when the hint of a change is lost, milliseconds. */
export const MEMORY_TTL_MS = SECOND_MS;
const MEMORY_PRODUCTS_MAX = 5_000;
/** Changes remembered against readers that are slower than the change. */
const OUTDATED_MAX = 10_000;

export interface ProductReader {
  /** The product, listed or not; undefined when there is none. The object is shared and frozen. */
  find(id: string): Promise<Product | undefined>;
  /** Those that exist, in the order of the ids. */
  findAll(ids: readonly string[]): Promise<Product[]>;
  /** What is older than this version must not be given out any more. */
  outdate(id: string, version: number): void;
  /** These now exist. */
  appear(ids: readonly string[]): void;
}

export interface ProductReaderParts {
  readonly products: Pick<ProductRepository, "find">;
  readonly cache: ProductCache;
  readonly filter: Pick<ProductIdFilter, "mayExist" | "add">;
  readonly clock: Clock;
  readonly tally: ReadTally;
}

interface Remembered {
  readonly product: Product | undefined;
  readonly untilMs: number;
}

/** A read under way. Told to be outdated, it still answers those who wait, but is not remembered. */
interface Flight {
  readonly answer: Promise<Product | undefined>;
  isOutdated: boolean;
}

export function createProductReader(parts: ProductReaderParts): ProductReader {
  const { products, cache, filter, clock, tally } = parts;
  const memory = new LRUCache<string, Remembered>({ max: MEMORY_PRODUCTS_MAX });
  const oldestVersions = new LRUCache<string, number>({ max: OUTDATED_MAX });
  const flights = new Map<string, Flight>();

  const remember = (id: string, product: Product | undefined): void => {
    memory.set(id, { product, untilMs: clock.monotonic() + MEMORY_TTL_MS });
  };
  const remembered = (id: string): Remembered | undefined => {
    const known = memory.get(id);
    if (known === undefined || known.untilMs <= clock.monotonic()) return undefined;
    tally.memory += 1;
    return known;
  };

  const isCurrent = ({ id, version }: Product): boolean => version >= (oldestVersions.get(id) ?? 0);
  const load = (ids: readonly string[]) => readThrough({ products, cache, isCurrent, tally }, ids);

  function depart(id: string): Flight {
    const answer = load([id]).then((found) => found.get(id));
    const flight: Flight = { answer, isOutdated: false };
    flights.set(id, flight);
    const land = (): void => {
      if (flights.get(id) === flight) flights.delete(id);
    };
    answer.then((product) => {
      if (!flight.isOutdated) remember(id, product);
      land();
    }, land);
    return flight;
  }

  /** Forgets what was read before now. */
  function drop(id: string): void {
    memory.delete(id);
    const flight = flights.get(id);
    if (flight === undefined) return;
    flight.isOutdated = true;
    flights.delete(id);
  }

  async function find(id: string): Promise<Product | undefined> {
    const known = remembered(id);
    if (known !== undefined) return known.product;
    if (!filter.mayExist(id)) return undefined;
    return await (flights.get(id) ?? depart(id)).answer;
  }

  async function findAll(ids: readonly string[]): Promise<Product[]> {
    const found = new Map<string, Product>();
    const missing: string[] = [];
    for (const id of ids) {
      const product = remembered(id)?.product;
      if (product === undefined) missing.push(id);
      else found.set(id, product);
    }
    for (const [id, product] of missing.length === 0 ? [] : await load(missing)) {
      found.set(id, product);
    }
    return ids.flatMap((id) => found.get(id) ?? []);
  }

  return {
    find,
    findAll,
    outdate(id, version) {
      if (version > (oldestVersions.get(id) ?? 0)) oldestVersions.set(id, version);
      const known = memory.get(id)?.product;
      if (known === undefined || known.version < version) drop(id);
    },
    appear(ids) {
      filter.add(ids);
      for (const id of ids) if (memory.get(id)?.product === undefined) drop(id);
    },
  };
}

interface ReadThroughParts extends Pick<ProductReaderParts, "products" | "cache" | "tally"> {
  readonly isCurrent: (product: Product) => boolean;
}

/** Reads past the memory: Redis for all ids, then the database for what is left. */
async function readThrough(
  { products, cache, isCurrent, tally }: ReadThroughParts,
  ids: readonly string[],
): Promise<Map<string, Product>> {
  const found = new Map<string, Product>();
  for (const product of await cache.read(ids)) {
    if (isCurrent(product)) found.set(product.id, frozen(product));
  }
  const missing = ids.filter((id) => !found.has(id));
  tally.redis += found.size;
  tally.database += missing.length;
  for (const product of missing.length === 0 ? [] : await products.find(missing)) {
    found.set(product.id, frozen(product));
    if (isCurrent(product)) void cache.store(product);
  }
  return found;
}

/** One object serves many readers: whoever writes to it fails at once. */
function frozen(product: Product): Product {
  for (const sku of product.skus) {
    Object.freeze(sku.attributes);
    Object.freeze(sku);
  }
  Object.freeze(product.skus);
  return Object.freeze(product);
}
