// Writes categories. Every change of the tree takes the one row of category_tree first, so that what
// was checked is still so when it is stored.
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import { runIdempotent } from "../../mixins/idempotency/idempotency.repository.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { Category } from "../contracts/product.ts";
import {
  CATEGORIES_MAX,
  isNameTaken,
  type PlacementFault,
  placementFault,
} from "./domain/category.ts";

const LOCK_TREE = sql("category.lock_tree", "SELECT id FROM category_tree WHERE id = 1 FOR UPDATE");
const SELECT_ALL = sql(
  "category.all",
  "SELECT id, name, parent_id, position FROM categories LIMIT ?",
);
const INSERT = sql(
  "category.insert",
  "INSERT INTO categories (id, name, parent_id, position) VALUES (?, ?, ?, ?)",
);
const UPDATE = sql(
  "category.update",
  "UPDATE categories SET name = ?, parent_id = ?, position = ? WHERE id = ?",
);

export interface CategoryChange {
  readonly name?: string;
  readonly parent_id?: string | null;
  readonly position?: number;
}

export interface CategoryRepository {
  /** @throws CATEGORY_NAME_TAKEN; VALIDATION_FAILED for an unknown parent. */
  create(
    claim: IdempotencyClaim | undefined,
    category: () => Category,
  ): Promise<{ readonly value: Category; readonly isReplay: boolean }>;
  /** @throws CATEGORY_NOT_FOUND; CATEGORY_NAME_TAKEN; VALIDATION_FAILED for a parent that is
   * unknown or below it. */
  update(id: string, change: CategoryChange): Promise<Category>;
}

export function createCategoryRepository(database: Database): CategoryRepository {
  return {
    create: (claim, category) =>
      database.transaction("category.create", (tx) =>
        runIdempotent(tx, claim, async () => {
          const categories = await lockTree(tx);
          refuseFullTree(categories);
          const fresh = category();
          refusePlacement(placementFault(categories, null, fresh.parent_id));
          if (isNameTaken(categories, fresh)) throw new PlatformError("CATEGORY_NAME_TAKEN");
          await tx.run(INSERT, [fresh.id, fresh.name, fresh.parent_id, fresh.position]);
          return fresh;
        }),
      ),
    update: (id, change) =>
      database.transaction("category.update", async (tx) => {
        const categories = await lockTree(tx);
        const before = categories.find((category) => category.id === id);
        if (before === undefined) throw new PlatformError("CATEGORY_NOT_FOUND");
        const after: Category = {
          id,
          name: change.name?.trim() ?? before.name,
          parent_id: change.parent_id === undefined ? before.parent_id : change.parent_id,
          position: change.position ?? before.position,
        };
        refusePlacement(placementFault(categories, id, after.parent_id));
        if (isNameTaken(categories, after)) throw new PlatformError("CATEGORY_NAME_TAKEN");
        await tx.run(UPDATE, [after.name, after.parent_id, after.position, id]);
        return after;
      }),
  };
}

async function lockTree(tx: Transaction): Promise<Category[]> {
  await tx.row(LOCK_TREE);
  return await tx.rows<Category>(SELECT_ALL, [CATEGORIES_MAX]);
}

function refuseFullTree(categories: readonly Category[]): void {
  if (categories.length < CATEGORIES_MAX) return;
  throw new PlatformError("VALIDATION_FAILED", [
    { field: "", rule: "maxItems", message: `at most ${CATEGORIES_MAX} categories` },
  ]);
}

const PLACEMENT_MESSAGES: Readonly<Record<PlacementFault, string>> = {
  unknown_parent: "is no category",
  circle: "is the category itself or below it",
  too_deep: "would make the tree too deep",
};

function refusePlacement(fault: PlacementFault | undefined): void {
  if (fault === undefined) return;
  throw new PlatformError("VALIDATION_FAILED", [
    { field: "parent_id", rule: fault, message: PLACEMENT_MESSAGES[fault] },
  ]);
}
