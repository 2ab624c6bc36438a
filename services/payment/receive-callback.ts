// Takes a provider's callback: verify, compare with the payment, store, answer; applied afterwards.
// What is stored is believed, so nothing is stored before its signature and amount were right. The
// provider is answered only after the commit: whatever dies later, the callback is not lost.
import { createHash } from "node:crypto";
import {
  type CommitQueue,
  createCommitQueue,
  Refusal,
} from "../../mixins/database/commit-queue.ts";
import type { Database, Transaction } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import type { Applier } from "./apply-callbacks.ts";
import { findCallbacks, insertCallbacks, type NewCallback } from "./callback.repository.ts";
import type { CallbackRequest } from "./channels/channel.ts";
import type { Channels } from "./channels/channels.ts";
import type { Payment } from "./domain/payment.ts";
import { findPayments, ORDER_BATCH_MAX } from "./payment.repository.ts";

const QUEUE_MAX = 8_192;

export const RECEIVE_FAILPOINTS = { afterStore: "payment.receive.after_store" } as const;

export interface ReceiveDeps {
  readonly database: Database;
  readonly channels: Channels;
  readonly applier: Applier;
  readonly log: Log;
  readonly failpoint: Failpoint;
}

export interface Receiver {
  /**
   * Errors: WEBHOOK_SIGNATURE_INVALID, VALIDATION_FAILED (body, or a body about another payment),
   * PAYMENT_NOT_FOUND, PAYMENT_AMOUNT_MISMATCH. Resolves once stored, and for any repetition.
   */
  receive(paymentId: string, request: CallbackRequest): Promise<void>;
  drain(): Promise<void>;
}

/** A stored callback's order when it still has to be applied. */
interface Stored {
  readonly orderId: string;
  readonly isNew: boolean;
}

export function createReceiver(deps: ReceiveDeps): Receiver {
  const { channels, applier, log, failpoint } = deps;
  const queue: CommitQueue<NewCallback, Stored> = createCommitQueue({
    name: "payment.receive",
    batchSizeMax: ORDER_BATCH_MAX,
    queueLengthMax: QUEUE_MAX,
    commit: (callbacks) => storeBatch(deps, callbacks),
  });
  return {
    async receive(paymentId, request) {
      const channel = channels.ofCallback(request);
      const verified = channel.verify(request);
      if (verified === null) return;
      if (verified.paymentId !== paymentId) throw aboutAnother();
      const stored = await queue.submit({
        ...verified,
        channel: channel.name,
        source: "provider",
        payloadHash: createHash("sha256").update(request.rawBody).digest("hex"),
      });
      await failpoint(RECEIVE_FAILPOINTS.afterStore);
      if (!stored.isNew) return;
      applier.apply(stored.orderId).catch((error: unknown) => {
        log.warn({ err: error, payment_id: paymentId }, "a callback is left to the sweep");
      });
    },
    drain: () => queue.drain(),
  };
}

function aboutAnother(): PlatformError {
  return new PlatformError("VALIDATION_FAILED", [
    { field: "payment_id", rule: "const", message: "is not the payment of this address" },
  ]);
}

async function storeBatch(
  deps: ReceiveDeps,
  callbacks: readonly NewCallback[],
): Promise<readonly (Stored | Refusal)[]> {
  const payments = await findPayments(
    deps.database,
    callbacks.map(({ paymentId }) => paymentId),
  );
  const checked = callbacks.map((callback) => check(deps, callback, payments));
  const accepted = callbacks.filter((_, index) => !(checked[index] instanceof Refusal));
  const fresh = await store(deps, accepted);
  return checked.map((outcome, index) =>
    outcome instanceof Refusal
      ? outcome
      : { orderId: outcome.orderId, isNew: fresh.has(callbacks[index]?.webhookId ?? "") },
  );
}

function check(
  { log }: ReceiveDeps,
  callback: NewCallback,
  payments: ReadonlyMap<string, Payment>,
): Payment | Refusal {
  const payment = payments.get(callback.paymentId);
  if (payment?.channel !== callback.channel) {
    return new Refusal(new PlatformError("PAYMENT_NOT_FOUND"));
  }
  if (payment.amount !== callback.amount) {
    const fields = { payment_id: payment.id, amount: payment.amount, told: callback.amount };
    log.error(fields, "a genuine callback tells another amount than the payment's");
    return new Refusal(new PlatformError("PAYMENT_AMOUNT_MISMATCH"));
  }
  return payment;
}

/** Stores what is not there yet; answers the webhook ids that are new. */
async function store(
  deps: ReceiveDeps,
  callbacks: readonly NewCallback[],
): Promise<ReadonlySet<string>> {
  if (callbacks.length === 0) return new Set();
  return await deps.database.transaction<ReadonlySet<string>>(
    "payment.receive",
    async (tx) => {
      const fresh = await withoutKnown(deps, tx, callbacks);
      await insertCallbacks(tx, fresh);
      return new Set(fresh.map(({ webhookId }) => webhookId));
    },
    // Storing again finds what is there; an insert in flight is waited for at its unique key.
    { resolve: () => Promise.resolve({ outcome: "not_committed" }) },
  );
}

/** Each new notification once. The same one with another body is an attack or a provider's fault. */
async function withoutKnown(
  { log }: ReceiveDeps,
  tx: Transaction,
  callbacks: readonly NewCallback[],
): Promise<readonly NewCallback[]> {
  const fresh = new Map<string, NewCallback>();
  for (const [channel, group] of Map.groupBy(callbacks, (one) => one.channel)) {
    const ids = group.map(({ webhookId }) => webhookId);
    const known = await findCallbacks(tx, channel, ids);
    for (const callback of group) {
      const first =
        known.get(callback.webhookId)?.payload_hash ??
        fresh.get(`${channel} ${callback.webhookId}`)?.payloadHash;
      if (first === undefined) fresh.set(`${channel} ${callback.webhookId}`, callback);
      else if (first !== callback.payloadHash) {
        const fields = { payment_id: callback.paymentId, webhook_id: callback.webhookId };
        log.error(fields, "a callback came again with another body");
      }
    }
  }
  return [...fresh.values()];
}
