// Moleculer broadcasts between product services: what a node may forget or should know a little
// earlier. Each may be lost; what is relied on is the durable event and the short memory.
import type { Context, ServiceBroker, ServiceSchema } from "moleculer";
import type { CategoryTree } from "./category-tree.ts";
import type { ProductReader } from "./product-reader.ts";

const OUTDATED = "product-hint.outdated";
const APPEARED = "product-hint.appeared";
const CATEGORIES_CHANGED = "product-hint.categories-changed";

interface OutdatedHint {
  readonly id: string;
  readonly version: number;
}
interface AppearedHint {
  readonly ids: readonly string[];
}

export interface ProductHints {
  outdated(id: string, version: number): void;
  appeared(ids: readonly string[]): void;
  categoriesChanged(): void;
}

export function createProductHints(broker: ServiceBroker): ProductHints {
  const send = (name: string, hint: object): void => {
    broker.broadcast(name, hint).catch((error: unknown) => {
      broker.logger.debug("hint was not sent", { hint: name, cause: (error as Error).name });
    });
  };
  return {
    outdated: (id, version) => send(OUTDATED, { id, version } satisfies OutdatedHint),
    appeared: (ids) => send(APPEARED, { ids } satisfies AppearedHint),
    categoriesChanged: () => send(CATEGORIES_CHANGED, {}),
  };
}

/** What a node does on the hints of all nodes, its own included. */
export function hintListeners(
  reader: Pick<ProductReader, "outdate" | "appear">,
  categories: Pick<CategoryTree, "outdate">,
): NonNullable<ServiceSchema["events"]> {
  return {
    [OUTDATED]: ({ params }: Context<OutdatedHint>) => reader.outdate(params.id, params.version),
    [APPEARED]: ({ params }: Context<AppearedHint>) => reader.appear(params.ids),
    [CATEGORIES_CHANGED]: () => categories.outdate(),
  };
}
