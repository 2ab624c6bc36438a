// The commit of admissions: all winners of one batch of one sale in one transaction, under the lock on
// the sale's row. Everybody who writes admissions of a sale holds that lock, so what is read under it
// is all there is; the unique keys are the last guard and must never be met.
import {
  type Database,
  type Queryable,
  sql,
  type Transaction,
} from "../../mixins/database/database.ts";
import { appendEvents } from "../../mixins/outbox/outbox.ts";
import type { EventPayload } from "../contracts/events.ts";
import {
  type AdmissionState,
  type AdmitCommand,
  type BatchDecision,
  decideBatch,
  type KnownAdmissions,
  refused,
} from "./domain/admission.ts";
import type { Sale } from "./domain/sale.ts";
import { existing, lockSale, writeSale } from "./sale.repository.ts";

const BY_ORDER = sql(
  "seckill.admissions.by-order",
  "SELECT order_id, user_id, state FROM admissions WHERE order_id IN (?)",
);

const HELD = sql(
  "seckill.admissions.held",
  "SELECT user_id, order_id FROM admissions WHERE sale_id = ? AND user_id IN (?) AND live = 1",
);

const INSERT = sql(
  "seckill.admissions.insert",
  `INSERT INTO admissions (order_id, sale_id, user_id, live, state, seq, epoch, request_id,
     created_at) VALUES ?`,
);

const INSERT_VOID = sql(
  "seckill.admissions.insert-void",
  `INSERT INTO admissions (order_id, sale_id, user_id, live, state, seq, epoch, request_id, reason,
     ended_at) VALUES ?`,
);

export interface CommittedBatch extends BatchDecision {
  /** The sale as it is after the commit; undefined when there is none. */
  readonly sale: Sale | undefined;
}

/**
 * Commits what the locked sale allows of the commands, in their order. Errors: those of a
 * transaction; with OUTCOME_UNKNOWN the same commands may simply be committed again.
 */
export async function commitAdmissions(
  database: Database,
  saleId: string,
  commands: readonly AdmitCommand[],
): Promise<CommittedBatch> {
  let decided: CommittedBatch | undefined;
  return await database.transaction(
    "seckill.admit",
    async (tx) => {
      decided = await decideUnderLock(tx, saleId, commands);
      return decided;
    },
    {
      resolve: async (tx) => {
        const [first] = decided?.granted ?? [];
        if (decided === undefined) return { outcome: "not_committed" };
        if (first === undefined) return { outcome: "committed", value: decided };
        await lockSale(tx, saleId);
        // One statement inserted them: all are there or none.
        const isThere = (await readStates(tx, [first.orderId])).size === 1;
        return isThere ? { outcome: "committed", value: decided } : { outcome: "not_committed" };
      },
    },
  );
}

async function decideUnderLock(
  tx: Transaction,
  saleId: string,
  commands: readonly AdmitCommand[],
): Promise<CommittedBatch> {
  // One round trip: the server runs them in turn, so the rows are read under the sale's lock.
  const [locked, known] = await Promise.all([
    lockSale(tx, saleId),
    readKnown(tx, saleId, commands),
  ]);
  if (locked === undefined) {
    const outcomes = commands.map(() => refused("ended"));
    return { outcomes, granted: [], guardRefused: 0, sale: undefined };
  }
  const decision = decideBatch(locked.sale, locked.now, commands, known);
  if (decision.granted.length === 0) return { ...decision, sale: locked.sale };
  const sale: Sale = {
    ...locked.sale,
    admitted: locked.sale.admitted + decision.granted.length,
    granted: locked.sale.granted + decision.granted.length,
    version: locked.sale.version + 1,
  };
  await Promise.all([
    tx.run(INSERT, [
      decision.granted.map(({ orderId, userId, epoch, requestId }, index) => [
        orderId,
        saleId,
        userId,
        1,
        "live",
        locked.sale.granted + index + 1,
        epoch,
        requestId,
        locked.now,
      ]),
    ]),
    writeSale(tx, sale),
    appendEvents(tx, [
      {
        name: "seckill.admitted.v1",
        aggregateId: saleId,
        aggregateVersion: sale.version,
        payload: admittedPayload(sale, decision.granted),
      },
    ]),
  ]);
  return { ...decision, sale };
}

function admittedPayload(
  sale: Sale,
  granted: readonly AdmitCommand[],
): EventPayload<"seckill.admitted.v1"> {
  return {
    sale_id: sale.id,
    epoch: sale.epoch,
    sku_id: sale.skuId,
    product_id: sale.productId,
    name: sale.name,
    price: sale.price,
    currency: sale.currency,
    admissions: granted.map(({ orderId, userId }) => ({ order_id: orderId, user_id: userId })),
  };
}

async function readKnown(
  tx: Transaction,
  saleId: string,
  commands: readonly AdmitCommand[],
): Promise<KnownAdmissions> {
  const userIds = [...new Set(commands.map(({ userId }) => userId))];
  const [stateByOrder, heldByUser] = await Promise.all([
    readStates(
      tx,
      commands.map(({ orderId }) => orderId),
    ),
    findHeld(tx, saleId, userIds),
  ]);
  return { stateByOrder, heldByUser };
}

/** Order ids of live admissions by user id. */
export async function findHeld(
  database: Queryable,
  saleId: string,
  userIds: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await database.rows<{ user_id: string; order_id: string }>(HELD, [saleId, userIds]);
  return new Map(rows.map(({ user_id, order_id }) => [user_id, order_id]));
}

/** States of admissions by order id; unknown ones are left out. */
export async function readStates(
  database: Queryable,
  orderIds: readonly string[],
): Promise<ReadonlyMap<string, AdmissionState>> {
  if (orderIds.length === 0) return new Map();
  const rows = await database.rows<{ order_id: string; state: AdmissionState }>(BY_ORDER, [
    orderIds,
  ]);
  return new Map(rows.map(({ order_id, state }) => [order_id, state]));
}

export type VoidCommand = Pick<AdmitCommand, "orderId" | "userId" | "requestId" | "epoch">;

/**
 * Gives up attempts that nobody will commit: each that has no row becomes `void`, so that a commit
 * that comes late is refused. Answers the state each has then; `live` = it was committed after all.
 */
export async function voidAdmissions(
  database: Database,
  saleId: string,
  commands: readonly VoidCommand[],
): Promise<ReadonlyMap<string, AdmissionState>> {
  const orderIds = commands.map(({ orderId }) => orderId);
  return await database.transaction(
    "seckill.void",
    async (tx) => {
      const { now } = existing(await lockSale(tx, saleId));
      const states = new Map(await readStates(tx, orderIds));
      const lost = commands.filter(({ orderId }) => !states.has(orderId));
      if (lost.length > 0)
        await tx.run(INSERT_VOID, [lost.map((one) => voidRow(saleId, one, now))]);
      for (const { orderId } of lost) states.set(orderId, "void");
      return states;
    },
    {
      resolve: async (tx) => {
        await lockSale(tx, saleId);
        const states = await readStates(tx, orderIds);
        return states.size === new Set(orderIds).size
          ? { outcome: "committed", value: states }
          : { outcome: "not_committed" };
      },
    },
  );
}

function voidRow(
  saleId: string,
  { orderId, userId, epoch, requestId }: VoidCommand,
  now: Date,
): readonly unknown[] {
  return [orderId, saleId, userId, null, "void", null, epoch, requestId, "given_up", now];
}
