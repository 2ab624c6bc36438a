// Pages of rules for admins: the record of changes, the lists of buyers, the limits, the API clients.
import { type Database, sql, type Statement } from "../../mixins/database/database.ts";
import type { ActionParams } from "../contracts/actions.ts";
import type { ApiClient, ListedBuyer, PurchaseLimit, RuleChange } from "../contracts/operations.ts";
import { type PageOf, pageOf } from "../kernel/schema.ts";
import type { RuleRow } from "./rule.repository.ts";

interface Scope {
  readonly table: "rules" | "rule_changes";
  readonly where: string;
  readonly params: readonly unknown[];
}

const EVERYTHING = "seq > 0";

async function pageOfRows(
  database: Database,
  { table, where, params }: Scope,
  paging: { page?: number; page_size?: number },
): Promise<PageOf<RuleRow>> {
  const { page, pageSize, offset } = pageOf(paging);
  const [rows, count] = await Promise.all([
    database.rows<RuleRow>(pageStatement(table, where), [...params, pageSize, offset]),
    database.row<{ total: string }>(countStatement(table, where), params),
  ]);
  return { items: rows, page, page_size: pageSize, total: Number(count?.total ?? 0) };
}

function pageStatement(table: string, where: string): Statement {
  return sql(
    `${table}.page`,
    `SELECT seq, kind, target, user_id, is_on, value, reason, source, changed_by, changed_at
     FROM ${table} WHERE ${where} ORDER BY seq DESC LIMIT ? OFFSET ?`,
  );
}

function countStatement(table: string, where: string): Statement {
  return sql(`${table}.count`, `SELECT COUNT(*) AS total FROM ${table} WHERE ${where}`);
}

/** Newest first. */
export async function listChanges(
  database: Database,
  { kind, ...paging }: ActionParams<"operations.listRuleChanges">,
): Promise<PageOf<RuleChange>> {
  const scope: Scope = {
    table: "rule_changes",
    where: kind === undefined ? EVERYTHING : "kind = ?",
    params: kind === undefined ? [] : [kind],
  };
  const page = await pageOfRows(database, scope, paging);
  return { ...page, items: page.items.map(changeOf) };
}

/** Newest first. */
export async function listBuyers(
  database: Database,
  { list, sale_id: saleId, ...paging }: ActionParams<"operations.listBuyers">,
): Promise<PageOf<ListedBuyer>> {
  const scope: Scope = {
    table: "rules",
    where: `kind = ? AND is_on = 1${saleId === undefined ? "" : " AND target = ?"}`,
    params: saleId === undefined ? [list] : [list, saleId],
  };
  const page = await pageOfRows(database, scope, paging);
  const items = page.items.map((row) => ({
    list,
    sale_id: row.target === "" ? null : row.target,
    user_id: row.user_id,
    reason: row.reason,
    changed_at: row.changed_at.toISOString(),
  }));
  return { ...page, items };
}

/** Newest first. */
export async function listLimits(
  database: Database,
  paging: ActionParams<"operations.listPurchaseLimits">,
): Promise<PageOf<PurchaseLimit>> {
  const scope: Scope = { table: "rules", where: "kind = 'limit_sku' AND is_on = 1", params: [] };
  const page = await pageOfRows(database, scope, paging);
  return { ...page, items: page.items.map(limitOf) };
}

/** Newest first, the revoked ones too. */
export async function listApiClients(
  database: Database,
  paging: ActionParams<"operations.listApiClients">,
): Promise<PageOf<ApiClient>> {
  const scope: Scope = { table: "rules", where: "kind = 'api_client'", params: [] };
  const page = await pageOfRows(database, scope, paging);
  return { ...page, items: page.items.map(clientOf) };
}

export function clientOf({
  target,
  is_on,
  seq,
  reason,
  changed_by,
  changed_at,
}: RuleRow): ApiClient {
  return {
    key_id: target,
    is_active: is_on === 1,
    version: Number(seq),
    reason,
    changed_by,
    changed_at: changed_at.toISOString(),
  };
}

export function limitOf({ target, is_on, value, reason, changed_at }: RuleRow): PurchaseLimit {
  return {
    sku_id: target,
    per_order: is_on === 1 ? value : null,
    reason,
    changed_at: changed_at.toISOString(),
  };
}

function changeOf(row: RuleRow): RuleChange {
  return {
    id: row.seq,
    kind: row.kind,
    target: row.target === "" ? null : row.target,
    user_id: row.user_id === "" ? null : row.user_id,
    is_on: row.is_on === 1,
    value: row.value,
    reason: row.reason,
    source: row.source,
    changed_by: row.changed_by,
    changed_at: row.changed_at.toISOString(),
  };
}
