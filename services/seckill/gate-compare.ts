// Holds a gate against its sale. With nobody pending and nothing on its way back, the gate's stock is what
// nobody holds. Facts that were read while the gate stood still between two looks are of one moment;
// else nothing is said.
import type { Database } from "../../mixins/database/database.ts";
import { readFacts } from "./gate-epoch.repository.ts";
import type { Gate, GateEpoch } from "./gate.ts";

export type GateComparison =
  | { readonly kind: "compared"; readonly stock: number; readonly remaining: number }
  /** The sale uses this epoch's gate, and the server does not know it. */
  | { readonly kind: "lost" }
  /** People are under way, or the sale is in other hands by now. */
  | { readonly kind: "unclear" };

/** Errors: those of the gate and of a read. */
export async function compareGate(
  { gate, database }: { readonly gate: Gate; readonly database: Database },
  epoch: GateEpoch,
): Promise<GateComparison> {
  const before = await gate.state(epoch);
  const facts = await readFacts(database, epoch.saleId);
  if (facts?.mode !== "redis" || facts.epoch !== epoch.epoch) return { kind: "unclear" };
  if (before === undefined) return { kind: "lost" };
  const after = await gate.state(epoch);
  const isStill = before.version === after?.version && before.pending + after.pending === 0;
  if (!isStill || facts.isGivingBack) return { kind: "unclear" };
  return { kind: "compared", stock: before.stock, remaining: facts.remaining };
}
