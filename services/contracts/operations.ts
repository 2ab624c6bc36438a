// Contract of what an operator changes while the shop runs: switches, lists of buyers, limits, API
// clients. All of them are rules in the database; every node follows them within a second, and every change is kept
// with who made it, when and why.
import { type Static, Type } from "@sinclair/typebox";
import { Id, Nullable, PAGE_PARAMS, Page, Strict, Timestamp } from "../kernel/schema.ts";
import { defineContract } from "./contract.ts";

/**
 * - `degrade_browsing`: product pages are answered from copies, and nothing is asked for them;
 * - `stop_orders`: nobody places an order or buys in a flash sale;
 * - `pause_sale`: nobody buys in the sale that is the target;
 * - `disable_channel`: no payment is opened through the channel that is the target.
 */
export const SWITCHES = [
  "degrade_browsing",
  "stop_orders",
  "pause_sale",
  "disable_channel",
] as const;
export type SwitchName = (typeof SWITCHES)[number];

/** Lists of buyers: `blocked` may buy nothing; a sale with an `invited` list sells to nobody else. */
export const BUYER_LISTS = ["blocked", "invited"] as const;
export type BuyerList = (typeof BUYER_LISTS)[number];

export const RULE_KINDS = [...SWITCHES, ...BUYER_LISTS, "limit_sku", "api_client"] as const;
export type RuleKind = (typeof RULE_KINDS)[number];

/** Users in one change of a list. */
export const LIST_CHANGE_MAX = 1_000;
/** Users on all lists together: every node keeps them in memory. */
export const LISTED_USERS_MAX = 100_000;
/** API clients that are let in. */
export const API_CLIENTS_MAX = 1_000;
/** Rules that a node is told at once. */
export const RULES_PAGE_MAX = 1_000;
/** Days a switch may be on before it goes off by itself. */
const EXPIRY_S_MAX = 7 * 86_400;
const PER_ORDER_MAX = 99;

/** Told to all nodes after a change; a hint only, they ask twice a second anyway. */
export const RULES_HINT_EVENT = "operations.rules-changed";

const oneOf = <const T extends string>(values: readonly T[]) =>
  Type.Union(values.map((value) => Type.Literal(value)));

const SwitchNames = oneOf(SWITCHES);
const Reason = Type.String({ minLength: 1, maxLength: 200, description: "Why, for the record" });
/** Empty in the feed, null outside, for a rule without one. */
const Target = Type.String({ maxLength: 64, pattern: "^[A-Za-z0-9_-]*$" });

const Source = Type.Union(
  [Type.Literal("admin"), Type.Literal("trigger"), Type.Literal("expiry")],
  { description: "Who made the change: an admin, a threshold, or the end of its time" },
);

export const Switch = Type.Object({
  name: SwitchNames,
  /** The sale or the channel; null for a switch of the whole shop. */
  target: Nullable(Type.String()),
  is_on: Type.Boolean(),
  reason: Nullable(Type.String()),
  source: Nullable(Source),
  /** The admin's id; null for a change that nobody made by hand. */
  changed_by: Nullable(Id),
  changed_at: Nullable(Timestamp),
  /** When it goes off by itself. */
  expires_at: Nullable(Timestamp),
});
export type Switch = Static<typeof Switch>;

export const RuleChange = Type.Object({
  id: Id,
  kind: oneOf(RULE_KINDS),
  target: Nullable(Type.String()),
  user_id: Nullable(Id),
  is_on: Type.Boolean(),
  value: Nullable(Type.Integer()),
  reason: Type.String(),
  source: Source,
  changed_by: Nullable(Id),
  changed_at: Timestamp,
});
export type RuleChange = Static<typeof RuleChange>;

export const ListedBuyer = Type.Object({
  list: oneOf(BUYER_LISTS),
  sale_id: Nullable(Id),
  user_id: Id,
  reason: Type.String(),
  changed_at: Timestamp,
});
export type ListedBuyer = Static<typeof ListedBuyer>;

export const PurchaseLimit = Type.Object({
  sku_id: Id,
  /** Units in one order; null = no limit of its own. */
  per_order: Nullable(Type.Integer()),
  reason: Type.String(),
  changed_at: Timestamp,
});
export type PurchaseLimit = Static<typeof PurchaseLimit>;

export const ApiClient = Type.Object({
  /** Chosen by the admin; `keyid` of its signatures. */
  key_id: Type.String(),
  is_active: Type.Boolean(),
  /** Number of the change that made its secret. */
  version: Type.Integer(),
  reason: Type.String(),
  changed_by: Nullable(Id),
  changed_at: Timestamp,
});
export type ApiClient = Static<typeof ApiClient>;

