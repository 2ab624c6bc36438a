// What a sale is measured on: the platform, the floors beside it on the same servers, and the crowd.
import { readFileSync } from "node:fs";
import type { Connection } from "mysql2/promise";
import { BenchChild } from "../child-process.ts";
import { createSchema } from "../floor-schemas.ts";
import type { MeasuredShop } from "../measured-shop.ts";
import { type CpuReading, cpuBetween, readCpu } from "../process-cpu.ts";
import { connectAdmin } from "../session.ts";
import type { PeopleParams, TimetableParams, VisitParams } from "./crowd.ts";
import type { Heard } from "./crowd-ear.ts";
import type { AdmissionParams } from "./floor-admission.ts";
import type { GatewayParams } from "./floor-gateway.ts";
import type { RowsParams } from "./floor-rows.ts";
import type { SkeletonParams } from "./floor-skeleton.ts";
import type { WorkerParams } from "./floor-worker.ts";
import { Sales, type Schemas } from "./sales.ts";

const DEFAULT_NAMESPACE = "shop";
/** Far above the ids that anything else of the benchmark makes. */
const FIRST_PERSON_ID = 9_200_000_000_000_000_000n;
const VISITS_MS_MAX = 300_000;
const US_PER_MS = 1_000;
const KIB_PER_MIB = 1_024;

const FLOOR_SCHEMAS: Schemas = { seckill: "bench_sale_seckill", order: "bench_sale_order" };
/** Of the servers that floors share with the idle platform. */
const SHARED = ["mysql", "redis", "nats"] as const;

/** CPU microseconds by process between two looks, and what passed. */
export interface Spent {
  readonly cpuUs: Readonly<Record<string, number>>;
  readonly elapsedMs: number;
  /** Monotonic clock, microseconds. */
  readonly fromUs: number;
  readonly untilUs: number;
}

interface Children {
  readonly crowd: BenchChild;
  readonly bare: BenchChild;
  readonly skeleton: BenchChild;
  readonly gateway: BenchChild;
  readonly admission: BenchChild;
  readonly worker: BenchChild;
  readonly rows: BenchChild;
}

export interface Urls {
  readonly shop: string;
  readonly bare: string;
  readonly skeleton: string;
  readonly floor: string;
}

export class Stage {
  readonly shop: MeasuredShop;
  readonly sales: Sales;
  readonly schemas: { readonly product: Schemas; readonly floor: Schemas };
  readonly urls: Urls;
  readonly children: Children;
  readonly #admin: Connection;
  #people = 0;
  #peopleHere = 0;
  #floorSale = 100;

  private constructor(parts: {
    shop: MeasuredShop;
    sales: Sales;
    product: Schemas;
    urls: Urls;
    children: Children;
    admin: Connection;
  }) {
    this.shop = parts.shop;
    this.sales = parts.sales;
    this.schemas = { product: parts.product, floor: FLOOR_SCHEMAS };
    this.urls = parts.urls;
    this.children = parts.children;
    this.#admin = parts.admin;
  }

  static async build(shop: MeasuredShop): Promise<Stage> {
    const { environment } = shop;
    const mysqlUrl = environment["MYSQL_URL"] ?? "";
    const redisUrl = environment["REDIS_URL"] ?? "";
    const natsUrl = environment["NATS_URL"] ?? "";
    const jwtSecret = environment["JWT_SECRET"] ?? "";
    const namespace = environment["NAMESPACE"] ?? DEFAULT_NAMESPACE;
    const { skuIds } = await shop.fillCatalogue();
    const admin = await connectAdmin(mysqlUrl);
    await createSchema(admin, "seckill", FLOOR_SCHEMAS.seckill);
    await createSchema(admin, "order", FLOOR_SCHEMAS.order);
    const children: Children = {
      crowd: new BenchChild("sale/crowd.ts"),
      bare: new BenchChild("floor-http.ts"),
      skeleton: new BenchChild("sale/floor-skeleton.ts"),
      gateway: new BenchChild("sale/floor-gateway.ts"),
      admission: new BenchChild("sale/floor-admission.ts"),
      worker: new BenchChild("sale/floor-worker.ts"),
      rows: new BenchChild("sale/floor-rows.ts"),
    };
    const schemas = { admissionSchema: FLOOR_SCHEMAS.seckill, orderSchema: FLOOR_SCHEMAS.order };
    const body =
      '{"code":0,"message":"OK","data":{"order_id":"1234567890123456789","status":"queued"}}';
    const listen = async (child: BenchChild, params: object): Promise<string> =>
      `http://127.0.0.1:${String(await child.ask("listen", params))}`;
    const forAdmission = { mysqlUrl, schema: FLOOR_SCHEMAS.seckill, redisUrl, natsUrl, namespace };
    await children.admission.ask("prepare", forAdmission satisfies AdmissionParams);
    await children.worker.ask("prepare", {
      ...{ mysqlUrl, natsUrl, namespace, ...schemas },
    } satisfies WorkerParams);
    await children.rows.ask("prepare", { mysqlUrl, ...schemas } satisfies RowsParams);
    const urls = {
      shop: shop.url,
      bare: await listen(children.bare, { body }),
      skeleton: await listen(children.skeleton, {
        ...{ jwtSecret, redisUrl, namespace },
      } satisfies SkeletonParams),
      floor: await listen(children.gateway, {
        ...{ jwtSecret, natsUrl, namespace },
      } satisfies GatewayParams),
    };
    const product = { seckill: `${namespace}_seckill`, order: `${namespace}_order` };
    const sales = new Sales({ shop, admin, skuIds, schemas: product });
    return new Stage({ shop, sales, product, urls, children, admin });
  }

