// What became of a buyer's attempt: the attempt itself, then the order it led to, and the story of both.
import type { Context } from "moleculer";
import { type Database, sql } from "../../mixins/database/database.ts";
import { type ActionResult, call } from "../contracts/actions.ts";
import { SECOND_MS } from "../kernel/clock.ts";
import type { Commits } from "./commits.ts";
import type { AdmissionState } from "./domain/admission.ts";
import type { Sale } from "./domain/sale.ts";
import { isRunningElsewhere } from "./running-elsewhere.ts";

/** Attempts of one buyer that a story tells. */
const ATTEMPTS_MAX = 20;
const ORDER_TIMEOUT_MS = SECOND_MS;

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
  const story = isExplained ? { story: await tellStory(ctx, sale, rows) } : {};
  if (isRunning) return { status: "waiting", ...story };
  if (last === undefined) {
    const reason = commits.refusalOf(sale.id, userId);
    return reason === undefined ? { status: "none", ...story } : refusedFor(reason, story);
  }
  return { ...(await statusOf(ctx, last)), ...story };
}

function refusedFor(reason: string, story: { readonly story?: Story }): Mine {
  return { status: "refused", reason, ...story };
}

async function statusOf(ctx: Context, attempt: AttemptRow): Promise<Mine> {
  const { order_id: orderId, state, reason } = attempt;
  if (state === "void") return { status: "refused", reason: reason ?? "given_up" };
  const { items } = await call(
    ctx,
    "order.statuses",
    { order_ids: [orderId] },
    { timeout: ORDER_TIMEOUT_MS },
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

async function tellStory(
  ctx: Context,
  sale: Sale,
  attempts: readonly AttemptRow[],
): Promise<Story> {
  const told = await Promise.all(attempts.map((attempt) => tellAttempt(ctx, sale, attempt)));
  return told.flat().sort((left, right) => (left.at < right.at ? -1 : Number(left.at > right.at)));
}

async function tellAttempt(ctx: Context, sale: Sale, attempt: AttemptRow): Promise<Story> {
  const { order_id: orderId, state, reason, created_at: at, ended_at: endedAt } = attempt;
  const story: Story = [];
  if (state === "void") {
    const details = { reason, request_id: attempt.request_id };
    return [{ at: at.toISOString(), what: "the attempt was given up", details }];
  }
  story.push({
    at: at.toISOString(),
    what: "let into the sale",
    details: {
      order_id: orderId,
      number: attempt.seq,
      of: sale.quantity,
      epoch: attempt.epoch,
      request_id: attempt.request_id,
    },
  });
  const { items } = await call(
    ctx,
    "order.history",
    { order_id: orderId },
    { timeout: ORDER_TIMEOUT_MS },
  );
  for (const { at: when, status, reason: why } of items) {
    const details = { order_id: orderId, reason: why };
    story.push({ at: when, what: `the order is ${status}`, details });
  }
  if (endedAt !== null) {
    const details = { order_id: orderId, reason };
    story.push({ at: endedAt.toISOString(), what: "the unit was given back", details });
  }
  return story;
}

/** Whether this order was ever promised to this buyer. */
export async function isPromised(
  database: Database,
  orderId: string,
  userId: string,
): Promise<boolean> {
  return (await database.row(IS_PROMISED, [orderId, userId])) !== undefined;
}
