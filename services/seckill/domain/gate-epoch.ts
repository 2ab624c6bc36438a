// Whose hands a published sale is in: db ─▶ loading ─▶ redis, each load under an epoch of its own. Pure:
// the caller holds the lock on the sale's row. Each answers the sale itself when somebody was faster.
import type { Sale } from "./sale.ts";

/** A sale as its gate's keeper has read it. */
export type SeenEpoch = Pick<Sale, "mode" | "epoch">;

/** From here on winners of the epoch before are fenced, and nobody is let in until the load's end. */
export function startLoading(sale: Sale, seen: SeenEpoch): Sale {
  if (sale.status !== "published" || sale.strategy !== "gate") return sale;
  if (sale.mode !== seen.mode || sale.epoch !== seen.epoch) return sale;
  return { ...sale, mode: "loading", epoch: sale.epoch + 1, gateRunId: null };
}

export interface LoadedEpoch {
  readonly epoch: number;
  readonly gateRunId: string;
}

export function endLoading(sale: Sale, { epoch, gateRunId }: LoadedEpoch): Sale {
  if (sale.mode !== "loading" || sale.epoch !== epoch) return sale;
  return { ...sale, mode: "redis", gateRunId };
}
