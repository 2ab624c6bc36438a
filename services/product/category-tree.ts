// The category tree as every visitor sees it: kept for a second, and beyond that while the database
// is away.
import type { Category } from "../contracts/product.ts";
import { type Clock, SECOND_MS } from "../kernel/clock.ts";
import type { CategoryStore } from "./category-store.ts";
import { inTreeOrder } from "./domain/category.ts";

const TREE_TTL_MS = SECOND_MS;

export interface CategoryTree {
  /** In tree order. @throws SERVICE_UNAVAILABLE when it could never be read. */
  read(): Promise<Category[]>;
  /** The tree was changed: reads that begin from now on see it. */
  outdate(): void;
}

export function createCategoryTree(store: CategoryStore, clock: Clock): CategoryTree {
  let tree: Category[] | undefined;
  let freshUntilMs = 0;
  let flight: Promise<Category[]> | undefined;

  function depart(): Promise<Category[]> {
    const started = store.findAll().then(inTreeOrder);
    const land = (): void => {
      if (flight === started) flight = undefined;
    };
    started.then((read) => {
      if (flight === started) {
        tree = read;
        freshUntilMs = clock.monotonic() + TREE_TTL_MS;
      }
      land();
    }, land);
    flight = started;
    return started;
  }

  return {
    async read() {
      if (tree !== undefined && clock.monotonic() < freshUntilMs) return tree;
      try {
        return await (flight ?? depart());
      } catch (error) {
        if (tree !== undefined) return tree;
        throw error;
      }
    },
    outdate() {
      freshUntilMs = 0;
      flight = undefined;
    },
  };
}
