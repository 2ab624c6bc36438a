// Reads products of many requests with few statements: ids that are asked for while reads are under
// way go into the next one together. A cold cache, or a Redis that is away, then costs the database
// two connections at most and not one per visitor.
import type { Product } from "../contracts/product.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { ProductRepository } from "./product.repository.ts";

export const READS_AT_ONCE_MAX = 2;
export const IDS_PER_READ_MAX = 100;
/** More are refused with OVERLOADED: they would be answered after their requests have given up. */
export const WAITING_IDS_MAX = 5_000;

interface Waiting {
  readonly id: string;
  readonly resolve: (product: Product | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** The same promise as the repository's `find`, for callers that may be many. */
export function createProductLoader(
  products: Pick<ProductRepository, "find">,
): Pick<ProductRepository, "find"> {
  const waiting: Waiting[] = [];
  let reads = 0;

  async function read(batch: readonly Waiting[]): Promise<void> {
    try {
      const found = await products.find([...new Set(batch.map(({ id }) => id))]);
      const byId = new Map(found.map((product) => [product.id, product]));
      for (const { id, resolve } of batch) resolve(byId.get(id));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    reads -= 1;
    pump();
  }

  function pump(): void {
    while (reads < READS_AT_ONCE_MAX && waiting.length > 0) {
      reads += 1;
      void read(waiting.splice(0, IDS_PER_READ_MAX));
    }
  }

  function one(id: string): Promise<Product | undefined> {
    return new Promise((resolve, reject) => waiting.push({ id, resolve, reject }));
  }

  return {
    async find(ids) {
      if (waiting.length + ids.length > WAITING_IDS_MAX) throw new PlatformError("OVERLOADED");
      const asked = ids.map(one);
      // Those asked for in the same moment shall share the first read already.
      queueMicrotask(pump);
      return (await Promise.all(asked)).filter((product) => product !== undefined);
    },
  };
}
