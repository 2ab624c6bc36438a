// GET /api/v1/seckill/sales/{id}/events: the sale as a stream of events. Answered before the router, for a
// stream outlives every time-out of an action. Streams are bounded by node and by address, and end when
// the node drains.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { PlatformNode } from "../../node.ts";
import { call } from "../../contracts/actions.ts";
import { PlatformError } from "../../contracts/errors.ts";
import { createClientAddress } from "../client-address.ts";
import type { Authenticate } from "../authenticate.ts";
import { sendError } from "../http-errors.ts";
import { nameRoute } from "../request-span.ts";
import { API_PREFIX } from "../route-table.ts";
import { openEventStream } from "./event-stream.ts";
import type { FigureExchange } from "./figure-exchange.ts";
import { createSaleFeed, type FeedPort, type SaleFeed, type Watcher } from "./sale-feed.ts";

const STREAMS_MAX = 2_000;
const STREAMS_PER_ADDRESS_MAX = 20;
const PATH = new RegExp(`^${API_PREFIX}/seckill/sales/([1-9][0-9]{0,18})/events$`);
const ROUTE = "GET /seckill/sales/:id/events";

export interface SaleEvents {
  /** False when the request is not for a stream. */
  take(request: IncomingMessage, response: ServerResponse): boolean;
  nudge(saleId: string, userId: string): void;
  stop(): void;
}

export function createSaleEvents(
  node: PlatformNode,
  authenticate: Authenticate,
  exchange: FigureExchange,
): SaleEvents {
  const { clock, log } = node;
  const port = portOf(node, exchange);
  const addressOf = createClientAddress(node.settings.TRUSTED_PROXIES);
  const feeds = new Map<string, SaleFeed>();
  const open = new Map<Watcher, string>();
  const byAddress = new Map<string, number>();

  async function watch(
    saleId: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { token, principal } = authenticate(request, "optional");
    const address = addressOf(request.socket.remoteAddress, forwardedFor(request));
    takePlace(address);
    response.once("close", () => {
      leavePlace(address);
    });
    const sale = await port.sale(saleId);
    if (response.destroyed) return;
    const stream = openEventStream(response, () => {
      open.delete(watcher);
      if (feeds.get(saleId)?.remove(watcher) !== 0) return;
      feeds.get(saleId)?.stop();
      feeds.delete(saleId);
    });
    const watcher: Watcher = { stream, token, userId: principal?.userId };
    open.set(watcher, saleId);
    const feed = feeds.get(saleId) ?? createSaleFeed({ port, clock, log }, sale);
    feeds.set(saleId, feed);
    feed.add(watcher);
  }

  function takePlace(address: string): void {
    const here = byAddress.get(address) ?? 0;
    if (open.size >= STREAMS_MAX || here >= STREAMS_PER_ADDRESS_MAX) {
      throw new PlatformError("OVERLOADED");
    }
    byAddress.set(address, here + 1);
  }

  function leavePlace(address: string): void {
    const here = (byAddress.get(address) ?? 1) - 1;
    if (here === 0) byAddress.delete(address);
    else byAddress.set(address, here);
  }

  return {
    take(request, response) {
      const saleId = request.method === "GET" ? PATH.exec(request.url ?? "")?.[1] : undefined;
      if (saleId === undefined) return false;
      nameRoute(response, ROUTE);
      watch(saleId, request, response).catch((error: unknown) => {
        sendError(request, response, error);
      });
      return true;
    },
    nudge: (saleId, userId) => feeds.get(saleId)?.nudge(userId),
    stop() {
      for (const { stream } of open.keys()) stream.end();
      for (const feed of feeds.values()) feed.stop();
    },
  };
}

function forwardedFor({ headers }: IncomingMessage): string | undefined {
  const value = headers["x-forwarded-for"];
  return typeof value === "string" ? value : value?.join(",");
}

function portOf({ broker }: PlatformNode, exchange: FigureExchange): FeedPort {
  return {
    sale: (id) => call(broker, "seckill.getSale", { id }),
    async orders(id) {
      const { statuses } = await call(broker, "order.ofSale", { sale_id: id });
      return Object.fromEntries(statuses.map(({ status, orders }) => [status, orders]));
    },
    mine: (id, token) => call(broker, "seckill.mine", { id }, { meta: { token } }),
    figures: (id) => exchange.of(id),
  };
}
