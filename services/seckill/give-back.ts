// Units that come back because their order was cancelled: the database first, then the gate.
//
//   order.cancelled.v1 ─▶ [lock sale, admission ends, admitted − 1, give_backs row]  COMMIT
//                     ─▶ gate.giveBack ─▶ row deleted ─▶ hint: there is something to buy again
//
// The row stays until the gate has answered. A gate that is loaded later reads the admissions as they
// are then, so a row needs no gate when the sale is not in its hands. After the sale's end the unit
// goes to the stock instead; the lock on the sale decides which of the two it is.
import { consumer, type EventConsumer } from "../../mixins/channels/channel.ts";
import { repeatEvery, type Repeated } from "../../mixins/channels/repeat.ts";
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import { appendEvents } from "../../mixins/outbox/outbox.ts";
import type { Log } from "../../mixins/log.ts";
import { must } from "../kernel/assert.ts";
import { SECOND_MS } from "../kernel/clock.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import { takeBack } from "./domain/sale.ts";
import { SECKILL_FAILPOINTS } from "./failpoints.ts";
import type { Gate } from "./gate.ts";
import { existing, findSale, lockSale, writeSale } from "./sale.repository.ts";

const RETRY_INTERVAL_MS = SECOND_MS;
/** Give-backs of one turn. */
const GIVE_BACKS_MAX = 500;

const LIVE = sql(
  "seckill.give-back.live",
  `SELECT order_id, user_id FROM admissions
   WHERE order_id IN (?) AND sale_id = ? AND state = 'live' ORDER BY order_id`,
);

const END = sql(
  "seckill.give-back.end",
  `UPDATE admissions SET state = 'given_back', live = NULL, end_seq = ?, reason = ?, ended_at = NOW(3)
   WHERE order_id = ? AND state = 'live'`,
);

const REMEMBER = sql(
  "seckill.give-back.remember",
  "INSERT INTO give_backs (order_id, sale_id, user_id) VALUES ?",
);

const WAITING = sql(
  "seckill.give-back.waiting",
  "SELECT order_id, sale_id, user_id FROM give_backs ORDER BY created_at LIMIT ?",
);

const FORGET = sql("seckill.give-back.forget", "DELETE FROM give_backs WHERE order_id IN (?)");

export interface GiveBackDeps {
  readonly database: Database;
  readonly gate: Gate;
  readonly log: Log;
  readonly failpoint: Failpoint;
  /** Called after a commit that may have left events for the relay. */
  readonly onEvents: () => void;
  /** A unit of this sale can be bought again; may be lost. */
  readonly onChanged: (saleId: string) => void;
}

interface Cancelled {
  readonly orderId: string;
  readonly reason: string;
}

export function giveBackConsumer(deps: GiveBackDeps): EventConsumer {
  return consumer({
    event: "order.cancelled.v1",
    apply: async (tx, events) => {
      const flash = events.flatMap(({ payload: { sale_id: saleId, order_id: orderId, reason } }) =>
        saleId === null ? [] : [{ saleId, orderId, reason }],
      );
      const bySale = Map.groupBy(flash, ({ saleId }) => saleId);
      for (const saleId of [...bySale.keys()].sort()) {
        await takeBackAll(tx, saleId, bySale.get(saleId) ?? []);
      }
    },
    committed: async (events) => {
      if (events.every(({ payload }) => payload.sale_id === null)) return;
      deps.onEvents();
      await deps.failpoint(SECKILL_FAILPOINTS.giveBackAfterCommit);
      await tellGate(deps);
    },
  });
}

async function takeBackAll(
  tx: Transaction,
  saleId: string,
  cancelled: readonly Cancelled[],
): Promise<void> {
  let { sale } = existing(await lockSale(tx, saleId));
  const reasons = new Map(cancelled.map(({ orderId, reason }) => [orderId, reason]));
  const live = await tx.rows<{ order_id: string; user_id: string }>(LIVE, [
    [...reasons.keys()],
    saleId,
  ]);
  if (live.length === 0) return;
  const isForTheGate = sale.status === "published";
  for (const { order_id: orderId } of live) {
    const { state, events } = takeBack(sale, orderId);
    sale = state;
    const number = sale.granted - sale.admitted;
    await tx.run(END, [number, must(reasons.get(orderId), "why it was cancelled"), orderId]);
    await appendEvents(tx, events);
  }
  await writeSale(tx, sale);
  if (!isForTheGate) return;
  await tx.run(REMEMBER, [live.map(({ order_id, user_id }) => [order_id, saleId, user_id])]);
}

/** Goes on with what a failed or lost call left behind. */
export function createGiveBackRetry(deps: GiveBackDeps): Repeated {
  return repeatEvery(RETRY_INTERVAL_MS, deps.log, () => tellGate(deps));
}

interface WaitingRow {
  readonly order_id: string;
  readonly sale_id: string;
  readonly user_id: string;
}

async function tellGate(deps: GiveBackDeps): Promise<void> {
  const { database, log, onChanged } = deps;
  const rows = await database.rows<WaitingRow>(WAITING, [GIVE_BACKS_MAX]);
  for (const [saleId, waiting] of Map.groupBy(rows, (row) => row.sale_id)) {
    try {
      const told = await tellGateOf(deps, saleId, waiting);
      if (told.length === 0) continue;
      await database.run(FORGET, [told]);
      onChanged(saleId);
    } catch (error) {
      log.warn({ err: error, sale_id: saleId }, "give-backs wait for the gate");
    }
  }
}

/** The orders whose give-back is done. */
async function tellGateOf(
  { database, gate }: GiveBackDeps,
  saleId: string,
  waiting: readonly WaitingRow[],
): Promise<readonly string[]> {
  const sale = await findSale(database, saleId);
  const isDone = sale === undefined || sale.status !== "published" || sale.mode === "db";
  if (isDone) return waiting.map(({ order_id }) => order_id);
  // While the gate is being loaded nobody knows whether it has read this admission.
  if (sale.mode === "loading") return [];
  const told: string[] = [];
  for (const { order_id: orderId, user_id: userId } of waiting) {
    const epoch = { saleId, epoch: sale.epoch };
    const outcome = await gate.giveBack({ ...epoch, userId, orderId });
    if (outcome === "not_loaded") return told;
    told.push(orderId);
  }
  return told;
}
