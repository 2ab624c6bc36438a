// Group commit against one transaction per reservation: the inventory's own reserver on MariaDB
// alone, once shared by all workers and once with a queue for each of them, so that every batch is
// one order. Units `<way>Hot` fight for one SKU, `<way>Spread` buy different ones.
import { createLog } from "../../mixins/log.ts";
import { createDatabase } from "../../mixins/database/mysql-database.ts";
import { createReserver, type Reserver } from "../../services/inventory/reserve.ts";
import { createSoldOutMarks } from "../../services/inventory/sold-out-marks.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { noFailpoint } from "../../services/kernel/failpoint.ts";
import { serveUnits } from "./child-process.ts";
import type { Unit } from "./closed-loop.ts";
import { mysqlLogin } from "./mysql-login.ts";

/** All connections are opened at once, and one transaction each makes a long queue for one row. */
const PATIENCE_MS = 10_000;

export interface ReserveParams {
  readonly mysqlUrl: string;
  readonly schema: string;
  readonly skuIds: readonly string[];
  /** Workers at most; as many connections, so that no transaction waits for one. */
  readonly workersMax: number;
}

serveUnits(({ mysqlUrl, schema, skuIds, workersMax }: ReserveParams) => {
  const log = createLog("fatal", {});
  const database = createDatabase({
    ...mysqlLogin(mysqlUrl),
    schema,
    poolSize: workersMax,
    acquireTimeoutMs: PATIENCE_MS,
    queryTimeoutMs: PATIENCE_MS,
    log,
  });
  const marks = createSoldOutMarks(systemClock, () => undefined);
  const make = (): Reserver =>
    createReserver({ database, marks, failpoint: noFailpoint, onChanged: () => undefined });
  const shared = make();
  const own = Array.from({ length: workersMax }, make);
  let lastId = BigInt(Date.now()) << 21n;
  const unit =
    (reserverOf: (worker: number) => Reserver, skus: readonly string[]): Unit =>
    async (worker) => {
      const orderId = String((lastId += 1n));
      const skuId = skus[Number(lastId % BigInt(skus.length))] ?? "";
      await reserverOf(worker).reserve(orderId, [{ skuId, quantity: 1 }]);
    };
  const ownOf = (worker: number): Reserver => own[worker] ?? shared;
  const hot = skuIds.slice(0, 1);
  const units: Record<string, Unit> = {
    groupedHot: unit(() => shared, hot),
    singleHot: unit(ownOf, hot),
    groupedSpread: unit(() => shared, skuIds),
    singleSpread: unit(ownOf, skuIds),
  };
  return Promise.resolve(units);
});
