// The copies of what orders may take, in Redis: one key per SKU, a newer version wins.
import type { Redis } from "ioredis";
import { REMEMBER_AVAILABLE } from "../../lua/inventory.scripts.ts";
import { MINUTE_MS } from "../kernel/clock.ts";
import type { AvailabilityCopies } from "./availability.store.ts";

const COPY_TTL_MS = MINUTE_MS;

export function createAvailabilityCopies(redis: Redis, namespace: string): AvailabilityCopies {
  const keyOf = (skuId: string): string => `${namespace}:inventory:available:{${skuId}}`;
  return {
    async read(skuIds) {
      const values = await redis.mget(skuIds.map(keyOf));
      return values.map(unitsOf);
    },
    async write(copies) {
      await REMEMBER_AVAILABLE.run(
        redis,
        { available: copies.map(({ skuId }) => keyOf(skuId)) },
        {
          ttl_ms: COPY_TTL_MS,
          version_and_units: copies.flatMap(({ version, units }) => [version, units]),
        },
      );
    },
  };
}

/** A value is `<version>:<units>`. */
function unitsOf(value: string | null): number | undefined {
  if (value === null) return undefined;
  return Number(value.slice(value.indexOf(":") + 1));
}
