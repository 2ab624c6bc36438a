// An admin's refund: the promise is made in one transaction with its idempotency key, bounded by what
// was captured; the provider is asked by the refund runner until it has carried it out.
import type { Database } from "../../mixins/database/database.ts";
import { runIdempotent } from "../../mixins/idempotency/idempotency.repository.ts";
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { Refund as RefundView } from "../contracts/payment.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import { refundable } from "./domain/payment.ts";
import { lockPayment } from "./payment.repository.ts";
import { refundView } from "./payment.rows.ts";
import { findRefundByKey, insertRefund } from "./refund.repository.ts";

export interface RefundCommand {
  readonly paymentId: string;
  /** Minor units; the rest of the payment when undefined. */
  readonly amount: number | undefined;
  readonly reason: string;
}

export interface RefundDeps {
  readonly database: Database;
  readonly ids: IdGenerator;
}

/**
 * Errors: IDEMPOTENCY_KEY_REQUIRED, IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_IN_PROGRESS,
 * PAYMENT_NOT_FOUND, PAYMENT_ILLEGAL_STATE without captured money, REFUND_EXCEEDS_CAPTURED.
 */
export async function requestRefund(
  { database, ids }: RefundDeps,
  command: RefundCommand,
  claim: IdempotencyClaim | undefined,
): Promise<{ readonly value: RefundView; readonly isReplay: boolean }> {
  if (claim === undefined) throw new PlatformError("IDEMPOTENCY_KEY_REQUIRED");
  const id = ids.next();
  return await database.transaction("payment.refund", (tx) =>
    runIdempotent(tx, claim, async () => {
      const payment = await lockPayment(tx, command.paymentId);
      // Apart from the keys of automatic refunds, which nobody outside can choose.
      const refundKey = `request:${claim.userId}:${claim.key}`;
      const known = await findRefundByKey(tx, payment.id, refundKey);
      if (known !== undefined) return refundView(known);
      const amount = refundable(payment, command.amount);
      const request = { id, paymentId: payment.id, refundKey, amount, reason: command.reason };
      return refundView(await insertRefund(tx, request));
    }),
  );
}
