// Sales as this node last read them. The commit's fence makes a stale copy harmless: it costs a second
// try, never a wrong answer. While the database is away the last copy is used.
import { LRUCache } from "lru-cache";
import type { Database } from "../../mixins/database/database.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Sale } from "./domain/sale.ts";
import { findSale } from "./sale.repository.ts";

const FRESH_MS = 250;
const SALES_MAX = 1_000;

interface Copy {
  readonly sale: Sale;
  readonly readAt: number;
}

export interface SaleCache {
  /** At most FRESH_MS old; undefined when there is no such sale. */
  get(id: string): Promise<Sale | undefined>;
  /** Read after this call began. */
  refresh(id: string): Promise<Sale | undefined>;
  /** What a commit on this node has left; an older copy never replaces a newer one. */
  put(sale: Sale): void;
}

export function createSaleCache(database: Database, clock: Clock): SaleCache {
  const copies = new LRUCache<string, Copy>({ max: SALES_MAX });
  const reading = new Map<string, Promise<Sale | undefined>>();

  const read = async (id: string): Promise<Sale | undefined> => {
    const readAt = clock.monotonic();
    try {
      const sale = await findSale(database, id);
      if (sale === undefined) copies.delete(id);
      else copies.set(id, { sale, readAt });
      return sale;
    } catch (error) {
      const last = copies.get(id);
      if (last === undefined) throw error;
      return last.sale;
    }
  };

  const readOnce = (id: string): Promise<Sale | undefined> => {
    const under = reading.get(id);
    if (under !== undefined) return under;
    const started = read(id).finally(() => reading.delete(id));
    reading.set(id, started);
    return started;
  };

  return {
    async get(id) {
      const copy = copies.get(id);
      if (copy !== undefined && clock.monotonic() - copy.readAt < FRESH_MS) return copy.sale;
      return await readOnce(id);
    },
    async refresh(id) {
      // A read under way may have begun before the change that is looked for.
      await reading.get(id)?.catch(() => undefined);
      return await readOnce(id);
    },
    put(sale) {
      const known = copies.get(sale.id);
      if (known !== undefined && isNewer(known.sale, sale)) return;
      copies.set(sale.id, { sale, readAt: clock.monotonic() });
    },
  };
}

function isNewer(left: Sale, right: Sale): boolean {
  return left.epoch > right.epoch || left.version > right.version;
}
