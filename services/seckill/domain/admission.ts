// Which of a batch's winners get their unit. Pure: the caller holds the lock on the sale's row, so
// that what it read of the sale's admissions is all there is.
//
// What is known of the order and of the buyer comes first: it is true under every epoch. Then the
// fence: a command that was let through under another (mode, epoch) begins anew. Then the room.
import type { Refusal } from "../../contracts/seckill.ts";
import { remainingOf, type Sale, type SaleMode } from "./sale.ts";

export type AdmissionState = "live" | "given_back" | "void";

/** A buyer who was let through, and where. */
export interface AdmitCommand {
  readonly orderId: string;
  readonly userId: string;
  readonly requestId: string;
  readonly mode: Exclude<SaleMode, "loading">;
  readonly epoch: number;
}

export type CommitOutcome =
  | { readonly kind: "committed" }
  | { readonly kind: "refused"; readonly refusal: Refusal; readonly heldOrderId: string | null }
  /** The attempt was given up by somebody else; the buyer may try again. */
  | { readonly kind: "void" }
  | { readonly kind: "fenced" };

/** What the database knows of a batch, read under the lock. */
export interface KnownAdmissions {
  readonly stateByOrder: ReadonlyMap<string, AdmissionState>;
  /** Live admissions of the batch's buyers: order ids by user id. */
  readonly heldByUser: ReadonlyMap<string, string>;
}

export interface BatchDecision {
  /** One outcome per command, in order. */
  readonly outcomes: readonly CommitOutcome[];
  /** The commands that get a unit now, in gate order. */
  readonly granted: readonly AdmitCommand[];
  /** Winners of the gate for whom there was no room: the gate was wrong. */
  readonly guardRefused: number;
}

const COMMITTED: CommitOutcome = { kind: "committed" };
const FENCED: CommitOutcome = { kind: "fenced" };
const VOID: CommitOutcome = { kind: "void" };

export function refused(
  refusal: Refusal,
  heldOrderId: string | null = null,
): Extract<CommitOutcome, { kind: "refused" }> {
  return { kind: "refused", refusal, heldOrderId };
}

export function decideBatch(
  sale: Sale,
  now: Date,
  commands: readonly AdmitCommand[],
  known: KnownAdmissions,
): BatchDecision {
  const granted = new Map<string, AdmitCommand>();
  const held = new Map(known.heldByUser);
  const room = remainingOf(sale);
  let guardRefused = 0;
  const outcomes = commands.map((command): CommitOutcome => {
    const { orderId, userId, mode } = command;
    const settled = settledOutcome(command, known, granted);
    if (settled !== undefined) return settled;
    const heldOrderId = held.get(userId);
    if (heldOrderId !== undefined) return refused("already", heldOrderId);
    const closed = fence(sale, now, command);
    if (closed !== undefined) return closed;
    if (granted.size >= room) {
      if (mode === "redis") guardRefused += 1;
      return refused("sold_out");
    }
    granted.set(orderId, command);
    held.set(userId, orderId);
    return COMMITTED;
  });
  return { outcomes, granted: [...granted.values()], guardRefused };
}

/** Its own row decides, whatever has become of the sale since. */
function settledOutcome(
  { orderId }: AdmitCommand,
  { stateByOrder }: KnownAdmissions,
  granted: ReadonlyMap<string, AdmitCommand>,
): CommitOutcome | undefined {
  if (granted.has(orderId)) return COMMITTED;
  const state = stateByOrder.get(orderId);
  if (state === undefined) return undefined;
  return state === "void" ? VOID : COMMITTED;
}

function fence(
  sale: Sale,
  now: Date,
  { mode, epoch }: Pick<AdmitCommand, "mode" | "epoch">,
): CommitOutcome | undefined {
  if (sale.status !== "published") return refused("ended");
  if (sale.mode !== mode || sale.epoch !== epoch) return FENCED;
  // The gate has its own clock; without it the database's counts.
  if (mode === "redis") return undefined;
  if (now < sale.startsAt) return refused("not_started");
  return now >= sale.endsAt ? refused("ended") : undefined;
}
