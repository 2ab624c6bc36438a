// What an operator changes while the shop runs: switches, lists of buyers, limits, API clients. It keeps
// them and tells them; what they mean is done where it counts (mixins/rules, the gateway).
import type { ServiceSchema } from "moleculer";
import { repeatEvery } from "../../mixins/channels/repeat.ts";
import type { Database } from "../../mixins/database/database.ts";
import { implement } from "../../mixins/service.ts";
import { PlatformError, type FieldFault } from "../contracts/errors.ts";
import {
  operationsContract,
  RULES_HINT_EVENT,
  type Switch,
  SWITCHES,
  type SwitchName,
} from "../contracts/operations.ts";
import { must } from "../kernel/assert.ts";
import type { PlatformNode } from "../node.ts";
import { listFaults, targetFaults } from "./domain/rule.ts";
import {
  clientOf,
  limitOf,
  listApiClients,
  listBuyers,
  listChanges,
  listLimits,
} from "./rule-lists.ts";
import { purgeRules, RETENTION_INTERVAL_MS } from "./rule-retention.ts";
import { createRuleRepository, type RuleRepository, type RuleRow } from "./rule.repository.ts";

const EXPIRY_INTERVAL_MS = 500;
/** A switch that a threshold turned on stays on this long after the last time it was passed. */
const TRIP_S = 60;
const SHOP_WIDE = "";

export function wire(node: PlatformNode): ServiceSchema {
  const { broker, log } = node;
  const database = node.database("operations");
  const rules = createRuleRepository(database);
  const hint = (): void => {
    broker.broadcast(RULES_HINT_EVENT).catch((error: unknown) => {
      log.debug({ err: error }, "hint of changed rules was not sent");
    });
  };
  const expiry = repeatEvery(EXPIRY_INTERVAL_MS, log, async () => {
    if ((await rules.expire()) > 0) hint();
  });
  const retention = repeatEvery(RETENTION_INTERVAL_MS, log, async () => {
    await purgeRules(database);
  });
  return {
    ...createOperationsService({ database, rules, hint }),
    started() {
      expiry.start();
      retention.start();
    },
    async stopped() {
      await Promise.all([expiry.stop(), retention.stop()]);
    },
  };
}

interface OperationsParts {
  readonly database: Database;
  readonly rules: RuleRepository;
  /** Tells all nodes that something has changed. */
  readonly hint: () => void;
}

function createOperationsService({ database, rules, hint }: OperationsParts): ServiceSchema {
  const change: RuleRepository["change"] = async (wanted) => {
    await rules.change(wanted);
    hint();
  };
  return {
    name: "operations",
    actions: implement(operationsContract, {
      listSwitches: async () => ({ items: withAll(await rules.switches()) }),
      async setSwitch({ params, principal: { userId: changedBy } }) {
        const { name, target, is_on: isOn, reason, expires_in_s: expiresInS } = params;
        refuse(targetFaults(name, target));
        await change({
          kind: name,
          target: target ?? SHOP_WIDE,
          userIds: [""],
          isOn,
          reason,
          source: "admin",
          changedBy,
          ...(isOn && expiresInS !== undefined ? { expiresInS } : {}),
        });
        return switchOf(must(await rules.find(name, target ?? SHOP_WIDE), "the switch just set"));
      },
      listRuleChanges: ({ params }) => listChanges(database, params),
      listBuyers: ({ params }) => listBuyers(database, params),
      async changeBuyers({ params, principal: { userId: changedBy } }) {
        const { list, sale_id: saleId, user_ids: userIds, is_listed: isOn, reason } = params;
        refuse(listFaults(list, saleId));
        const target = saleId ?? SHOP_WIDE;
        await change({ kind: list, target, userIds, isOn, reason, source: "admin", changedBy });
        return { changed: userIds.length };
      },
      listPurchaseLimits: ({ params }) => listLimits(database, params),
      async setPurchaseLimit({ params, principal: { userId: changedBy } }) {
        const { sku_id: target, per_order: value, reason } = params;
        await change({
          kind: "limit_sku",
          target,
          userIds: [""],
          isOn: value !== null,
          value,
          reason,
          source: "admin",
          changedBy,
        });
        return limitOf(must(await rules.find("limit_sku", target), "the limit just set"));
      },
      listApiClients: ({ params }) => listApiClients(database, params),
      async setApiClient({ params, principal: { userId: changedBy } }) {
        const { key_id: target, is_active: isOn, reason } = params;
        const kind = "api_client";
        await change({ kind, target, userIds: [""], isOn, reason, source: "admin", changedBy });
        return clientOf(must(await rules.find(kind, target), "the client just set"));
      },
      async trip({ params: { name, target, reason } }) {
        const isTripped = await rules.trip(name, target, { reason, forS: TRIP_S });
        if (isTripped) hint();
        return { is_tripped: isTripped };
      },
      rulesAfter: async ({ params }) => ({ items: await rules.after(params.after_seq) }),
    }),
  };
}

function refuse(faults: readonly FieldFault[]): void {
  if (faults.length > 0) throw new PlatformError("VALIDATION_FAILED", faults);
}

/** The switches of the whole shop are shown before anybody has touched them. */
function withAll(rows: readonly RuleRow[]): Switch[] {
  const known = rows.map(switchOf);
  const untouched = SWITCHES.filter(
    (name) => targetFaults(name, undefined).length === 0 && !known.some((one) => one.name === name),
  );
  return [...untouched.map(offFromTheStart), ...known];
}

function offFromTheStart(name: SwitchName): Switch {
  return {
    name,
    target: null,
    is_on: false,
    reason: null,
    source: null,
    changed_by: null,
    changed_at: null,
    expires_at: null,
  };
}

function switchOf(row: RuleRow): Switch {
  return {
    name: row.kind as SwitchName,
    target: row.target === SHOP_WIDE ? null : row.target,
    is_on: row.is_on === 1,
    reason: row.reason,
    source: row.source,
    changed_by: row.changed_by,
    changed_at: row.changed_at.toISOString(),
    expires_at: row.expires_at?.toISOString() ?? null,
  };
}
