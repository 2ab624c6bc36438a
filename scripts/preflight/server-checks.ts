// What the servers below the shop say before a sale: the gate against the record, clocks, disk, alerts.
import { statfs } from "node:fs/promises";
import { createConnection } from "mysql2/promise";
import { databaseCredentials, schemaName } from "../../config/database.ts";
import type { Settings } from "../../config/schema.ts";
import { createLog } from "../../mixins/log.ts";
import { createRedis, whenRedisReady } from "../../mixins/redis/redis.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { createGate } from "../../services/seckill/gate.store.ts";
import { type Check, type Finding, go, judge, noGo, warn } from "./check.ts";

const CONNECT_TIMEOUT_MS = 3_000;
/** Windows of sales are kept by the servers' clocks; people read this machine's. */
const CLOCK_DIFFERENCE_MAX_MS = 500;
const DISK_FREE_MIN_BYTES = 2 * 1024 ** 3;
const GIB = 1024 ** 3;
const US_PER_MS = 1_000;
const MS_PER_S = 1_000;

export interface ServerParts {
  readonly settings: Settings;
  readonly saleId: string;
  /** Base URL of Prometheus; empty = there is none to ask. */
  readonly prometheusUrl: string;
}

export function serverChecks(parts: ServerParts): readonly Check[] {
  return [
    { what: "gate", look: () => lookAtGate(parts) },
    { what: "alerts", look: () => lookAtAlerts(parts.prometheusUrl) },
    { what: "disk", look: () => lookAtDisk(parts.settings.DATA_DIR) },
  ];
}

interface SaleRow {
  readonly mode: string;
  readonly epoch: number;
  readonly quantity: number;
  readonly admitted: number;
}

async function lookAtGate(parts: ServerParts): Promise<Finding[]> {
  const { settings, saleId } = parts;
  const redis = createRedis(settings.REDIS_URL, { name: "preflight", log: createLog("fatal", {}) });
  const { host, port, user, password } = databaseCredentials(settings, "auditor");
  const connection = await createConnection({ host, port, user, password, timezone: "Z" });
  try {
    if (!(await whenRedisReady(redis, CONNECT_TIMEOUT_MS))) {
      return [noGo("gate", "Redis does not answer: the sale would run through the database")];
    }
    const clocks = await lookAtClocks(connection, await redis.time());
    const [rows] = await connection.query(
      "SELECT mode, epoch, quantity, admitted FROM ??.sales WHERE id = ?",
      [schemaName(settings, "seckill"), saleId],
    );
    const [sale] = rows as SaleRow[];
    if (sale === undefined) return [...clocks, noGo("gate", "the sale has no row")];
    const gate = createGate({ redis, namespace: settings.NAMESPACE, clock: systemClock });
    const state = await gate.state({ saleId, epoch: sale.epoch });
    const room = sale.quantity - sale.admitted;
    const text = `mode ${sale.mode}, epoch ${sale.epoch}: ${state?.stock ?? "no"} units in the gate, ${room} in the record`;
    const isWarm = sale.mode === "redis" && state?.stock === room;
    return [judge("gate", isWarm, text), ...clocks];
  } finally {
    redis.disconnect();
    await connection.end();
  }
}

async function lookAtClocks(
  connection: { query: (sql: string) => Promise<unknown> },
  [seconds, micros]: readonly (number | string)[],
): Promise<Finding[]> {
  const redisMs = Number(seconds) * MS_PER_S + Number(micros) / US_PER_MS - Date.now();
  const answer = (await connection.query(
    "SELECT UNIX_TIMESTAMP(NOW(3)) * 1000 AS ms, @@session.time_zone AS zone",
  )) as [{ ms: string; zone: string }[]];
  const row = answer[0][0];
  const mysqlMs = Number(row?.ms ?? 0) - Date.now();
  const differs = Math.max(Math.abs(redisMs), Math.abs(mysqlMs));
  return [
    judge(
      "clocks",
      differs <= CLOCK_DIFFERENCE_MAX_MS,
      `MySQL ${Math.round(mysqlMs)} ms, Redis ${Math.round(redisMs)} ms against this machine; MySQL in zone ${row?.zone ?? ""}`,
    ),
  ];
}

interface PrometheusRules {
  readonly data: {
    readonly groups: readonly {
      readonly rules: readonly { type: string; name: string; state?: string }[];
    }[];
  };
}

async function lookAtAlerts(prometheusUrl: string): Promise<Finding[]> {
  if (prometheusUrl === "") {
    return [warn("alerts", "not looked at: give --prometheus http://host:9090")];
  }
  const response = await fetch(new URL("/api/v1/rules", prometheusUrl), {
    signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS),
  });
  const { data } = (await response.json()) as PrometheusRules;
  const alerts = data.groups.flatMap(({ rules }) => rules).filter((one) => one.type === "alerting");
  const firing = alerts.filter((one) => one.state === "firing").map((one) => one.name);
  if (firing.length > 0) return [noGo("alerts", `firing: ${firing.join(", ")}`)];
  return [judge("alerts", alerts.length > 0, `${alerts.length} loaded, none fires`)];
}

async function lookAtDisk(folder: string): Promise<Finding[]> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const text = `${(free / GIB).toFixed(1)} GiB free at ${folder}`;
  return free >= DISK_FREE_MIN_BYTES ? [go("disk", text)] : [noGo("disk", text)];
}
