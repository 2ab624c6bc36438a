// Collects what arrives in one turn of the event loop and hands it on together, by key. A request
// waits for nothing but the end of the turn it came in.

export interface TurnBatches<T> {
  add(key: string, item: T): void;
}

/** @param send gets at most `sizeMax` items of one key, in the order they came; must not throw. */
export function createTurnBatches<T>(
  sizeMax: number,
  send: (key: string, items: readonly T[]) => void,
): TurnBatches<T> {
  let waiting = new Map<string, T[]>();

  const flush = (): void => {
    const turn = waiting;
    waiting = new Map();
    for (const [key, items] of turn) if (items.length > 0) send(key, items);
  };

  return {
    add(key, item) {
      const items = waiting.get(key);
      if (items === undefined) {
        if (waiting.size === 0) setImmediate(flush);
        waiting.set(key, [item]);
        return;
      }
      items.push(item);
      if (items.length < sizeMax) return;
      // The entry stays: the turn's flush is under way already.
      waiting.set(key, []);
      send(key, items);
    },
  };
}
