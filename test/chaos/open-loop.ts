// Requests at a fixed rate whatever is answered, as customers come: nobody waits for somebody else's answer.
import { setTimeout as delay } from "node:timers/promises";

const S_MS = 1_000;
const TICK_MS = 5;

export interface Timed<A> {
  /** Absent when there was none. */
  readonly answer: A | undefined;
  readonly tookMs: number;
}

export async function timed<A>(send: () => Promise<A>): Promise<Timed<A>> {
  const startMs = performance.now();
  const answer = await send().catch(() => undefined);
  return { answer, tookMs: performance.now() - startMs };
}

/** Sends `perSecond` for `ms`; resolves when every one is answered. */
export async function openLoop<A>(
  { perSecond, ms }: { readonly perSecond: number; readonly ms: number },
  send: () => Promise<A>,
): Promise<readonly Timed<A>[]> {
  const startMs = performance.now();
  const all: Promise<Timed<A>>[] = [];
  while (performance.now() - startMs < ms) {
    const due = Math.floor(((performance.now() - startMs) / S_MS) * perSecond);
    while (all.length < due) all.push(timed(send));
    await delay(TICK_MS);
  }
  return await Promise.all(all);
}
