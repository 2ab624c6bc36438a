// The two transactions of a placing, each shared by the orders that arrive while one commits.
//
//   begin   key + order `placing` + lines + saga (leased by this node)
//   end     confirm: `pending_payment` + saga done + order.created.v1 + the key's answer
//           refuse:  `failed` + saga compensated + the refusal as the key's answer
//           abandon: `failed` + saga compensating + key forgotten, so that the buyer may try again
//
// Only an order that is still `placing` under its lock is ended: whoever ends it first decides, and
// a node that wakes up late finds its order `failed` and says so.
import { type CommitQueue, createCommitQueue } from "../../mixins/database/commit-queue.ts";
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import type { StoredAnswer } from "../../mixins/idempotency/idempotency.repository.ts";
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import { appendEvents, type EventOrigin } from "../../mixins/outbox/outbox.ts";
import type { Order as OrderDto } from "../contracts/order.ts";
import { must, unreachable } from "../kernel/assert.ts";
import {
  confirm,
  type Draft,
  fail,
  type FailReason,
  type Order,
  type OrderDecision,
  place,
  type Status,
} from "./domain/order.ts";
import {
  beginKeys,
  completeKeys,
  freeKeys,
  type KeyAnswer,
  type KeyedOrder,
  type KeyStart,
} from "./order-keys.ts";
import { isInHistory, writeHistory } from "./order.repository.ts";
import { byNumericId, itemValues, ORDER_COLUMNS, orderDto, orderValues } from "./order.rows.ts";
import { compensateSagas, finishSagas, type Lease, startSagas } from "./saga-log.ts";

/** Orders of one transaction. */
export const PLACING_BATCH_MAX = 64;
/** Orders that may wait for the next transactions; one more is OVERLOADED. */
const PLACING_QUEUE_MAX = 2_048;
/** Nothing is begun for a buyer who would hear of it too late: reserving and ending take as long again. */
const BEGIN_WAIT_MAX_MS = 1_200;

const NOW = sql("order.now", "SELECT NOW(3) AS now");

const INSERT_ORDERS = sql("order.insert", `INSERT INTO orders (${ORDER_COLUMNS}) VALUES ?`);

const INSERT_ITEMS = sql(
  "order.items.insert",
  `INSERT INTO order_items (order_id, line, sku_id, product_id, name, quantity, price) VALUES ?`,
);

const LOCK_STATUSES = sql(
  "order.lock-statuses",
  `SELECT id, status, NOW(3) AS now FROM orders FORCE INDEX (PRIMARY)
   WHERE id IN (?) ORDER BY id FOR UPDATE`,
);

const CONFIRM = sql(
  "order.confirm",
  `UPDATE orders SET status = 'pending_payment', version = version + 1, expires_at = ?,
          updated_at = ?
   WHERE id IN (?) AND status = 'placing'`,
);

const FAIL = sql(
  "order.fail",
  `UPDATE orders SET status = 'failed', version = version + 1, updated_at = ?
   WHERE id IN (?) AND status = 'placing'`,
);

export interface PlacingDeps {
  readonly database: Database;
  readonly paymentWindowMs: number;
  readonly lease: Lease;
  /** Called after a commit that left events for the relay. */
  readonly onEvents: () => void;
}

export interface BeginCommand {
  readonly draft: Draft;
  readonly claim: IdempotencyClaim;
}

export type Begun =
  { readonly kind: "begun"; readonly order: Order } | Exclude<KeyStart, { kind: "fresh" }>;

export type PlacingEnd =
  | { readonly kind: "confirm" }
  | {
      readonly kind: "refuse";
      readonly reason: FailReason;
      readonly answer: StoredAnswer<never>;
    }
  | { readonly kind: "abandon" };

export interface EndCommand {
  readonly order: Order;
  readonly claim: IdempotencyClaim;
  readonly end: PlacingEnd;
  readonly origin: EventOrigin | undefined;
}

/** `lost`: somebody else had ended the placing before. */
export type Ended =
  | { readonly kind: "confirmed"; readonly order: OrderDto }
  | { readonly kind: "failed" }
  | { readonly kind: "lost" };

