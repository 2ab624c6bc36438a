// What a whole run found; the shape of docs/bench-sale.json, which `npm run plan` reads.
import type { AimResult } from "./aims.ts";
import type { BigSlice, Samples } from "./sample.ts";

export interface SaleBenchResult {
  readonly takenAt: string;
  readonly machine: string;
  readonly software: string;
  readonly conditions: readonly string[];
  readonly guards: readonly string[];
  readonly rounds: number;
  /** One-minute load averages before each round. */
  readonly loads: readonly number[];
  readonly idleUsPerS: Readonly<Record<string, number>>;
  /** Resident MiB by process, before the first round and after the last. */
  readonly memoryMib: Readonly<Record<"before" | "after", Readonly<Record<string, number>>>>;
  /** One sample per round. */
  readonly samples: Samples;
  /** The one big sale; empty when it was left out. */
  readonly big: readonly BigSlice[];
}

/** As it is stored. */
export type StoredResult = SaleBenchResult & { readonly aims: readonly AimResult[] };

/** On by default and on while it was measured. */
export const GUARDS: readonly string[] = [
  "token: HS256 verified, or looked up by the whole token; revocations polled every 2 s",
  "sale window: by the gateway outside a margin of 2 s, by Redis's clock inside it",
  "rate limits: GCRA of 20 requests a second per user and 200 per address (each buyer has an address of his own behind a trusted proxy), local to the node",
  "load: 503 when the event loop lags by more than 200 ms or 8,192 buyers wait",
  "sold-out mark: 200 ms, with the exact list of holders, who are never refused by it",
  "duplicates: one unit a user, answered with the order he has",
  "gate: one script per batch and sale, window, pending set, journal, fenced by the server's run and the epoch",
  "commit: the sale's row locked, (mode, epoch) fence, rows read back, unique (sale, user), outbox row in the same transaction; the answer after the commit",
  "orders: inbox row and history in the transaction that makes them; known orders are looked up first",
  "metrics on, request log off, tracing off, as in `npm start`",
];
