// The end of a campaign, with no fault under way: the audit of every sale once more, and every invariant of the
// shop with the auditor's own user.
import { type OwnedSchema, databaseCredentials, schemaName } from "../../config/database.ts";
import { prepareInvariants, runInvariant } from "../../mixins/auditor/invariants.ts";
import { createDatabase } from "../../mixins/database/mysql-database.ts";
import { silentLog } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import type { Campaign } from "./records.ts";
import type { Stage } from "./stage.ts";

const SCHEMAS: readonly OwnedSchema[] = [
  "user",
  "product",
  "inventory",
  "order",
  "payment",
  "seckill",
  "provider",
];
const POOL_SIZE = 2;
/** An invariant reads whole tables: of a million orders, for minutes. */
const QUERY_TIMEOUT_MS = 600_000;
/** What a restarted server left undelivered may take so long. */
const QUIESCE_TIMEOUT_MS = 120_000;
const QUIESCE_INTERVAL_MS = 2_000;
const AUDIT_TIMEOUT_MS = 60_000;
const GRACE_S = 60;
const HOLD_MARGIN_S = 600;

export interface FinalAudit {
  readonly salesAudited: number;
  /** Ids of sales that do not add up. */
  readonly broken: readonly string[];
  readonly invariantsChecked: number;
  /** Names of those that do not hold, with their violations. */
  readonly violated: readonly string[];
}

export async function auditEverything(stage: Stage, campaign: Campaign): Promise<FinalAudit> {
  const ids = [...campaign.sales.map(({ saleId }) => saleId), ...campaign.open];
  const broken: string[] = [];
  for (const id of ids) {
    const holds = async (): Promise<boolean> => (await stage.admin.audit(id)).holds;
    const timing = { timeoutMs: AUDIT_TIMEOUT_MS, what: "the audit holds", intervalMs: 500 };
    await eventually(holds, timing).catch(() => broken.push(id));
  }
  const { checked, violated } = await checkInvariants(stage);
  return { salesAudited: ids.length, broken, invariantsChecked: checked, violated };
}

async function checkInvariants({
  settings,
}: Stage): Promise<{ readonly checked: number; readonly violated: readonly string[] }> {
  const database = createDatabase({
    ...databaseCredentials(settings, "auditor"),
    poolSize: POOL_SIZE,
    log: silentLog,
    queryTimeoutMs: QUERY_TIMEOUT_MS,
  });
  const holdS = settings.ORDER_PAYMENT_WINDOW_MS / 1_000 + HOLD_MARGIN_S;
  const invariants = prepareInvariants({
    nameOf: (schema) => schemaName(settings, schema),
    schemas: SCHEMAS,
    times: { graceS: GRACE_S, holdS },
  });
  let violated: readonly string[] = [];
  try {
    await eventually(
      async () => {
        const found: string[] = [];
        for (const invariant of invariants) {
          const { name, violations } = await runInvariant(database, invariant, Date.now);
          if (violations > 0) found.push(`${name}: ${violations}`);
        }
        violated = found;
        return found.length === 0;
      },
      {
        timeoutMs: QUIESCE_TIMEOUT_MS,
        what: "every invariant holds",
        intervalMs: QUIESCE_INTERVAL_MS,
      },
    ).catch((error: unknown) => {
      if (violated.length === 0) throw error;
    });
  } finally {
    await database.close();
  }
  return { checked: invariants.length, violated };
}