export interface Placing {
  begin(command: BeginCommand): Promise<Begun>;
  end(command: EndCommand): Promise<Ended>;
  /** Commits what waits and refuses what comes later. */
  drain(): Promise<void>;
}

export function createPlacing(deps: PlacingDeps): Placing {
  const limits = { batchSizeMax: PLACING_BATCH_MAX, queueLengthMax: PLACING_QUEUE_MAX };
  const begins: CommitQueue<BeginCommand, Begun> = createCommitQueue({
    name: "order.place.begin",
    ...limits,
    waitMaxMs: BEGIN_WAIT_MAX_MS,
    commit: (commands: readonly BeginCommand[]) => commitBegins(deps, commands),
  });
  const ends: CommitQueue<EndCommand, Ended> = createCommitQueue({
    name: "order.place.end",
    ...limits,
    commit: (commands: readonly EndCommand[]) => commitEnds(deps, commands),
  });
  return {
    begin: (command) => begins.submit(command),
    end: (command) => ends.submit(command),
    async drain() {
      await begins.drain();
      await ends.drain();
    },
  };
}

async function commitBegins(
  { database, lease }: PlacingDeps,
  commands: readonly BeginCommand[],
): Promise<readonly Begun[]> {
  let begun: readonly Begun[] = [];
  return await database.transaction(
    "order.place.begin",
    async (tx) => {
      begun = await beginAll(tx, commands, lease);
      return begun;
    },
    {
      resolve: async (tx) => {
        const ids = begun.flatMap((one) => (one.kind === "begun" ? [one.order.id] : []));
        const isCommitted = ids.length === 0 || (await lockStatuses(tx, ids)).statuses.size > 0;
        return isCommitted ? { outcome: "committed", value: begun } : { outcome: "not_committed" };
      },
    },
  );
}

async function beginAll(
  tx: Transaction,
  commands: readonly BeginCommand[],
  lease: Lease,
): Promise<readonly Begun[]> {
  const keyed = commands.map(({ draft, claim }) => ({ orderId: draft.id, claim }));
  const [starts, time] = await Promise.all([beginKeys(tx, keyed), tx.row<{ now: Date }>(NOW)]);
  const { now } = must(time, "the database's time");
  const fresh: { decision: OrderDecision; claim: IdempotencyClaim }[] = [];
  const begun = commands.map(({ draft, claim }, index): Begun => {
    const start = must(starts[index], "one start per key");
    if (start.kind !== "fresh") return start;
    const decision = place(draft, now);
    fresh.push({ decision, claim });
    return { kind: "begun", order: decision.state };
  });
  if (fresh.length > 0) await insertPlacing(tx, fresh, lease);
  return begun;
}

async function insertPlacing(
  tx: Transaction,
  placed: readonly { readonly decision: OrderDecision; readonly claim: IdempotencyClaim }[],
  lease: Lease,
): Promise<void> {
  const orders = placed.map(({ decision }) => decision.state);
  const sagas = placed.map(({ decision, claim }) => ({
    id: decision.state.id,
    type: "place-order" as const,
    context: claim,
  }));
  await Promise.all([
    tx.run(INSERT_ORDERS, [orders.map(orderValues)]),
    tx.run(INSERT_ITEMS, [orders.flatMap(itemValues)]),
    writeHistory(
      tx,
      placed.flatMap(({ decision }) => decision.transition ?? []),
    ),
    startSagas(tx, sagas, lease),
  ]);
}

interface Ending {
  readonly command: EndCommand;
  readonly decision: OrderDecision;
  readonly outcome: Exclude<Ended, { kind: "lost" }>;
}

