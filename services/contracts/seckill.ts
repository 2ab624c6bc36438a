// Contract of the flash sale. An answer with an order id is a promise; a ticket is none.
import { type Static, Type } from "@sinclair/typebox";
import { MINUTE_MS } from "../kernel/clock.ts";
import { Id, Money, Nullable, PAGE_PARAMS, Page, Strict, Timestamp } from "../kernel/schema.ts";
import { defineContract } from "./contract.ts";
import { ORDER_STATUSES } from "./order.ts";
import { SaleAudit, SaleCertificate } from "./sale-audit.ts";

export type { SaleAudit } from "./sale-audit.ts";

/** Buyers in one admission call, one gate script and one commit. */
export const ADMISSION_BATCH_MAX = 256;
export const SALE_QUANTITY_MAX = 10_000_000;
/** What each gateway remembers of its answers to buyers. */
export const ATTEMPT_REMEMBERED_MS = 10 * MINUTE_MS;
export const ATTEMPT_BUYERS_MAX = 100_000;
export const ATTEMPTS_PER_BUYER_MAX = 5;

/** `open` and `sold_out` are derived; the others are stored. */
export const SALE_STATUSES = [
  "draft",
  "publishing",
  "published",
  "open",
  "sold_out",
  "closing",
  "closed",
] as const;
export const SaleStatus = Type.Union(SALE_STATUSES.map((status) => Type.Literal(status)));
export type SaleStatus = (typeof SALE_STATUSES)[number];

export const STORED_SALE_STATUSES = [
  "draft",
  "publishing",
  "published",
  "closing",
  "closed",
] as const;
export type StoredSaleStatus = (typeof STORED_SALE_STATUSES)[number];

/** `gate`: Redis decides who may try to commit. `database`: the commit alone decides. */
export const SALE_STRATEGIES = ["gate", "database"] as const;
export type SaleStrategy = (typeof SALE_STRATEGIES)[number];

export const Sale = Type.Object({
  id: Id,
  sku_id: Id,
  product_id: Id,
  title: Type.String(),
  price: Money,
  quantity: Type.Integer(),
  remaining: Type.Integer(),
  status: SaleStatus,
  per_user_limit: Type.Integer(),
  pass_required: Type.Boolean(),
  /** The sale is open in [start_at, end_at). */
  start_at: Timestamp,
  end_at: Timestamp,
  server_time: Timestamp,
});
export type Sale = Static<typeof Sale>;

/** What a gateway needs to answer losers by itself; the gate decides everything else. */
export const SaleSnapshot = Type.Object({
  id: Id,
  status: Type.Union(STORED_SALE_STATUSES.map((status) => Type.Literal(status))),
  starts_at_ms: Type.Integer(),
  ends_at_ms: Type.Integer(),
  pass_required: Type.Boolean(),
  remaining: Type.Integer(),
});
export type SaleSnapshot = Static<typeof SaleSnapshot>;

export const Candidate = Strict({
  user_id: Id,
  /** The HTTP request's id: the same one again is the same attempt. */
  request_id: Type.String({ minLength: 1, maxLength: 64 }),
});
export type Candidate = Static<typeof Candidate>;

/** Why a buyer gets none. `already`: he has one. */
export const REFUSALS = ["sold_out", "already", "not_started", "ended"] as const;
export type Refusal = (typeof REFUSALS)[number];

/**
 * - pending: the commit of `order_id` has begun; `outcome` tells how it ended.
 * - committed: `order_id` is this buyer's, and a promise.
 * - in_progress: another request of the same buyer is being committed under `order_id`.
 * - busy: not now; nothing was decided.
 */
export const ADMISSIONS = [
  "pending",
  "committed",
  "in_progress",
  ...REFUSALS,
  "not_found",
  "busy",
] as const;

/** Broadcast when a sale has changed or has units again; a hint that may be lost. */
export const SALE_HINT_EVENT = "seckill.sale_hint";
export interface SaleHint {
  readonly sale_id: string;
}

/** One answer per candidate, in order. */
export const Admission = Type.Object({
  outcome: Type.Union(ADMISSIONS.map((one) => Type.Literal(one))),
  /** Set for pending, committed, in_progress and already. */
  order_id: Nullable(Id),
});
export type Admission = Static<typeof Admission>;

