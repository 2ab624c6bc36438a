// Sales of the measured shop, made and watched as an operator would: over its API, and in its database
// where asking the API would cost what is measured.
import { setTimeout as delay } from "node:timers/promises";
import type { Connection, RowDataPacket } from "mysql2/promise";
import { HttpSocket, requestText } from "../http-socket.ts";
import type { Buyer, MeasuredShop } from "../measured-shop.ts";

const API = "/api/v1";
const PRICE = 1_999;
const LASTS_MS = 3_600_000;
const FAR_AHEAD_MS = 86_400_000;
const ADMINS = 32;
const SOCKETS = 4;
const LOOK_INTERVAL_MS = 25;
const OPEN_WAIT_MS_MAX = 15_000;
const ROWS_WAIT_MS_MAX = 120_000;
const MS_PER_S = 1_000;
/** Gateways learn of a new sale within this time, by their own poll. */
const SNAPSHOT_INTERVAL_MS = 600;

export interface SaleOrder {
  readonly count: number;
  readonly units: number;
  /** Opens in a day; nobody can buy. */
  readonly isAhead?: boolean;
}

export interface Schemas {
  readonly seckill: string;
  readonly order: string;
}

export class Sales {
  readonly #shop: MeasuredShop;
  readonly #admin: Connection;
  readonly #skuIds: readonly string[];
  readonly #schemas: Schemas;

  constructor(parts: {
    shop: MeasuredShop;
    admin: Connection;
    skuIds: readonly string[];
    schemas: Schemas;
  }) {
    this.#shop = parts.shop;
    this.#admin = parts.admin;
    this.#skuIds = parts.skuIds;
    this.#schemas = parts.schemas;
  }

  /** Published sales whose gate is loaded and of which the gateway knows. */
  async open(order: SaleOrder): Promise<readonly string[]> {
    const admins = this.#shop.people("admin", ADMINS);
    const ids: string[] = [];
    let next = 0;
    const work = async (): Promise<void> => {
      const socket = new HttpSocket(this.#shop.url);
      for (let index = next++; index < order.count; index = next++) {
        ids[index] = await this.#openOne(socket, admins[index % ADMINS] as Buyer, {
          ...order,
          index,
        });
      }
      socket.close();
    };
    await Promise.all(Array.from({ length: SOCKETS }, work));
    await this.#untilLoaded(ids);
    await delay(SNAPSHOT_INTERVAL_MS);
    return ids;
  }

  async #openOne(
    socket: HttpSocket,
    admin: Buyer,
    { units, isAhead = false, index }: SaleOrder & { readonly index: number },
  ): Promise<string> {
    const startMs = Date.now() + (isAhead ? FAR_AHEAD_MS : 0);
    const body = {
      sku_id: this.#skuIds[index % this.#skuIds.length],
      price: PRICE,
      quantity: units,
      start_at: new Date(startMs).toISOString(),
      end_at: new Date(startMs + LASTS_MS).toISOString(),
      title: "Measured",
    };
    const { id } = await post(socket, admin, { path: "/seckill/sales", body });
    await post(socket, admin, { path: `/seckill/sales/${id}/publish` });
    return id;
  }

  async #untilLoaded(ids: readonly string[]): Promise<void> {
    const text = `SELECT COUNT(*) AS n FROM \`${this.#schemas.seckill}\`.sales
      WHERE id IN (?) AND mode = 'redis'`;
    await this.#until(OPEN_WAIT_MS_MAX, "the gates are not loaded", async () => {
      return (await this.#count(text, [ids])) === ids.length;
    });
  }

  /** Resolves with the rows once the orders of these sales are all there. */
  async untilOrdered(schema: string, ids: readonly string[], rows: number): Promise<void> {
    const text = `SELECT COUNT(*) AS n FROM \`${schema}\`.orders WHERE sale_id IN (?)`;
    await this.#until(ROWS_WAIT_MS_MAX, `there are no ${rows} orders`, async () => {
      return (await this.#count(text, [ids])) >= rows;
    });
  }

  /** Resolves when no event waits to be published. */
  async untilPublished(schemas: readonly string[]): Promise<void> {
    const text = schemas
      .map(
        (schema) => `(SELECT COUNT(*) FROM (SELECT 1 FROM \`${schema}\`.outbox
          WHERE published_at IS NULL LIMIT 1) AS some)`,
      )
      .join(" + ");
    await this.#until(ROWS_WAIT_MS_MAX, "events are not published", async () => {
      return (await this.#count(`SELECT ${text} AS n`, [])) === 0;
    });
  }

  /** Orders a second from the first ones that are seen to the last. */
  async drainRate(schema: string, ids: readonly string[], rows: number): Promise<number> {
    let first: { readonly count: number; readonly atMs: number } | undefined;
    let rate = NaN;
    await this.#until(ROWS_WAIT_MS_MAX, `there are no ${rows} orders`, async () => {
      const count = await this.ordersOf(schema, ids);
      const atMs = performance.now();
      if (count > 0) first ??= { count, atMs };
      const passedMs = atMs - (first?.atMs ?? atMs);
      if (passedMs > 0) rate = ((count - (first?.count ?? 0)) * MS_PER_S) / passedMs;
      return count >= rows;
    });
    return rate;
  }

  async ordersOf(schema: string, ids: readonly string[]): Promise<number> {
    return await this.#count(
      `SELECT COUNT(*) AS n FROM \`${schema}\`.orders WHERE sale_id IN (?)`,
      [ids],
    );
  }

  async #until(waitMsMax: number, fault: string, look: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + waitMsMax;
    while (!(await look())) {
      if (performance.now() > deadline) throw new Error(fault);
      await delay(LOOK_INTERVAL_MS);
    }
  }

  async #count(text: string, params: readonly unknown[]): Promise<number> {
    const [rows] = await this.#admin.query<(RowDataPacket & { n: string | number })[]>(text, [
      ...params,
    ]);
    return Number(rows[0]?.n ?? 0);
  }
}

/** The path that buyers post to. */
export function buyPath(saleId: string): string {
  return `${API}/seckill/sales/${saleId}/orders`;
}

async function post(
  socket: HttpSocket,
  admin: Buyer,
  { path, body }: { readonly path: string; readonly body?: object },
): Promise<{ readonly id: string }> {
  const text = requestText({
    ...{ method: "POST", path: `${API}${path}`, ...admin },
    ...(body === undefined ? {} : { body }),
  });
  const answer = await socket.send(text);
  if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${answer.body}`);
  return (JSON.parse(answer.body) as { data: { id: string } }).data;
}
