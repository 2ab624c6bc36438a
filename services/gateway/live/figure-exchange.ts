// The figures of all gateways together: each tells the others what it has answered, twice a second while
// it answers. A lost message only makes a picture older.
import type { ServiceBroker } from "moleculer";
import { type FigureBook, type SaleFigures, sumOf } from "../fast-lane/sale-figures.ts";

export const FIGURES_EVENT = "gateway.sale_figures";
const TELL_INTERVAL_MS = 500;
/** Gateways and sales that are remembered, restarted ones too; the oldest are forgotten first. */
const PARTS_MAX = 2_000;

export interface FiguresHint {
  readonly sale_id: string;
  readonly figures: SaleFigures;
}

export interface FigureExchange {
  of(saleId: string): SaleFigures;
  /** To be called when this node has answered somebody. */
  touch(saleId: string): void;
  receive(nodeId: string, hint: FiguresHint): void;
  start(): void;
  stop(): void;
}

export function createFigureExchange(broker: ServiceBroker, own: FigureBook): FigureExchange {
  const others = new Map<string, FiguresHint>();
  const touched = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  function tell(): void {
    for (const saleId of touched) {
      const hint = { sale_id: saleId, figures: own.of(saleId) };
      broker.broadcast(FIGURES_EVENT, hint).catch(() => undefined);
    }
    touched.clear();
  }

  return {
    of(saleId) {
      const parts = [...others.values()].filter((hint) => hint.sale_id === saleId);
      const figures = parts.map((hint) => hint.figures);
      const mine = own.of(saleId);
      return sumOf(mine === undefined ? figures : [...figures, mine]);
    },
    touch: (saleId) => void touched.add(saleId),
    receive(nodeId, hint) {
      if (nodeId === broker.nodeID) return;
      const key = `${nodeId} ${hint.sale_id}`;
      others.delete(key);
      others.set(key, hint);
      const [oldest] = others.keys();
      if (others.size > PARTS_MAX && oldest !== undefined) others.delete(oldest);
    },
    start() {
      timer = setInterval(tell, TELL_INTERVAL_MS);
    },
    stop: () => clearInterval(timer),
  };
}