  /** People of the last crowd. */
  get peopleHere(): number {
    return this.#peopleHere;
  }

  /** Makes a crowd of people nobody has seen before. */
  async gather(count: number): Promise<void> {
    this.#peopleHere = count;
    const firstId = String(FIRST_PERSON_ID + BigInt(this.#people));
    this.#people += count;
    const jwtSecret = this.shop.environment["JWT_SECRET"] ?? "";
    await this.children.crowd.ask("people", { jwtSecret, firstId, count } satisfies PeopleParams);
  }

  async visit(params: VisitParams): Promise<Heard> {
    return (await this.children.crowd.ask("closed", params, VISITS_MS_MAX)) as Heard;
  }

  async visitOnTime(params: TimetableParams): Promise<Heard> {
    return (await this.children.crowd.ask("timetable", params, VISITS_MS_MAX)) as Heard;
  }

  /** Sales of floor F. */
  async openFloorSales(count: number, units: number): Promise<readonly string[]> {
    const ids = Array.from({ length: count }, () => String((this.#floorSale += 1)));
    for (const id of ids) await this.children.admission.ask("open", { id, units });
    return ids;
  }

  /** CPU time of these processes, by name, while the work goes on. */
  async watch<T>(
    pids: ReadonlyMap<string, number>,
    work: () => Promise<T>,
  ): Promise<{ readonly value: T; readonly spent: Spent }> {
    const before = new Map([...pids].map(([name, pid]) => [name, readCpu(pid)]));
    const fromUs = monotonicUs();
    const value = await work();
    const untilUs = monotonicUs();
    const cpuUs = [...pids].map(([name, pid]) => {
      const none: CpuReading = new Map();
      return [name, cpuBetween(before.get(name) ?? none, readCpu(pid))] as const;
    });
    const elapsedMs = (untilUs - fromUs) / US_PER_MS;
    return { value, spent: { cpuUs: Object.fromEntries(cpuUs), elapsedMs, fromUs, untilUs } };
  }

  get productPids(): ReadonlyMap<string, number> {
    return new Map([...this.shop.pids, ["crowd", this.children.crowd.pid]]);
  }

  get floorPids(): ReadonlyMap<string, number> {
    const { gateway, admission, worker } = this.children;
    return new Map([
      ["gateway", gateway.pid],
      ["admission", admission.pid],
      ["floorWorker", worker.pid],
      ...this.sharedPids,
    ]);
  }

  /** The servers, and the crowd. */
  get sharedPids(): ReadonlyMap<string, number> {
    const shared = SHARED.map((name) => [name, this.shop.pids.get(name) ?? 0] as const);
    return new Map([...shared, ["crowd", this.children.crowd.pid]]);
  }

  /** Resident memory by process, MiB. */
  memory(): Readonly<Record<string, number>> {
    const sizes = [...this.shop.pids].map(([name, pid]) => [name, residentMib(pid)] as const);
    return Object.fromEntries(sizes);
  }

  async describeDatabase(): Promise<string> {
    const [rows] = await this.#admin.query(
      "SELECT VERSION() AS version, @@innodb_flush_log_at_trx_commit AS flush",
    );
    const [first] = rows as { version: string; flush: number | string }[];
    return `${first?.version ?? ""}, innodb_flush_log_at_trx_commit=${first?.flush ?? ""}`;
  }

  async close(): Promise<void> {
    for (const child of Object.values(this.children) as BenchChild[]) child.end();
    await this.#admin.end();
  }
}

/** As V8 stamps its profiles. */
function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

function residentMib(pid: number): number {
  try {
    const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
    return Number(kib) / KIB_PER_MIB;
  } catch {
    return 0;
  }
}