export const AdmissionOutcome = Type.Object({
  order_id: Id,
  outcome: Type.Union(
    (["committed", "refused", "unknown"] as const).map((one) => Type.Literal(one)),
  ),
  /** Why it was refused, where that is known. */
  refusal: Nullable(Type.Union(REFUSALS.map((one) => Type.Literal(one)))),
  /** The order the buyer has, when the refusal is `already`. */
  held_order_id: Nullable(Id),
});
export type AdmissionOutcome = Static<typeof AdmissionOutcome>;

/** What became of a buyer's attempt: of the attempt first, then of its order. */
const ATTEMPT_STATUSES = ["none", "waiting", "queued", "refused", ...ORDER_STATUSES] as const;
export const AttemptStatus = Type.Union(ATTEMPT_STATUSES.map((one) => Type.Literal(one)));
export type AttemptStatus = (typeof ATTEMPT_STATUSES)[number];

const TAG = { tag: "Flash sales" } as const;

const MINE_DESCRIPTION =
  `With \`explain=true\` the story tells in time order when the caller asked for a unit and what he was
answered, his admission, his order, its payments and the unit's way back. Admissions, orders and payments
are told from what is stored, always. Requests and refusals are stored nowhere: each gateway remembers its
own answers for ${ATTEMPT_REMEMBERED_MS / MINUTE_MS} minutes, of at most ${ATTEMPT_BUYERS_MAX} buyers the last ${ATTEMPTS_PER_BUYER_MAX} each, and forgets them when it
is restarted.`.replaceAll("\n", " ");

