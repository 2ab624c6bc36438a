// Categories as the actions see them: the tree for everybody, changes for admins.
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import type { PlatformCallContext } from "../../mixins/service.ts";
import type { Category } from "../contracts/product.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import type { CategoryTree } from "./category-tree.ts";
import type { CategoryChange, CategoryRepository } from "./category.repository.ts";
import type { ProductHints } from "./product-hints.ts";

export interface NewCategory extends CategoryChange {
  readonly name: string;
}

export interface CategoryCommands {
  list(): Promise<{ items: Category[] }>;
  create(
    input: NewCategory,
    claim: IdempotencyClaim | undefined,
    ctx: PlatformCallContext,
  ): Promise<Category>;
  update(change: CategoryChange & { readonly id: string }): Promise<Category>;
}

export interface CategoryCommandsParts {
  readonly categories: CategoryRepository;
  readonly tree: CategoryTree;
  readonly hints: Pick<ProductHints, "categoriesChanged">;
  readonly ids: IdGenerator;
}

export function createCategoryCommands(parts: CategoryCommandsParts): CategoryCommands {
  const { categories, tree, hints, ids } = parts;
  const outdate = (): void => {
    tree.outdate();
    hints.categoriesChanged();
  };

  return {
    async list() {
      return { items: await tree.read() };
    },
    async create(input, claim, ctx) {
      const { value, isReplay } = await categories.create(claim, () => ({
        id: ids.next(),
        name: input.name.trim(),
        parent_id: input.parent_id ?? null,
        position: input.position ?? 0,
      }));
      if (isReplay) ctx.meta.isReplay = true;
      else outdate();
      return value;
    },
    async update({ id, ...change }) {
      const category = await categories.update(id, change);
      outdate();
      return category;
    },
  };
}
