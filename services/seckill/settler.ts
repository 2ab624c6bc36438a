// Tells the gate which orders are committed, so that they leave its pending ones: with the next batch
// of the sale, or within SETTLE_DELAY_MS when there is none. A lost settle is harmless.
import type { Log } from "../../mixins/log.ts";
import { type Gate, GATE_PAGE_MAX, type GateEpoch } from "./gate.ts";

const SETTLE_DELAY_MS = 50;
/** Beyond this, ids are forgotten: the reaper finds their rows and drops them. */
const WAITING_MAX = 100_000;

interface Waiting extends GateEpoch {
  readonly orderIds: string[];
}

export interface Settler {
  add(epoch: GateEpoch, orderId: string): void;
  /** Ids for the next script of this epoch; they count as told. */
  take(epoch: GateEpoch): readonly string[];
  /** Tells what waits. */
  stop(): Promise<void>;
}

export function createSettler(gate: Gate, log: Log): Settler {
  const waiting = new Map<string, Waiting>();
  let count = 0;
  let timer: NodeJS.Timeout | undefined;

  const keyOf = ({ saleId, epoch }: GateEpoch): string => `${saleId}:${epoch}`;

  const take = (epoch: GateEpoch): readonly string[] => {
    const entry = waiting.get(keyOf(epoch));
    if (entry === undefined) return [];
    const taken = entry.orderIds.splice(0, GATE_PAGE_MAX);
    count -= taken.length;
    if (entry.orderIds.length === 0) waiting.delete(keyOf(epoch));
    return taken;
  };

  const flush = async (): Promise<void> => {
    timer = undefined;
    const epochs = [...waiting.values()].map(({ saleId, epoch }) => ({ saleId, epoch }));
    for (const epoch of epochs) {
      const orderIds = take(epoch);
      if (orderIds.length === 0) continue;
      await gate.settle({ ...epoch, orderIds }).catch((error: unknown) => {
        log.debug({ err: error, sale_id: epoch.saleId }, "a settle was lost");
      });
    }
    if (count > 0) timer ??= setTimeout(() => void flush(), SETTLE_DELAY_MS);
  };

  return {
    add({ saleId, epoch }, orderId) {
      if (count >= WAITING_MAX) return;
      const key = keyOf({ saleId, epoch });
      const entry = waiting.get(key) ?? { saleId, epoch, orderIds: [] };
      waiting.set(key, entry);
      entry.orderIds.push(orderId);
      count += 1;
      timer ??= setTimeout(() => void flush(), SETTLE_DELAY_MS);
    },
    take,
    async stop() {
      clearTimeout(timer);
      await flush();
      clearTimeout(timer);
    },
  };
}
