// Nonces of signed requests that were used: each may be used once while its signature is in time. Redis
// is asked, so that no other gateway takes one again; while Redis is away, this node's own memory alone
// decides, and refuses when it is full rather than forget.
import { LRUCache } from "lru-cache";
import { PlatformError } from "../contracts/errors.ts";
import type { PlatformNode } from "../node.ts";

/** Nonces in memory; about 15 MB when full. */
export const NONCES_MAX = 100_000;
/** After a failure Redis is left alone for this long. */
const REST_AFTER_FAILURE_MS = 1_000;

export interface NonceStore {
  /**
   * False when the nonce was used before.
   * @param id of client and nonce. Errors: SERVICE_UNAVAILABLE when that cannot be told.
   */
  claim(id: string, keptMs: number): Promise<boolean>;
}

export type NonceParts = Pick<PlatformNode, "clock" | "log"> & {
  readonly redis: Pick<ReturnType<PlatformNode["redis"]>, "set">;
  /** Of the keys. */
  readonly prefix: string;
  readonly noncesMax?: number;
};

export function createNonceStore(parts: NonceParts): NonceStore {
  const { clock, log, redis, prefix, noncesMax = NONCES_MAX } = parts;
  const own = new LRUCache<string, number>({ max: noncesMax });
  let restUntilMs = 0;

  /** Undefined when Redis cannot say. */
  async function isNewToAll(id: string, keptMs: number): Promise<boolean | undefined> {
    if (clock.monotonic() < restUntilMs) return undefined;
    try {
      return (await redis.set(`${prefix}:${id}`, "1", "PX", Math.ceil(keptMs), "NX")) === "OK";
    } catch (error) {
      restUntilMs = clock.monotonic() + REST_AFTER_FAILURE_MS;
      log.debug({ err: error }, "nonces are local for a while");
      return undefined;
    }
  }

  /** Whether memory has forgotten a nonce that could still come again. */
  function isFull(): boolean {
    if (own.size < noncesMax) return false;
    const [oldest] = own.rvalues();
    return oldest !== undefined && oldest > clock.monotonic();
  }

  return {
    async claim(id, keptMs) {
      const nowMs = clock.monotonic();
      if ((own.get(id) ?? 0) > nowMs) return false;
      const wasFull = isFull();
      own.set(id, nowMs + keptMs);
      const isNew = await isNewToAll(id, keptMs);
      if (isNew === undefined && wasFull) throw new PlatformError("SERVICE_UNAVAILABLE");
      return isNew ?? true;
    },
  };
}
