// A running benchmark: the platform, the floors beside it and the load, and the way back.
import { type Connection, createConnection } from "mysql2/promise";
import { BenchChild } from "./child-process.ts";
import { type CaseName, casesOf } from "./cases.ts";
import {
  countRows,
  createFloorSchemas,
  FLOOR_OWNERS,
  type FloorOwner,
  type RowCounts,
} from "./floor-schemas.ts";
import type { FloorParams } from "./floor-trade.ts";
import type { LoadParams } from "./load.ts";
import type { MeasuredShop } from "./measured-shop.ts";
import { measure, measureIdle, type Sample, type Subject } from "./measure.ts";
import type { ReserveParams } from "./floor-reserve.ts";
import { mysqlLogin } from "./mysql-login.ts";

const IDLE_SECONDS = 2;
/** Long enough for a unit of the slowest case. */
const ROW_CHECK_SECONDS = 1;
const MS_PER_S = 1_000;

type Schemas = Readonly<Record<FloorOwner, string>>;

/** Rows that one complete order leaves in a table. */
export interface RowsPerOrder {
  readonly table: string;
  readonly product: number;
  readonly floor: number;
}

export class Session {
  readonly shop: MeasuredShop;
  readonly cases: ReadonlyMap<CaseName, Subject>;
  readonly #admin: Connection;
  readonly #children: readonly BenchChild[];
  readonly #schemas: { readonly floor: Schemas; readonly product: Schemas };

  private constructor(parts: {
    shop: MeasuredShop;
    cases: ReadonlyMap<CaseName, Subject>;
    admin: Connection;
    children: readonly BenchChild[];
    schemas: { floor: Schemas; product: Schemas };
  }) {
    this.shop = parts.shop;
    this.cases = parts.cases;
    this.#admin = parts.admin;
    this.#children = parts.children;
    this.#schemas = parts.schemas;
  }

  static async open(shop: MeasuredShop, connections: number): Promise<Session> {
    const mysqlUrl = shop.environment["MYSQL_URL"] ?? "";
    const { productIds, skuIds, productText } = await shop.fillCatalogue();
    const admin = await connectAdmin(mysqlUrl);
    const floor = await createFloorSchemas(admin, skuIds);
    const namespace = shop.environment["NAMESPACE"] ?? DEFAULT_NAMESPACE;
    const product = Object.fromEntries(
      FLOOR_OWNERS.map((owner) => [owner, `${namespace}_${owner}`]),
    ) as Schemas;
    const [bare, minimal, trade, reserve, load] = CHILDREN.map((name) => new BenchChild(name)) as [
      BenchChild,
      BenchChild,
      BenchChild,
      BenchChild,
      BenchChild,
    ];
    const urlOf = async (child: BenchChild): Promise<string> =>
      `http://127.0.0.1:${String(await child.ask("listen", { body: productText }))}`;
    const [bareUrl, minimalUrl] = await Promise.all([urlOf(bare), urlOf(minimal)]);
    const { url: shopUrl, buyers } = shop;
    const schemas = { floor, product };
    await trade.ask("prepare", { mysqlUrl, schemas: floor, skuIds } satisfies FloorParams);
    await reserve.ask("prepare", {
      ...{ mysqlUrl, schema: floor.inventory, skuIds, workersMax: connections },
    } satisfies ReserveParams);
    await load.ask("prepare", {
      ...{ shopUrl, bareUrl, minimalUrl, buyers, productIds, skuIds },
      ...{ mysqlUrl, inventorySchema: product.inventory },
    } satisfies LoadParams);
    const children = { bare, minimal, trade, reserve, load };
    const cases = casesOf({ shopPids: shop.pids, connections, ...children });
    return new Session({ shop, cases, admin, children: Object.values(children), schemas });
  }

  async measure(name: CaseName, seconds: number): Promise<Sample> {
    const subject = this.#caseOf(name);
    return await measure(this.#admin, subject, seconds);
  }

  /** Runs a case without looking at it, so that its code is compiled and its connections open. */
  async warmUp(name: CaseName, seconds: number): Promise<void> {
    await this.#runFor(name, seconds);
  }

  /** Units done. @throws when one of them failed. */
  async #runFor(name: CaseName, seconds: number): Promise<number> {
    const { workload, unit, connections } = this.#caseOf(name);
    await workload.start(unit, connections);
    await new Promise((resolve) => setTimeout(resolve, seconds * MS_PER_S));
    await workload.stop();
    const { units, failure } = await workload.mark();
    if (failure !== "") throw new Error(`${name} failed: ${failure}`);
    return units;
  }

  measureIdle(): Promise<Readonly<Record<string, number>>> {
    return measureIdle(this.#admin, this.shop.pids, IDLE_SECONDS);
  }

  /** Whether a complete order of the floor leaves the same rows as one of the product. */
  async compareRows(): Promise<readonly RowsPerOrder[]> {
    const product = await this.#rowsPerOrder("complete", this.#schemas.product);
    const floor = await this.#rowsPerOrder("floorCompleteGrouped", this.#schemas.floor);
    return [...product].map(([table, rows]) => ({
      table,
      product: rows,
      floor: floor.get(table) ?? 0,
    }));
  }

  async #rowsPerOrder(name: CaseName, schemas: Schemas): Promise<RowCounts> {
    const before = await countRows(this.#admin, schemas);
    const units = await this.#runFor(name, ROW_CHECK_SECONDS);
    const after = await countRows(this.#admin, schemas);
    return new Map(
      [...after].map(([table, rows]) => [table, (rows - (before.get(table) ?? 0)) / units]),
    );
  }

  #caseOf(name: CaseName): Subject {
    const subject = this.cases.get(name);
    if (subject === undefined) throw new Error(`no case is named ${name}`);
    return subject;
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.end();
    await this.#admin.end();
  }

  /** Version and flavour of the database server, and what it guarantees at a commit. */
  async describeDatabase(): Promise<string> {
    const [rows] = await this.#admin.query(
      "SELECT VERSION() AS version, @@innodb_flush_log_at_trx_commit AS flush",
    );
    const [first] = rows as { version: string; flush: number | string }[];
    return `${first?.version ?? ""}, innodb_flush_log_at_trx_commit=${first?.flush ?? ""}`;
  }
}

const CHILDREN = [
  "floor-http.ts",
  "floor-moleculer.ts",
  "floor-trade.ts",
  "floor-reserve.ts",
  "load.ts",
] as const;
const DEFAULT_NAMESPACE = "shop";

/** As the operator, to the server the product's platform has started. */
export async function connectAdmin(mysqlUrl: string): Promise<Connection> {
  return await createConnection(mysqlLogin(mysqlUrl));
}
