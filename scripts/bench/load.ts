// The load generator: buyers and visitors over raw keep-alive sockets, one per worker. Each unit of
// work is one journey; an answer that is not the expected one is a failure.
import { randomUUID } from "node:crypto";
import { serveUnits } from "./child-process.ts";
import type { Unit } from "./closed-loop.ts";
import { CommitWatch } from "./commit-watch.ts";
import { HttpSocket, requestText } from "./http-socket.ts";
import type { Buyer } from "./measured-shop.ts";

const API = "/api/v1";
/** Orders that are read again and again, each by its own buyer. */
const READ_ORDERS = 1_000;
const SETUP_SOCKETS = 32;

export interface LoadParams {
  readonly shopUrl: string;
  readonly bareUrl: string;
  readonly minimalUrl: string;
  readonly buyers: readonly Buyer[];
  readonly productIds: readonly string[];
  readonly skuIds: readonly string[];
  /** Of the inventory's schema, to see commits of stock. */
  readonly mysqlUrl: string;
  readonly inventorySchema: string;
}

serveUnits(async (params: LoadParams): Promise<Record<string, Unit>> => {
  const { shopUrl, bareUrl, minimalUrl, buyers, productIds } = params;
  const shop = new Connections(shopUrl);
  const watch = await CommitWatch.open(params.mysqlUrl, params.inventorySchema);
  const trade = new Trade(params, shop, watch);
  const productReads = buyers.map(({ address }, index) =>
    Buffer.from(requestText({ method: "GET", path: productPath(productIds, index), address })),
  );
  const tokens = buyers.map((buyer) =>
    Buffer.from(requestText({ method: "POST", path: `${API}/idempotency-tokens`, ...buyer })),
  );
  const orderIds = await trade.placeMany(READ_ORDERS);
  const orderReads = orderIds.map((id, index) =>
    Buffer.from(requestText({ method: "GET", path: `${API}/orders/${id}`, ...at(buyers, index) })),
  );
  return {
    bare: repeat(new Connections(bareUrl), productReads, 200),
    minimal: repeat(new Connections(minimalUrl), productReads, 200),
    product: repeat(shop, productReads, 200),
    token: repeat(shop, tokens, 201),
    orderRead: repeat(shop, orderReads, 200),
    place: async (worker) => {
      await trade.place(worker);
    },
    complete: (worker) => trade.complete(worker),
  };
});

function productPath(productIds: readonly string[], index: number): string {
  return `${API}/products/${at(productIds, index)}`;
}

function at<T>(list: readonly T[], index: number): T {
  return list[index % list.length] as T;
}

/** One socket per worker. */
class Connections {
  readonly #url: string;
  readonly #sockets = new Map<number, HttpSocket>();

  constructor(url: string) {
    this.#url = url;
  }

  of(worker: number): HttpSocket {
    const known = this.#sockets.get(worker);
    if (known !== undefined) return known;
    const socket = new HttpSocket(this.#url);
    this.#sockets.set(worker, socket);
    return socket;
  }
}

function repeat(connections: Connections, requests: readonly Buffer[], status: number): Unit {
  let next = 0;
  return async (worker) => {
    const answer = await connections.of(worker).send(at(requests, (next += 1)));
    if (answer.status !== status) throw new Error(`${answer.status} ${answer.body}`);
  };
}

/** Placing and paying, each time by the next buyer. */
class Trade {
  readonly #params: LoadParams;
  readonly #shop: Connections;
  readonly #watch: CommitWatch;
  #next = 0;

  constructor(params: LoadParams, shop: Connections, watch: CommitWatch) {
    this.#params = params;
    this.#shop = shop;
    this.#watch = watch;
  }

  /** Orders of the first buyers, in their order. */
  async placeMany(count: number): Promise<readonly string[]> {
    const ids: string[] = [];
    let next = 0;
    const place = async (worker: number): Promise<void> => {
      for (let index = next++; index < count; index = next++) {
        const { id } = await this.#order(worker, at(this.#params.buyers, index));
        ids[index] = id;
      }
    };
    await Promise.all(Array.from({ length: SETUP_SOCKETS }, (_, worker) => place(worker)));
    return ids;
  }

  async place(worker: number): Promise<{ readonly id: string; readonly buyer: Buyer }> {
    return await this.#order(worker, at(this.#params.buyers, (this.#next += 1)));
  }

  /** Until the order is paid and inventory has committed its stock. */
  async complete(worker: number): Promise<void> {
    const { id, buyer } = await this.place(worker);
    const path = `${API}/orders/${id}/pay`;
    const payment = await this.#post(worker, { path, ...buyer, status: 201 });
    const simulatePath = `${API}/payments/${payment.id}/simulate`;
    const body = { outcome: "succeeded" };
    await this.#post(worker, { path: simulatePath, ...buyer, body, status: 202 });
    await this.#watch.committed(id);
  }

  async #order(worker: number, buyer: Buyer): Promise<{ id: string; buyer: Buyer }> {
    const items = [{ sku_id: at(this.#params.skuIds, this.#next), quantity: 1 }];
    const request = { path: `${API}/orders`, ...buyer, key: randomUUID(), body: { items } };
    const { id } = await this.#post(worker, { ...request, status: 201 });
    return { id, buyer };
  }

  async #post(
    worker: number,
    request: { path: string; token: string; address: string; status: number } & Extra,
  ): Promise<{ readonly id: string }> {
    const text = requestText({ method: "POST", ...request });
    const answer = await this.#shop.of(worker).send(text);
    if (answer.status !== request.status) throw new Error(`${answer.status} ${answer.body}`);
    return (JSON.parse(answer.body) as { data: { id: string } }).data;
  }
}

interface Extra {
  readonly key?: string;
  readonly body?: object;
}