/** One rule as a node is told of it. */
export const Rule = Type.Object({
  seq: Type.Integer(),
  kind: oneOf(RULE_KINDS),
  /** Sale, channel, SKU or API client; empty for the whole shop. */
  target: Type.String(),
  /** The buyer of a list; empty otherwise. */
  user_id: Type.String(),
  is_on: Type.Boolean(),
  value: Nullable(Type.Integer()),
});
export type Rule = Static<typeof Rule>;

const TAG = { tag: "Operations" } as const;

export const operationsContract = defineContract({
  listSwitches: {
    params: Strict({}),
    result: Type.Object({ items: Type.Array(Switch) }),
    auth: "admin",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/admin/switches",
      summary: "The switches of the shop, and of every sale and channel that ever had one",
      ...TAG,
    },
  },
  setSwitch: {
    params: Strict({
      name: SwitchNames,
      is_on: Type.Boolean(),
      reason: Reason,
      target: Type.Optional(Target),
      expires_in_s: Type.Optional(Type.Integer({ minimum: 1, maximum: EXPIRY_S_MAX })),
    }),
    result: Switch,
    auth: "admin",
    idempotent: true,
    rest: {
      method: "PUT",
      path: "/admin/switches/:name",
      summary: "Turn a switch on or off; in force on all nodes within a second",
      ...TAG,
    },
  },
  listRuleChanges: {
    params: Strict({ ...PAGE_PARAMS, kind: Type.Optional(oneOf(RULE_KINDS)) }),
    result: Page(RuleChange),
    auth: "admin",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/admin/rule-changes",
      summary: "Who changed which switch, list or limit, when and why; newest first",
      ...TAG,
    },
  },
  listBuyers: {
    params: Strict({
      ...PAGE_PARAMS,
      list: oneOf(BUYER_LISTS),
      sale_id: Type.Optional(Id),
    }),
    result: Page(ListedBuyer),
    auth: "admin",
    idempotent: true,
    rest: { method: "GET", path: "/admin/buyer-lists", summary: "Buyers on a list", ...TAG },
  },
  changeBuyers: {
    params: Strict({
      list: oneOf(BUYER_LISTS),
      sale_id: Type.Optional(Id),
      user_ids: Type.Array(Id, { minItems: 1, maxItems: LIST_CHANGE_MAX, uniqueItems: true }),
      is_listed: Type.Boolean(),
      reason: Reason,
    }),
    result: Type.Object({ changed: Type.Integer() }),
    auth: "admin",
    idempotent: true,
    rest: {
      method: "PUT",
      path: "/admin/buyer-lists",
      summary: "Put buyers on a list or take them off; `invited` needs a sale, `blocked` has none",
      ...TAG,
    },
  },
  listPurchaseLimits: {
    params: Strict({ ...PAGE_PARAMS }),
    result: Page(PurchaseLimit),
    auth: "admin",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/admin/purchase-limits",
      summary: "SKUs with a limit of units per order",
      ...TAG,
    },
  },
  setPurchaseLimit: {
    params: Strict({
      sku_id: Id,
      per_order: Nullable(Type.Integer({ minimum: 1, maximum: PER_ORDER_MAX })),
      reason: Reason,
    }),
    result: PurchaseLimit,
    auth: "admin",
    idempotent: true,
    rest: {
      method: "PUT",
      path: "/admin/purchase-limits/:sku_id",
      summary: "Limit the units of a SKU in one order; null takes the limit away",
      ...TAG,
    },
  },
  listApiClients: {
    params: Strict({ ...PAGE_PARAMS }),
    result: Page(ApiClient),
    auth: "admin",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/admin/api-clients",
      summary: "Programs that may sign their requests, and those that no longer may",
      ...TAG,
    },
  },
  setApiClient: {
    params: Strict({
      key_id: Type.String({ pattern: "^[A-Za-z0-9_-]{3,40}$" }),
      is_active: Type.Boolean(),
      reason: Reason,
    }),
    result: ApiClient,
    auth: "admin",
    idempotent: true,
    rest: {
      method: "PUT",
      path: "/admin/api-clients/:key_id",
      summary:
        "Give an API client a new secret, shown in this answer only, or revoke it; in force on all nodes within a second",
      ...TAG,
    },
  },
  /** Turns a switch on because a threshold was passed, for a while. An admin's word of the last
   * minutes stands: answers false when it was followed instead. */
  trip: {
    params: Strict({ name: SwitchNames, target: Target, reason: Reason }),
    result: Type.Object({ is_tripped: Type.Boolean() }),
    auth: "internal",
    idempotent: true,
  },
  /** Rules changed after `after_seq`, in the order of their changes. */
  rulesAfter: {
    params: Strict({ after_seq: Type.Integer({ minimum: 0 }) }),
    result: Type.Object({ items: Type.Array(Rule, { maxItems: RULES_PAGE_MAX }) }),
    auth: "internal",
    idempotent: true,
  },
});
