// Contract of the auditor: the one module that may read every schema (SELECT only). It runs the
// invariants, lists dead letters, and tells the story of an order.
import { type Static, Type } from "@sinclair/typebox";
import { Id, PAGE_PARAMS, Page, Strict, Timestamp } from "../kernel/schema.ts";
import { defineContract } from "./contract.ts";
import { EVENT_OWNERS } from "./events.ts";

/** Offending rows shown per invariant. */
export const OFFENDERS_MAX = 20;

export const InvariantResult = Type.Object({
  name: Type.String(),
  /** What it checks, in one sentence. */
  checks: Type.String(),
  violations: Type.Integer(),
  offending: Type.Array(Type.String(), { maxItems: OFFENDERS_MAX }),
  ran_at: Timestamp,
  duration_ms: Type.Integer(),
});
export type InvariantResult = Static<typeof InvariantResult>;

/** `<service>-<row id>`: a dead letter stays where its consumer failed. */
export const DeadLetterId = Type.String({
  pattern: `^(${EVENT_OWNERS.join("|")})-[1-9][0-9]{0,18}$`,
});

export const DeadLetter = Type.Object({
  id: DeadLetterId,
  consumer: Type.String(),
  event_id: Type.String(),
  event_name: Type.String(),
  payload: Type.Unknown(),
  error: Type.String(),
  tries: Type.Integer(),
  status: Type.Union([Type.Literal("open"), Type.Literal("replayed"), Type.Literal("discarded")]),
  created_at: Timestamp,
});
export type DeadLetter = Static<typeof DeadLetter>;

export const StoryEntry = Type.Object({
  at: Timestamp,
  service: Type.String(),
  kind: Type.String(),
  summary: Type.String(),
  details: Type.Unknown(),
});

export const OutboxState = Type.Object({
  owner: Type.String(),
  /** Events that are not published yet. */
  waiting: Type.Integer(),
  oldest_age_ms: Type.Integer(),
});
export type OutboxState = Static<typeof OutboxState>;

export const SagaState = Type.Object({
  type: Type.String(),
  open: Type.Integer(),
  /** Open ones whose turn was a minute ago and more. */
  overdue: Type.Integer(),
});
export type SagaState = Static<typeof SagaState>;

const TAG = { tag: "Administration" } as const;

export const auditorContract = defineContract({
  invariants: {
    params: Strict({}),
    result: Type.Object({ holds: Type.Boolean(), items: Type.Array(InvariantResult) }),
    auth: "admin",
    idempotent: true,
    timeoutMs: 30_000,
    rest: { method: "GET", path: "/admin/invariants", summary: "Every invariant, run now", ...TAG },
  },
  backlogs: {
    params: Strict({}),
    result: Type.Object({
      outboxes: Type.Array(OutboxState),
      sagas: Type.Array(SagaState),
      dead_letters: Type.Array(Type.Object({ owner: Type.String(), open: Type.Integer() })),
    }),
    auth: "admin",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/admin/backlogs",
      summary: "What waits: events, sagas, dead letters",
      ...TAG,
    },
  },
  listDeadLetters: {
    params: Strict({
      ...PAGE_PARAMS,
      status: Type.Optional(
        Type.Union([Type.Literal("open"), Type.Literal("replayed"), Type.Literal("discarded")]),
      ),
    }),
    result: Page(DeadLetter),
    auth: "admin",
    idempotent: true,
    rest: { method: "GET", path: "/admin/dead-letters", summary: "Dead letters", ...TAG },
  },
  replayDeadLetter: {
    params: Strict({ id: DeadLetterId }),
    result: DeadLetter,
    auth: "admin",
    idempotent: true,
    rest: {
      method: "POST",
      path: "/admin/dead-letters/:id/replay",
      summary: "Hand the event to its consumer again",
      ...TAG,
    },
  },
  discardDeadLetter: {
    params: Strict({ id: DeadLetterId }),
    result: DeadLetter,
    auth: "admin",
    idempotent: true,
    rest: {
      method: "DELETE",
      path: "/admin/dead-letters/:id",
      summary: "Close it without an effect",
      ...TAG,
    },
  },
  explainOrder: {
    params: Strict({ id: Id }),
    result: Type.Object({ order_id: Id, items: Type.Array(StoryEntry) }),
    auth: "admin",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/admin/orders/:id/explain",
      summary: "The order's whole story in time order",
      ...TAG,
    },
  },
});