export const seckillContract = defineContract({
  createSale: {
    params: Strict({
      sku_id: Id,
      price: Type.Integer({ minimum: 1, maximum: 100_000_000_000 }),
      quantity: Type.Integer({ minimum: 1, maximum: SALE_QUANTITY_MAX }),
      per_user_limit: Type.Optional(Type.Literal(1)),
      start_at: Timestamp,
      end_at: Timestamp,
      title: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
      pass_required: Type.Optional(Type.Boolean()),
      strategy: Type.Optional(Type.Union(SALE_STRATEGIES.map((one) => Type.Literal(one)))),
    }),
    result: Sale,
    auth: "admin",
    idempotent: false,
    idempotencyKey: "accepted",
    rest: {
      method: "POST",
      path: "/seckill/sales",
      status: 201,
      summary: "Draft a flash sale",
      ...TAG,
    },
  },
  publish: {
    params: Strict({ id: Id }),
    result: Sale,
    auth: "admin",
    idempotent: true,
    rest: {
      method: "POST",
      path: "/seckill/sales/:id/publish",
      summary: "Take the units out of the stock; the sale opens by its time",
      ...TAG,
    },
  },
  close: {
    params: Strict({ id: Id }),
    result: Sale,
    auth: "admin",
    idempotent: true,
    timeoutMs: 5_000,
    rest: {
      method: "POST",
      path: "/seckill/sales/:id/close",
      summary: "End it for good; 202 while the return of the units is being booked",
      ...TAG,
    },
  },
  listSales: {
    params: Strict({ ...PAGE_PARAMS }),
    result: Page(Sale),
    auth: "public",
    idempotent: true,
    rest: { method: "GET", path: "/seckill/sales", summary: "Flash sales", ...TAG },
  },
  getSale: {
    params: Strict({ id: Id }),
    result: Sale,
    auth: "public",
    idempotent: true,
    rest: { method: "GET", path: "/seckill/sales/:id", summary: "A flash sale", ...TAG },
  },
  createPass: {
    params: Strict({ id: Id }),
    result: Type.Object({ pass: Type.String(), expires_at: Timestamp }),
    auth: "customer",
    idempotent: true,
    rest: {
      method: "POST",
      path: "/seckill/sales/:id/passes",
      status: 201,
      summary: "The right to try, where a sale asks for it",
      ...TAG,
    },
  },
  /** One of `order_id` (status queued: a promise) and `ticket` (status waiting: none). */
  buy: {
    params: Strict({ id: Id }),
    result: Type.Object({
      order_id: Type.Optional(Id),
      ticket: Type.Optional(Type.String()),
      status: Type.Union([Type.Literal("queued"), Type.Literal("waiting")]),
    }),
    auth: "customer",
    idempotent: true,
    rest: {
      method: "POST",
      path: "/seckill/sales/:id/orders",
      status: 202,
      summary: "Buy one; an order_id in the answer is a promise",
      ...TAG,
    },
  },
  mine: {
    params: Strict({ id: Id, explain: Type.Optional(Type.Boolean()) }),
    result: Type.Object({
      status: AttemptStatus,
      order_id: Type.Optional(Id),
      reason: Type.Optional(Type.String()),
      /** With `explain`: what happened, in time order. */
      story: Type.Optional(
        Type.Array(Type.Object({ at: Timestamp, what: Type.String(), details: Type.Unknown() })),
      ),
    }),
    auth: "customer",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/seckill/sales/:id/orders/mine",
      summary: "What became of the caller's attempt",
      description: MINE_DESCRIPTION,
      ...TAG,
    },
  },
  /** `full` (admins): from nothing, not from where the last audit left off. */
  audit: {
    params: Strict({ id: Id, full: Type.Optional(Type.Boolean()) }),
    result: SaleAudit,
    auth: "optional",
    idempotent: true,
    timeoutMs: 10_000,
    rest: {
      method: "GET",
      path: "/seckill/sales/:id/audit",
      summary: "The equations of a sale",
      ...TAG,
    },
  },
  /** Errors: SECKILL_AUDIT_UNFINISHED while the audit is not complete, SECKILL_NOT_SIGNING. */
  certify: {
    params: Strict({ id: Id }),
    result: SaleCertificate,
    auth: "public",
    idempotent: true,
    timeoutMs: 10_000,
    rest: {
      method: "GET",
      path: "/seckill/sales/:id/certificate",
      summary: "The audit of a sale as a signed statement",
      ...TAG,
    },
  },
  certificateKey: {
    params: Strict({}),
    result: Type.Object({
      algorithm: Type.Literal("Ed25519"),
      key_id: Type.String(),
      /** SPKI, PEM. */
      public_key: Type.String(),
    }),
    auth: "public",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/seckill/certificate-key",
      summary: "The public key of the shop's certificates",
      ...TAG,
    },
  },
  /** Lets buyers of one sale through the gate; winners' commit has begun when it answers. */
  admit: {
    params: Strict({
      sale_id: Id,
      candidates: Type.Array(Candidate, { minItems: 1, maxItems: ADMISSION_BATCH_MAX }),
    }),
    result: Type.Object({ items: Type.Array(Admission) }),
    auth: "internal",
    idempotent: true,
  },
  /** What became of pending admissions, in order; waits at most `wait_ms`. Any node can answer. */
  outcome: {
    params: Strict({
      sale_id: Id,
      order_ids: Type.Array(Id, { minItems: 1, maxItems: ADMISSION_BATCH_MAX }),
      wait_ms: Type.Integer({ minimum: 0, maximum: 1_000 }),
    }),
    result: Type.Object({ items: Type.Array(AdmissionOutcome) }),
    auth: "internal",
    idempotent: true,
  },
  /**
   * Buyers who hold a unit by the gate, page by page, for gateways that answer "sold out" themselves.
   * The pages together are whole when the version is the same before the first and after the last.
   */
  holders: {
    params: Strict({
      sale_id: Id,
      /** Where this version is the present one, no buyers are named. */
      known_version: Type.Optional(Type.String({ maxLength: 64 })),
      cursor: Type.Optional(Type.String({ pattern: "^[0-9]{1,20}$" })),
    }),
    result: Type.Object({
      /** Null while the gate does not decide. */
      version: Nullable(Type.String()),
      /** Units nobody was admitted for. Buyers are named only when it is 0. */
      stock: Type.Integer(),
      /** How many there are. */
      holders: Type.Integer(),
      user_ids: Type.Array(Id),
      /** Cursor of the next page; null after the last. */
      next: Nullable(Type.String()),
    }),
    auth: "internal",
    idempotent: true,
  },
  /** Sales that are not closed, for the gateways' fast lane. */
  snapshots: {
    params: Strict({}),
    result: Type.Object({ items: Type.Array(SaleSnapshot) }),
    auth: "internal",
    idempotent: true,
  },
  /** Whether the node that is asked is in the middle of an attempt of this buyer. */
  isTrying: {
    params: Strict({ sale_id: Id, user_id: Id }),
    result: Type.Object({ is_trying: Type.Boolean() }),
    auth: "internal",
    idempotent: true,
  },
  /** Whether this order was promised to this buyer; its row may not be there yet. */
  isPromised: {
    params: Strict({ order_id: Id, user_id: Id }),
    result: Type.Object({ is_promised: Type.Boolean() }),
    auth: "internal",
    idempotent: true,
  },
});
