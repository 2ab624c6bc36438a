// What the shop tells of itself before a sale: the sale, its switches, backlogs, dead letters, invariants.
import type { Settings } from "../../config/schema.ts";
import type { ActionResult } from "../../services/contracts/actions.ts";
import type { Sale } from "../../services/contracts/seckill.ts";
import { type Check, type Finding, go, judge, noGo, warn } from "./check.ts";
import type { ShopReader } from "./shop-reader.ts";

const READY_STATUSES: readonly Sale["status"][] = ["published", "open"];
const MINUTE_MS = 60_000;
/** Less than this per user turns honest buyers away who click twice. */
const USER_RPS_MIN = 2;
const TIME_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

export interface ShopParts {
  readonly shop: ShopReader;
  readonly settings: Settings;
  readonly saleId: string;
}

export function shopChecks(parts: ShopParts): readonly Check[] {
  const { shop } = parts;
  return [
    { what: "sale", look: () => lookAtSale(parts) },
    { what: "ready", look: () => lookAtReadiness(shop) },
    { what: "switches", look: () => lookAtSwitches(parts) },
    { what: "backlogs", look: () => lookAtBacklogs(shop) },
    { what: "invariants", look: () => lookAtInvariants(shop) },
    { what: "limits", look: () => Promise.resolve(limitsOf(parts.settings)) },
  ];
}

async function lookAtSale({ shop, saleId }: ShopParts): Promise<Finding[]> {
  const sale = await shop.get<Sale>(`/seckill/sales/${saleId}`);
  const audit = await shop.get<ActionResult<"seckill.audit">>(`/seckill/sales/${saleId}/audit`);
  const startsMs = Date.parse(sale.start_at);
  const minutes = Math.round((startsMs - Date.now()) / MINUTE_MS);
  const when = minutes >= 0 ? `in ${minutes} min` : `${-minutes} min ago`;
  return [
    judge(
      "sale",
      READY_STATUSES.includes(sale.status),
      `${sale.title}: ${sale.status}, ${sale.remaining} of ${sale.quantity} units at ${sale.price}`,
    ),
    go("starts", `${bothWays(sale.start_at)}, ${when}`),
    judge("ends", Date.parse(sale.end_at) > Date.now(), bothWays(sale.end_at)),
    judge("audit", audit.holds, audit.holds ? "adds up" : "does not add up"),
  ];
}

/** An instant in UTC and where the operator sits: most wrong start times are a wrong zone. */
export function bothWays(instant: string, zone: string = TIME_ZONE): string {
  const format = { dateStyle: "medium", timeStyle: "long", timeZone: zone } as const;
  return `${instant} = ${new Intl.DateTimeFormat("en-GB", format).format(new Date(instant))} (${zone})`;
}

async function lookAtReadiness(shop: ShopReader): Promise<Finding[]> {
  const { checks, isReady } = await shop.readiness();
  const away = Object.entries(checks).filter(([, state]) => state !== "ok");
  if (!isReady) return [noGo("ready", `away: ${away.map(([name]) => name).join(", ")}`)];
  if (away.length === 0) return [go("ready", `${Object.keys(checks).length} dependencies answer`)];
  // The shop sells without it, but a sale without its gate is a slow one.
  return [noGo("ready", `away: ${away.map(([name]) => name).join(", ")}`)];
}

async function lookAtSwitches({ shop, saleId }: ShopParts): Promise<Finding[]> {
  const { items } = await shop.get<ActionResult<"operations.listSwitches">>("/admin/switches");
  const on = items.filter((one) => one.is_on);
  if (on.length === 0) return [go("switches", "all off")];
  return on.map(({ name, target, reason }) => {
    const text = `${name}${target === null ? "" : ` ${target}`} is on: ${reason ?? ""}`;
    const stopsThis = name === "stop_orders" || (name === "pause_sale" && target === saleId);
    return stopsThis ? noGo("switches", text) : warn("switches", text);
  });
}

async function lookAtBacklogs(shop: ShopReader): Promise<Finding[]> {
  const { outboxes, sagas, dead_letters } =
    await shop.get<ActionResult<"auditor.backlogs">>("/admin/backlogs");
  const waiting = outboxes.reduce((sum, one) => sum + one.waiting, 0);
  const overdue = sagas.reduce((sum, one) => sum + one.overdue, 0);
  const open = dead_letters.reduce((sum, one) => sum + one.open, 0);
  return [
    judge("backlog", waiting === 0, `${waiting} events wait to be published`),
    judge("sagas", overdue === 0, `${overdue} are overdue`),
    judge("dead letters", open === 0, `${open} open`),
  ];
}

async function lookAtInvariants(shop: ShopReader): Promise<Finding[]> {
  const { holds, items } = await shop.get<ActionResult<"auditor.invariants">>("/admin/invariants");
  const broken = items.filter((one) => one.violations > 0).map((one) => one.name);
  const text = holds ? `${items.length} hold` : `broken: ${broken.join(", ")}`;
  return [judge("invariants", holds, text)];
}

function limitsOf(settings: Settings): Finding[] {
  const { RATE_LIMIT_PER_USER_RPS: user, RATE_LIMIT_PER_IP_RPS: ip } = settings;
  const text = `per user ${user}/s, per address ${ip}/s, per node ${settings.RATE_LIMIT_GLOBAL_RPS}/s (0 = off)`;
  if (user === 0) return [warn("limits", `${text}: one buyer may send without end`)];
  return [judge("limits", user >= USER_RPS_MIN, text)];
}
