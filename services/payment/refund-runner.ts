// Carries promised refunds out: claim by moving next_at ahead, ask the provider over HTTP outside
// any transaction, then book. A crash at any point lets another node claim it again after the lease;
// the provider knows a refund by its id and carries it out once. It never gives up: the delay grows
// to its maximum, and from ALARM_ATTEMPTS on every failure is logged as an error.
import type { Database } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import { type Backoff, backoffDelayMs } from "../kernel/backoff.ts";
import { MINUTE_MS, SECOND_MS } from "../kernel/clock.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import type { Channels } from "./channels/channels.ts";
import { findPayment } from "./payment.repository.ts";
import type { Refund } from "./payment.rows.ts";
import { bookCarriedOut, claimRefunds, postponeRefund } from "./refund.repository.ts";

/** Refunds of one turn; they are carried out at the same time. */
export const REFUND_BATCH_MAX = 16;
/** Longer than a turn takes with a provider that answers nothing. */
const LEASE_MS = 15 * SECOND_MS;
export const REFUND_BACKOFF: Backoff = { baseMs: SECOND_MS, maxMs: 5 * MINUTE_MS };
const ALARM_ATTEMPTS = 8;

export const REFUND_FAILPOINTS = {
  beforeProvider: "payment.refund.before_provider",
  afterProvider: "payment.refund.after_provider",
} as const;

export interface RefundRunnerDeps {
  readonly database: Database;
  readonly channels: Channels;
  readonly log: Log;
  readonly random: () => number;
  readonly failpoint: Failpoint;
  /** Told after a commit that wrote an event. */
  readonly onBooked: () => void;
  readonly backoff?: Backoff;
}

/** One turn; true when there may be more that is due. */
export async function runRefunds(deps: RefundRunnerDeps): Promise<boolean> {
  const claimed = await claimRefunds(deps.database, REFUND_BATCH_MAX, LEASE_MS);
  await Promise.all(claimed.map((refund) => runOne(deps, refund)));
  return claimed.length === REFUND_BATCH_MAX;
}

async function runOne(deps: RefundRunnerDeps, refund: Refund): Promise<void> {
  try {
    await carryOut(deps, refund);
  } catch (error) {
    await postpone(deps, refund, error).catch((lost: unknown) => {
      deps.log.warn({ err: lost, refund_id: refund.id }, "a refund waits for its lease to end");
    });
  }
}

async function carryOut(deps: RefundRunnerDeps, refund: Refund): Promise<void> {
  const { database, channels, failpoint, onBooked } = deps;
  const payment = await findPayment(database, refund.paymentId, undefined);
  await failpoint(REFUND_FAILPOINTS.beforeProvider);
  await channels.require(payment.channel).refund({
    refundId: refund.id,
    paymentId: payment.id,
    amount: refund.amount,
    total: payment.amount,
    currency: payment.currency,
    reason: refund.reason,
  });
  await failpoint(REFUND_FAILPOINTS.afterProvider);
  const isNew = await database.transaction("payment.refunds.book", (tx) =>
    bookCarriedOut(tx, refund),
  );
  if (isNew) onBooked();
}

async function postpone(deps: RefundRunnerDeps, refund: Refund, error: unknown): Promise<void> {
  const { database, log, random, backoff = REFUND_BACKOFF } = deps;
  const attempts = refund.attempts + 1;
  const fields = { err: error, refund_id: refund.id, payment_id: refund.paymentId, attempts };
  if (attempts >= ALARM_ATTEMPTS) log.error(fields, "a refund still cannot be carried out");
  else log.warn(fields, "a refund could not be carried out; it is tried again");
  const delayMs = backoffDelayMs(backoff, attempts, random);
  await postponeRefund(database, refund.id, delayMs, describe(error));
}

/** The error's kind only: a provider's words may hold anything. */
function describe(error: unknown): string {
  const { type, name } = error as { type?: unknown; name?: unknown };
  return typeof type === "string" ? type : String(name);
}