async function commitEnds(
  deps: PlacingDeps,
  commands: readonly EndCommand[],
): Promise<readonly Ended[]> {
  let ended: readonly Ended[] = [];
  let endings: readonly Ending[] = [];
  await deps.database.transaction(
    "order.place.end",
    async (tx) => {
      const ids = commands.map(({ order }) => order.id).sort(byNumericId);
      const { statuses, now } = await lockStatuses(tx, ids);
      const written: Ending[] = [];
      ended = commands.map((command): Ended => {
        // The same order twice in one batch: the first command ends it.
        if (statuses.get(command.order.id) !== "placing") return { kind: "lost" };
        statuses.delete(command.order.id);
        const ending = decide(command, now, deps.paymentWindowMs);
        written.push(ending);
        return ending.outcome;
      });
      endings = written;
      await writeEndings(tx, endings, now);
    },
    {
      resolve: async (tx) => {
        await lockStatuses(tx, commands.map(({ order }) => order.id).sort(byNumericId));
        const transition = endings[0]?.decision.transition ?? null;
        const isCommitted = transition === null || (await isInHistory(tx, transition));
        return isCommitted
          ? { outcome: "committed", value: undefined }
          : { outcome: "not_committed" };
      },
    },
  );
  if (endings.some(({ decision }) => decision.events.length > 0)) deps.onEvents();
  return ended;
}

function decide(command: EndCommand, now: Date, windowMs: number): Ending {
  const { order, end } = command;
  switch (end.kind) {
    case "confirm": {
      const decision = confirm(order, now, windowMs);
      return { command, decision, outcome: { kind: "confirmed", order: orderDto(decision.state) } };
    }
    case "refuse":
      return { command, decision: fail(order, end.reason, now), outcome: { kind: "failed" } };
    case "abandon":
      return { command, decision: fail(order, "abandoned", now), outcome: { kind: "failed" } };
    default:
      return unreachable(end);
  }
}

async function writeEndings(tx: Transaction, endings: readonly Ending[], now: Date): Promise<void> {
  const idsOf = (kind: PlacingEnd["kind"]): readonly string[] =>
    endings
      .filter(({ command }) => command.end.kind === kind)
      .map(({ command }) => command.order.id);
  const confirmed = idsOf("confirm");
  const refused = idsOf("refuse");
  const abandoned = idsOf("abandon");
  const failed = [...refused, ...abandoned];
  const expiresAt = endings.find(({ outcome }) => outcome.kind === "confirmed")?.decision.state
    .expiresAt;
  await Promise.all([
    confirmed.length > 0 && tx.run(CONFIRM, [expiresAt, now, confirmed]),
    failed.length > 0 && tx.run(FAIL, [now, failed]),
    writeHistory(
      tx,
      endings.flatMap(({ decision }) => decision.transition ?? []),
    ),
    appendEvents(
      tx,
      endings.flatMap(({ decision, command }) =>
        decision.events.map((event) => ({ ...event, origin: command.origin })),
      ),
    ),
    finishSagas(tx, "place-order", { ids: confirmed, status: "done" }),
    finishSagas(tx, "place-order", { ids: refused, status: "compensated" }),
    compensateSagas(tx, "place-order", abandoned),
    completeKeys(tx, endings.flatMap(keyAnswer)),
    freeKeys(tx, endings.flatMap(freedKey)),
  ]);
}

function keyAnswer({ command, outcome }: Ending): KeyAnswer[] {
  const keyed = { orderId: command.order.id, claim: command.claim };
  if (outcome.kind === "confirmed") return [{ ...keyed, answer: { ok: outcome.order } }];
  return command.end.kind === "refuse" ? [{ ...keyed, answer: command.end.answer }] : [];
}

function freedKey({ command }: Ending): KeyedOrder[] {
  if (command.end.kind !== "abandon") return [];
  return [{ orderId: command.order.id, claim: command.claim }];
}

interface LockedStatuses {
  readonly statuses: Map<string, Status>;
  readonly now: Date;
}

async function lockStatuses(tx: Transaction, ids: readonly string[]): Promise<LockedStatuses> {
  const rows = await tx.rows<{ id: string; status: Status; now: Date }>(LOCK_STATUSES, [ids]);
  return {
    statuses: new Map(rows.map(({ id, status }) => [id, status])),
    now: rows[0]?.now ?? new Date(0),
  };
}
