// How late the turns of the event loop are: a timer tells by how much it comes late itself. Node's own histogram
// (monitorEventLoopDelay) does not do: it drops the first turn after every reset, so a reading misses the turn it is
// made in, which is the longest, and all there are, where turns are long.

export interface WatchedTurns {
  stop(): void;
}

/**
 * Does not keep the process from ending.
 * @param intervalMs between two looks, when no turn is late.
 * @param onLate told at each look by how many milliseconds it was late.
 */
export function watchTurns(intervalMs: number, onLate: (lateMs: number) => void): WatchedTurns {
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    onLate(Math.max(0, nowMs - lastMs - intervalMs));
    lastMs = nowMs;
  }, intervalMs).unref();
  return { stop: () => clearInterval(timer) };
}
