// Who holds a unit of a sale, by the gate: for gateways that refuse everybody else for a moment when
// there is none left. While the gate does not decide, nobody can tell.
import type { ActionParams, ActionResult } from "../contracts/actions.ts";
import type { Gate } from "./gate.ts";
import type { SaleCache } from "./sale-cache.ts";

type Page = ActionResult<"seckill.holders">;

const NOT_TOLD: Page = { version: null, stock: 0, holders: 0, user_ids: [], next: null };

export interface HoldersDeps {
  readonly gate: Gate;
  readonly sales: SaleCache;
}

/** Errors: those of the gate. */
export async function pageOfHolders(
  { gate, sales }: HoldersDeps,
  { sale_id: saleId, known_version: known, cursor }: ActionParams<"seckill.holders">,
): Promise<Page> {
  const sale = await sales.get(saleId);
  if (sale?.status !== "published" || sale.mode !== "redis") return NOT_TOLD;
  const epoch = { saleId, epoch: sale.epoch };
  const state = await gate.state(epoch);
  if (state === undefined) return NOT_TOLD;
  // Versions of two epochs never meet: each has a gate of its own.
  const version = `${epoch.epoch}:${state.version}`;
  const { stock } = state;
  const told = { version, stock, holders: sale.quantity - stock };
  if (stock > 0 || version === known) return { ...told, user_ids: [], next: null };
  const page = await gate.holders({ ...epoch, cursor });
  return { ...told, user_ids: [...page.userIds], next: page.next ?? null };
}
