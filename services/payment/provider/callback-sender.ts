// Sends the mock provider's callbacks to the shop until one is taken: signed anew for every try,
// with growing delays, from rows that outlive the process. A callback may arrive twice.
import type { KeyObject } from "node:crypto";
import type { Database } from "../../../mixins/database/database.ts";
import { type Backoff, backoffDelayMs } from "../../kernel/backoff.ts";
import { type Clock, MINUTE_MS, SECOND_MS } from "../../kernel/clock.ts";
import type { HttpClient } from "../channels/json-http.ts";
import { callbackPath } from "../channels/shop-url.ts";
import { signWebhook } from "../channels/standard-webhook.ts";
import {
  claimDeliveries,
  type Delivery,
  markRefused,
  markTaken,
  TAKEN_STATUS,
} from "./provider.repository.ts";

/** Callbacks of one turn; they are sent at the same time. */
const BATCH_MAX = 32;
export const CALLBACK_TIMEOUT_MS = 5 * SECOND_MS;
const LEASE_MS = 15 * SECOND_MS;
const BACKOFF: Backoff = { baseMs: 250, maxMs: 10 * MINUTE_MS };
/** About three days of tries. */
const ATTEMPTS_MAX = 450;
const NO_ANSWER = 0;

export interface SenderDeps {
  readonly database: Database;
  readonly http: HttpClient;
  readonly key: KeyObject;
  readonly clock: Clock;
  readonly random: () => number;
}

/** One turn; true when there may be more that is due. */
export async function sendCallbacks(deps: SenderDeps): Promise<boolean> {
  const claimed = await claimDeliveries(deps.database, BATCH_MAX, LEASE_MS);
  const taken: string[] = [];
  await Promise.all(
    claimed.map(async (delivery) => {
      if (await sendOne(deps, delivery)) taken.push(delivery.id);
    }),
  );
  // Together, after the slowest: a crash before it sends some once more, which is allowed.
  if (taken.length > 0) await markTaken(deps.database, taken);
  return claimed.length === BATCH_MAX;
}

/** Whether the shop has taken it; a refusal is noted here. */
async function sendOne(deps: SenderDeps, delivery: Delivery): Promise<boolean> {
  const { database, random } = deps;
  const status = await post(deps, delivery).catch(() => NO_ANSWER);
  if (status === TAKEN_STATUS) return true;
  const attempts = delivery.attempts + 1;
  const delayMs = attempts < ATTEMPTS_MAX ? backoffDelayMs(BACKOFF, attempts, random) : undefined;
  await markRefused(database, delivery.id, status, delayMs);
  return false;
}

async function post({ http, key, clock }: SenderDeps, delivery: Delivery): Promise<number> {
  const body = Buffer.from(delivery.body);
  const signed = signWebhook(key, { id: delivery.webhook_id, atMs: clock.now(), body });
  const answer = await http.send({
    method: "POST",
    path: callbackPath(delivery.payment_id),
    headers: { "content-type": "application/json", ...signed },
    body,
  });
  return answer.status;
}
