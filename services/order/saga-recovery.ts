// Takes over sagas nobody works on: their node died, or their last try failed.
//
//   place-order  running       its node is gone: abandon (the order fails, the key is free again)
//                compensating  inventory.release until it succeeds, then compensated
//   close-order  running       payment.close and the end of the order once more
import { type BackgroundLoop, createBackgroundLoop } from "../../mixins/background-loop.ts";
import type { ServiceBroker } from "moleculer";
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import { call } from "../contracts/actions.ts";
import { type Backoff, backoffDelayMs } from "../kernel/backoff.ts";
import { MINUTE_MS, SECOND_MS } from "../kernel/clock.ts";
import { CLOSE_LEASE_MS, closeOrders, type CloseOrderDeps } from "./close-order.saga.ts";
import { ORDER_FAILPOINTS } from "./failpoints.ts";
import { findOrders } from "./order.repository.ts";
import { PLACE_LEASE_MS } from "./place-order.saga.ts";
import type { Placing } from "./placing.repository.ts";
import {
  type ClaimedSaga,
  claimSagas,
  findDueSagas,
  finishSagas,
  type OrderSagaType,
  postponeSagas,
  SAGA_CLAIM_MAX,
} from "./saga-log.ts";

export const RECOVERY_INTERVAL_MS = SECOND_MS;
/** A saga that failed this often is an alarm; it is tried on all the same. */
const ALARM_AFTER_ATTEMPTS = 8;
const RELEASES_AT_ONCE_MAX = 16;
const RELEASE_TIMEOUT_MS = 2 * SECOND_MS;
const RETRY: Backoff = { baseMs: SECOND_MS, maxMs: MINUTE_MS };

export interface RecoveryDeps extends CloseOrderDeps {
  readonly placing: Placing;
}

export function createSagaRecovery(deps: RecoveryDeps, broker: ServiceBroker): BackgroundLoop {
  return createBackgroundLoop({
    name: "order.saga-recovery",
    log: deps.log,
    random: deps.random,
    // What one turn began may go on at once: an abandoned placing wants its stock released.
    turn: async () => ((await recoverSagas(deps, broker)) > 0 ? 0 : RECOVERY_INTERVAL_MS),
  });
}

/** Carries sagas that are due one step further. Returns how many it took. */
export async function recoverSagas(deps: RecoveryDeps, broker: ServiceBroker): Promise<number> {
  const due = await findDueSagas(deps.database, SAGA_CLAIM_MAX);
  let taken = 0;
  for (const [type, ids] of due) {
    const leaseMs = type === "place-order" ? PLACE_LEASE_MS : CLOSE_LEASE_MS;
    const lease = { ...deps.lease, leaseMs };
    const sagas = await claimSagas(deps.database, { type, ids, lease });
    taken += sagas.length;
    alarm(deps, type, sagas);
    if (type === "place-order") await recoverPlacings(deps, broker, sagas);
    else await recoverClosings(deps, broker, sagas);
  }
  return taken;
}

function alarm({ log }: RecoveryDeps, type: OrderSagaType, sagas: readonly ClaimedSaga[]): void {
  for (const { id, attempts } of sagas) {
    if (attempts < ALARM_AFTER_ATTEMPTS) continue;
    log.error({ saga: type, order_id: id, attempts }, "saga does not come to an end");
  }
}

async function recoverClosings(
  deps: RecoveryDeps,
  broker: ServiceBroker,
  sagas: readonly ClaimedSaga[],
): Promise<void> {
  if (sagas.length === 0) return;
  const attempts = Math.max(...sagas.map((saga) => saga.attempts));
  await closeOrders(deps, broker, { ids: sagas.map(({ id }) => id), attempts });
}

async function recoverPlacings(
  deps: RecoveryDeps,
  broker: ServiceBroker,
  sagas: readonly ClaimedSaga[],
): Promise<void> {
  await abandonAll(
    deps,
    sagas.filter(({ status }) => status === "running"),
  );
  const compensating = sagas.filter(({ status }) => status === "compensating");
  for (let first = 0; first < compensating.length; first += RELEASES_AT_ONCE_MAX) {
    const batch = compensating.slice(first, first + RELEASES_AT_ONCE_MAX);
    await Promise.all(batch.map((saga) => release(deps, broker, saga)));
  }
}

async function abandonAll(deps: RecoveryDeps, sagas: readonly ClaimedSaga[]): Promise<void> {
  const claims = new Map(sagas.map(({ id, context }) => [id, context as IdempotencyClaim]));
  const orders = await findOrders(deps.database, [...claims.keys()]);
  await Promise.all(
    orders.flatMap((order) => {
      const claim = claims.get(order.id);
      if (claim === undefined) return [];
      return deps.placing.end({ order, claim, end: { kind: "abandon" }, origin: undefined });
    }),
  );
  await deps.failpoint(ORDER_FAILPOINTS.placeAfterAbandon);
}

/** Inventory leaves a tombstone when it holds nothing, so that a late reserve is refused. */
async function release(
  { database, failpoint, random }: RecoveryDeps,
  broker: ServiceBroker,
  { id, attempts }: ClaimedSaga,
): Promise<void> {
  try {
    await call(broker, "inventory.release", { order_id: id }, { timeout: RELEASE_TIMEOUT_MS });
    await failpoint(ORDER_FAILPOINTS.placeAfterRelease);
    await finishSagas(database, "place-order", { ids: [id], status: "compensated" });
  } catch (error) {
    const delayMs = backoffDelayMs(RETRY, attempts + 1, random);
    await postponeSagas(database, "place-order", { ids: [id], delayMs, error });
  }
}
