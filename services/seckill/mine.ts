// What became of a buyer's attempt: the attempt itself, then the order it led to, and the story of both.
import type { Context } from "moleculer";
import { type Database, sql } from "../../mixins/database/database.ts";
import { type ActionResult, call } from "../contracts/actions.ts";
import type { PaymentHistoryEntry } from "../contracts/payment.ts";
import { byTime } from "../kernel/by-time.ts";
import { SECOND_MS } from "../kernel/clock.ts";
import type { Commits, EndedRefusal } from "./commits.ts";
import type { AdmissionState } from "./domain/admission.ts";
import type { Sale } from "./domain/sale.ts";
import { isRunningElsewhere } from "./running-elsewhere.ts";

/** Attempts of one buyer that a story tells. */
const ATTEMPTS_MAX = 20;
/** For the order's and the payment's part. */
const PART_TIMEOUT_MS = SECOND_MS;

const FIND = sql(
  "seckill.admissions.mine",
  `SELECT order_id, state, reason, seq, epoch, request_id, created_at, ended_at FROM admissions
   WHERE sale_id = ? AND user_id = ? ORDER BY created_at DESC, order_id DESC LIMIT ?`,
);

const IS_PROMISED = sql(
  "seckill.admissions.is-promised",
  "SELECT order_id FROM admissions WHERE order_id = ? AND user_id = ? AND state <> 'void'",
);

interface AttemptRow {
  readonly order_id: string;
  readonly state: AdmissionState;
  readonly reason: string | null;
  readonly seq: number | null;
  readonly epoch: number;
  readonly request_id: string;
  readonly created_at: Date;
  readonly ended_at: Date | null;
}

type Mine = ActionResult<"seckill.mine">;
type Story = NonNullable<Mine["story"]>;

export interface MineDeps {
  readonly database: Database;
  readonly commits: Commits;
}

export interface MineRequest {
  readonly sale: Sale;
  readonly userId: string;
  readonly isExplained: boolean;
}

export async function tellMine(
  { database, commits }: MineDeps,
  ctx: Context,
  { sale, userId, isExplained }: MineRequest,
): Promise<Mine> {
  const read = () => database.rows<AttemptRow>(FIND, [sale.id, userId, ATTEMPTS_MAX]);
  let rows = await read();
  let isRunning = false;
  // A live row is the end of whatever ran.
  if (rows[0]?.state !== "live") {
    const runsHere = commits.runningOf(sale.id, userId) !== undefined;
    isRunning = runsHere || (await isRunningElsewhere(ctx, sale.id, userId));
    // What had ended by then has its row by now.
    if (!isRunning) rows = await read();
  }
  const [last] = rows;
  const refused = commits.refusalOf(sale.id, userId);
  const story = isExplained ? { story: await tellStory(ctx, sale, { rows, refused }) } : {};
  if (isRunning) return { status: "waiting", ...story };
  if (last !== undefined) return { ...(await statusOf(ctx, last)), ...story };
  if (refused === undefined) return { status: "none", ...story };
  return { status: "refused", reason: refused.refusal, ...story };
}

async function statusOf(ctx: Context, attempt: AttemptRow): Promise<Mine> {
  const { order_id: orderId, state, reason } = attempt;
  if (state === "void") return { status: "refused", reason: reason ?? "given_up" };
  const { items } = await call(
    ctx,
    "order.statuses",
    { order_ids: [orderId] },
    { timeout: PART_TIMEOUT_MS },
  );
  const [order] = items;
  if (order === undefined) return { status: "queued", order_id: orderId };
  const why = order.status === "cancelled" ? (order.reason ?? reason) : null;
  return {
    status: order.status,
    order_id: orderId,
    ...(why === null ? {} : { reason: why }),
  };
}

interface Known {
  readonly rows: readonly AttemptRow[];
  /** The last refusal on this node, which leaves no row. */
  readonly refused: EndedRefusal | undefined;
}

async function tellStory(ctx: Context, sale: Sale, { rows, refused }: Known): Promise<Story> {
  const told = await Promise.all(rows.map((attempt) => tellAttempt(ctx, sale, attempt)));
  const story = told.flat();
  if (refused !== undefined) {
    const details = { reason: refused.refusal };
    story.push({ at: new Date(refused.atMs).toISOString(), what: "got no unit", details });
  }
  return story.sort(byTime);
}

async function tellAttempt(ctx: Context, sale: Sale, attempt: AttemptRow): Promise<Story> {
  const { order_id: orderId, state, reason, created_at: at, ended_at: endedAt } = attempt;
  if (state === "void") {
    const details = { reason, request_id: attempt.request_id };
    return [{ at: at.toISOString(), what: "the attempt was given up", details }];
  }
  const story: Story = [
    {
      at: at.toISOString(),
      what: "let into the sale",
      details: {
        order_id: orderId,
        number: attempt.seq,
        of: sale.quantity,
        epoch: attempt.epoch,
        request_id: attempt.request_id,
      },
    },
    ...(await tellOrder(ctx, orderId)),
  ];
  if (endedAt !== null) {
    const details = { order_id: orderId, reason };
    story.push({ at: endedAt.toISOString(), what: "the unit was given back", details });
  }
  return story;
}

/** What the order and its money went through. */
async function tellOrder(ctx: Context, orderId: string): Promise<Story> {
  const asked = { order_id: orderId };
  const options = { timeout: PART_TIMEOUT_MS };
  const [order, money] = await Promise.all([
    call(ctx, "order.history", asked, options),
    call(ctx, "payment.history", asked, options),
  ]);
  return [
    ...order.items.map(({ at, status, reason }) => {
      return { at, what: `the order is ${status}`, details: { order_id: orderId, reason } };
    }),
    ...money.items.map(({ at, kind, ...details }) => ({ at, what: MONEY_WORDS[kind], details })),
  ];
}

const MONEY_WORDS: Readonly<Record<PaymentHistoryEntry["kind"], string>> = {
  opened: "a payment was opened",
  succeeded: "the provider says that it was paid",
  failed: "the provider says that the payment failed",
  refund_requested: "money is to go back",
  refunded: "money went back",
};

/** Whether this order was ever promised to this buyer. */
export async function isPromised(
  database: Database,
  orderId: string,
  userId: string,
): Promise<boolean> {
  return (await database.row(IS_PROMISED, [orderId, userId])) !== undefined;
}
