// The category tree: its order, and the moves that would make it a circle. Pure.
import type { Category } from "../../contracts/product.ts";

/** Deeper trees help nobody to find anything, and bound every walk over one. */
export const CATEGORY_DEPTH_MAX = 8;
/** The tree is read and sent as a whole. */
export const CATEGORIES_MAX = 5_000;

export type PlacementFault = "unknown_parent" | "circle" | "too_deep";

/**
 * What speaks against hanging category `id` (null: a new one, without children) under `parentId`;
 * undefined when nothing does.
 */
export function placementFault(
  categories: readonly Category[],
  id: string | null,
  parentId: string | null,
): PlacementFault | undefined {
  if (parentId === null) return undefined;
  const parents = new Map(categories.map((category) => [category.id, category.parent_id]));
  if (!parents.has(parentId)) return "unknown_parent";
  let depth = 1;
  for (let at: string | null = parentId; at !== null; at = parents.get(at) ?? null) {
    if (at === id) return "circle";
    depth += 1;
  }
  const height = id === null ? 0 : heightBelow(categories, id);
  return depth + height > CATEGORY_DEPTH_MAX ? "too_deep" : undefined;
}

/** Whether another child of `parentId` has this name already; case does not tell names apart. */
export function isNameTaken(categories: readonly Category[], placed: Category): boolean {
  const name = placed.name.toLowerCase();
  return categories.some(
    (other) =>
      other.id !== placed.id &&
      other.parent_id === placed.parent_id &&
      other.name.toLowerCase() === name,
  );
}

/** Parents before their children, siblings by position, then name, then id. */
export function inTreeOrder(categories: readonly Category[]): Category[] {
  const ordered: Category[] = [];
  const children = childrenOf(categories);
  const visit = (parentId: string | null): void => {
    for (const category of children.get(parentId) ?? []) {
      ordered.push(category);
      visit(category.id);
    }
  };
  visit(null);
  return ordered;
}

function heightBelow(categories: readonly Category[], id: string): number {
  const children = childrenOf(categories);
  let height = 0;
  let level = [id];
  for (;;) {
    level = level.flatMap((parent) => (children.get(parent) ?? []).map((child) => child.id));
    if (level.length === 0 || height > CATEGORY_DEPTH_MAX) return height;
    height += 1;
  }
}

function childrenOf(categories: readonly Category[]): Map<string | null, Category[]> {
  const children = new Map<string | null, Category[]>();
  for (const category of [...categories].sort(bySiblingOrder)) {
    const siblings = children.get(category.parent_id);
    if (siblings === undefined) children.set(category.parent_id, [category]);
    else siblings.push(category);
  }
  return children;
}

function bySiblingOrder(a: Category, b: Category): number {
  if (a.position !== b.position) return a.position - b.position;
  const byName = a.name.localeCompare(b.name);
  if (byName !== 0) return byName;
  return BigInt(a.id) < BigInt(b.id) ? -1 : 1;
}
