// Makes the orders of buyers who were let into a flash sale. The event carries all an order needs; its
// unit is held by the sale. The orders of a batch are one transaction with the event's inbox row.
//
// Nothing here gives a unit back: an order that cannot be made is made `cancelled`, and the sale hears
// of it like of every cancelled order. An event whose orders cannot be stored is tried again with
// each of them apart (see `findUnstorable`), and becomes a dead letter if even that fails.
import { type ConsumedEvent, consumer, type EventConsumer } from "../../mixins/channels/channel.ts";
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import { isDuplicateKey, isLockConflict } from "../../mixins/database/database-error.ts";
import { appendEvents } from "../../mixins/outbox/outbox.ts";
import type { Log } from "../../mixins/log.ts";
import { isPlatformError, PlatformError } from "../contracts/errors.ts";
import { assert, must } from "../kernel/assert.ts";
import { admit, type Draft, failCreation, type OrderDecision } from "./domain/order.ts";
import { writeHistory } from "./order.repository.ts";
import { byNumericId, itemValues, ORDER_COLUMNS, orderValues } from "./order.rows.ts";

/** Events of one transaction; each holds up to 256 buyers. */
const EVENTS_AT_ONCE_MAX = 8;
/**
 * Transactions at once: while one is written the next is prepared. A backlog drained 1.3 to 1.9 times
 * as fast with two as with one, at the same CPU time an order (bench:sale, alternated runs).
 */
const LANES = 2;
/** Rows of one statement. */
const ROWS_MAX = 512;
/** Events remembered as having failed; one forgotten is found out again by failing once more. */
const SUSPECTS_MAX = 64;

const NOW = sql("order.flash.now", "SELECT NOW(3) AS now");

const KNOWN = sql("order.flash.known", "SELECT id, user_id, sale_id FROM orders WHERE id IN (?)");

const INSERT_ORDERS = sql("order.flash.insert", `INSERT INTO orders (${ORDER_COLUMNS}) VALUES ?`);

const INSERT_ITEMS = sql(
  "order.flash.items.insert",
  `INSERT INTO order_items (order_id, line, sku_id, product_id, name, quantity, price) VALUES ?`,
);

export interface FlashOrdersDeps {
  readonly database: Database;
  readonly paymentWindowMs: number;
  readonly log: Log;
  /** Called after a commit that may have left events for the relay. */
  readonly onEvents: () => void;
}

type Admitted = ConsumedEvent<"seckill.admitted.v1">;

export function flashOrderConsumer(deps: FlashOrdersDeps): EventConsumer {
  const suspects = new Set<string>();
  return consumer({
    event: "seckill.admitted.v1",
    batchSizeMax: EVENTS_AT_ONCE_MAX,
    lanes: LANES,
    apply: async (tx, events) => {
      const [event] = events;
      const isRetry = events.length === 1 && event !== undefined && suspects.has(event.id);
      const unstorable = isRetry ? await findUnstorable(deps, event) : new Set<string>();
      try {
        await makeOrders(tx, events, { ...deps, unstorable });
      } catch (error) {
        if (event !== undefined && events.length === 1) remember(suspects, event.id);
        throw error;
      }
    },
    committed(events) {
      for (const { id } of events) suspects.delete(id);
      deps.onEvents();
    },
  });
}

function remember(suspects: Set<string>, eventId: string): void {
  suspects.add(eventId);
  const [oldest] = suspects;
  if (suspects.size > SUSPECTS_MAX && oldest !== undefined) suspects.delete(oldest);
}

interface MakeOptions {
  readonly paymentWindowMs: number;
  /** Orders that cannot be stored as they should be. */
  readonly unstorable: ReadonlySet<string>;
}

async function makeOrders(
  tx: Transaction,
  events: readonly Admitted[],
  { paymentWindowMs, unstorable }: MakeOptions,
): Promise<void> {
  const drafts = events.flatMap(draftsOf).sort((left, right) => byNumericId(left.id, right.id));
  const [time, known] = await Promise.all([tx.row<{ now: Date }>(NOW), findKnown(tx, drafts)]);
  const { now } = must(time, "the database's time");
  const decisions = drafts
    .filter(({ id }) => !known.has(id))
    .map((draft) =>
      unstorable.has(draft.id) ? failCreation(draft, now) : admit(draft, now, paymentWindowMs),
    );
  for (let first = 0; first < decisions.length; first += ROWS_MAX) {
    await insertOrders(tx, decisions.slice(first, first + ROWS_MAX));
  }
}

async function insertOrders(tx: Transaction, decisions: readonly OrderDecision[]): Promise<void> {
  const orders = decisions.map(({ state }) => state);
  await Promise.all([
    tx.run(INSERT_ORDERS, [orders.map(orderValues)]),
    tx.run(INSERT_ITEMS, [orders.flatMap(itemValues)]),
    writeHistory(
      tx,
      decisions.flatMap(({ transition }) => transition ?? []),
    ),
    appendEvents(
      tx,
      decisions.flatMap(({ events }) => events),
    ),
  ]);
}

/** Orders that are there already. Another order under one of these ids is nobody's to repair. */
async function findKnown(tx: Transaction, drafts: readonly Draft[]): Promise<ReadonlySet<string>> {
  const byId = new Map(drafts.map((draft) => [draft.id, draft]));
  const rows = await tx.rows<{ id: string; user_id: string; sale_id: string | null }>(KNOWN, [
    [...byId.keys()],
  ]);
  for (const { id, user_id, sale_id } of rows) {
    const draft = must(byId.get(id), "the order that was asked for");
    assert(user_id === draft.userId && sale_id === draft.saleId, `order ${id} is another one`);
  }
  return new Set(rows.map(({ id }) => id));
}

function draftsOf({ payload }: Admitted): readonly Draft[] {
  const { sku_id: skuId, product_id: productId, name, price, currency } = payload;
  const lines = [{ skuId, productId, name, price, quantity: 1 }];
  return payload.admissions.map(({ order_id: id, user_id: userId }) => ({
    id,
    userId,
    lines,
    totalPrice: price,
    discount: 0,
    currency,
    address: null,
    note: null,
    saleId: payload.sale_id,
  }));
}

/** Tries each order of an event in a transaction of its own that is undone. */
async function findUnstorable(
  { database, paymentWindowMs, log }: FlashOrdersDeps,
  event: Admitted,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const draft of draftsOf(event)) {
    const failure = await tryOrder(database, draft, paymentWindowMs);
    if (failure === undefined) continue;
    found.add(draft.id);
    log.error({ err: failure, order_id: draft.id }, "an admitted order cannot be made");
  }
  return found;
}

async function tryOrder(
  database: Database,
  draft: Draft,
  paymentWindowMs: number,
): Promise<unknown> {
  const undo = new PlatformError("VERSION_CONFLICT");
  try {
    await database.transaction("order.flash.try", async (tx) => {
      const { now } = must(await tx.row<{ now: Date }>(NOW), "the database's time");
      await insertOrders(tx, [admit(draft, now, paymentWindowMs)]);
      throw undo;
    });
    return undefined;
  } catch (error) {
    if (error === undo || isDuplicateKey(error)) return undefined;
    if (isPlatformError(error) || isLockConflict(error)) throw error;
    return error;
  }
}
