// The scripts of the sale's gate, with names and replies.
import { defineScript } from "./script.ts";

export interface AdmitReply {
  /** One letter per candidate; the script's header names them. */
  readonly letters: string;
  /** By the server's wall clock, ms since the Unix epoch. */
  readonly atMs: number;
  /** In turn, an order id for each letter that stands for an order known before. */
  readonly knownOrderIds: readonly string[];
}

export interface StateReply {
  readonly stock: number;
  readonly pending: number;
  readonly newestEntry: string;
}

/** Lets a batch of buyers through. */
export const GATE_ADMIT = defineScript("seckill/admit", {
  keys: ["stock", "window", "users", "pending", "journal"],
  args: [
    "run_id",
    "owner",
    "journal_length_max",
    "not_after_ms",
    "settled_count",
    "settled_and_candidates...",
  ],
  reply(raw): AdmitReply {
    const [letters = "", atMs, ...knownOrderIds] = raw as readonly string[];
    return { letters, atMs: Number(atMs), knownOrderIds };
  },
});

const BEGIN_LOAD = ["begun", "loaded", "stale"] as const;

/** First step of a load: forgets what an earlier try of it left. */
export const GATE_BEGIN_LOAD = defineScript("seckill/begin-load", {
  keys: ["stock", "users"],
  args: ["run_id", "expires_at_ms"],
  reply: (raw) => outcome(BEGIN_LOAD, raw),
});

const LOAD_HOLDERS = ["disturbed", "added"] as const;

/** Adds a page of buyers who have one. */
export const GATE_LOAD_HOLDERS = defineScript("seckill/load-holders", {
  keys: ["stock", "users"],
  args: ["run_id", "users_and_attempts..."],
  reply: (raw) => outcome(LOAD_HOLDERS, raw),
});

const OPEN = ["disturbed", "open"] as const;

/** Last step of a load: the stock. */
export const GATE_OPEN = defineScript("seckill/open", {
  keys: ["stock", "window", "users", "pending", "journal"],
  args: ["run_id", "window", "expires_at_ms", "holder_count", "stock"],
  reply: (raw) => outcome(OPEN, raw),
});

const GIVE_BACK = ["not_loaded", "not_holder", "given_back"] as const;

/** Returns one order's unit. */
export const GATE_GIVE_BACK = defineScript("seckill/give-back", {
  keys: ["stock", "users", "pending", "journal"],
  args: ["run_id", "user_id", "order_id", "journal_length_max"],
  reply: (raw) => outcome(GIVE_BACK, raw),
});

/** Stock and pending admissions at one moment; undefined when it is not loaded. */
export const GATE_STATE = defineScript("seckill/state", {
  keys: ["stock", "users", "pending", "journal"],
  args: ["run_id"],
  reply(raw): StateReply | undefined {
    if (raw === null) return undefined;
    const [stock, pending, newestEntry] = raw as [number, number, string];
    return { stock, pending, newestEntry };
  },
});

function outcome<Name extends string>(names: readonly Name[], raw: unknown): Name {
  const name = names[Number(raw)];
  if (name === undefined) throw new Error(`a gate script answered ${String(raw)}`);
  return name;
}
