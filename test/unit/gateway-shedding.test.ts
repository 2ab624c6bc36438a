// A gateway with too much to do refuses browsing first and callbacks of payment providers never.
import assert from "node:assert/strict";
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  request as sendRequest,
  type Server,
} from "node:http";
import type { AddressInfo } from "node:net";
import { isPlatformError } from "../../services/contracts/errors.ts";
import type { QuickAnswer } from "../../services/gateway/answer-tally.ts";
import { SECURITY_HEADERS } from "../../services/gateway/preflight.ts";
import { createRouteFinder, publicRoutes } from "../../services/gateway/route-table.ts";
import { createShedEarly } from "../../services/gateway/shed-early.ts";
import { createShedding, type Rank, rankOf } from "../../services/gateway/shedding.ts";
import { systemClock } from "../../services/kernel/clock.ts";

const RANKS: readonly Rank[] = ["browse", "reserve", "pay", "callback"];
const MANY = 5_000;
/** A body that begins and does not end. */
const UNFINISHED = "{ …";

function busyGateway(lag = 0) {
  const refused: string[] = [];
  const shedding = createShedding(
    { lagShare: () => lag },
    { increment: (_name, labels) => void refused.push(String(labels?.["rank"])) },
  );
  const isTaken = (rank: Rank): boolean => {
    try {
      shedding.enter(rank);
      return true;
    } catch (error) {
      assert.ok(isPlatformError(error, "OVERLOADED"));
      return false;
    }
  };
  return { shedding, refused, isTaken };
}

describe("a gateway with too much to do", () => {
  it("takes everything while it has little to do", () => {
    const { shedding, isTaken } = busyGateway();
    for (let n = 0; n < MANY; n += 1) shedding.enter("browse")();
    assert.deepEqual(RANKS.map(isTaken), [true, true, true, true]);
  });

  it("refuses the lower ranks first as more requests are under way", () => {
    const { shedding, isTaken, refused } = busyGateway();
    const firstRefused: Rank[] = [];
    for (let n = 0; n < MANY; n += 1) {
      for (const rank of RANKS) {
        if (!firstRefused.includes(rank) && !isTaken(rank)) firstRefused.push(rank);
      }
      shedding.enter("callback");
      if (firstRefused.length === 3) break;
    }
    assert.deepEqual(firstRefused, ["browse", "reserve", "pay"]);
    assert.deepEqual(refused, firstRefused);
    assert.ok(isTaken("callback"));
  });

  it("takes them again when the ones before have been answered", () => {
    const { shedding, isTaken } = busyGateway();
    const leave: (() => void)[] = [];
    while (isTaken("browse")) leave.push(shedding.enter("callback"));
    leave.forEach((one) => {
      one();
    });
    assert.ok(isTaken("browse"));
  });

  it("refuses by the lag of its event loop, and callbacks never", () => {
    assert.deepEqual(RANKS.map(busyGateway(0.45).isTaken), [false, true, true, true]);
    assert.deepEqual(RANKS.map(busyGateway(1).isTaken), [false, false, true, true]);
    assert.deepEqual(RANKS.map(busyGateway(50).isTaken), [false, false, false, true]);
  });

  it("ranks every public route, and only providers' callbacks highest", () => {
    const ranks = new Map(publicRoutes().map((route) => [route.action, rankOf(route)]));
    const of = (rank: Rank) => [...ranks].filter(([, one]) => one === rank).map(([name]) => name);
    assert.deepEqual(of("callback"), ["gateway.receiveCallback"]);
    for (const action of ["order.pay", "order.payByPayment", "payment.simulate"]) {
      assert.equal(ranks.get(action), "pay", action);
    }
    assert.equal(ranks.get("order.get"), "pay", "what is about to be paid");
    assert.equal(ranks.get("gateway.watchSale"), "pay", "limited by itself");
    for (const action of ["order.place", "order.cancel", "seckill.buy", "seckill.mine"]) {
      assert.equal(ranks.get(action), "reserve", action);
    }
    assert.equal(ranks.get("product.list"), "browse");
    assert.equal(ranks.get("auditor.invariants"), "pay", "an operator's");
  });
});

describe("a request that is refused before the router", () => {
  const { shedding } = busyGateway();
  const told: QuickAnswer[] = [];
  const shedEarly = createShedEarly({
    findRoute: createRouteFinder(publicRoutes()),
    shedding,
    clock: systemClock,
    corsOf: (origin) => ["Access-Control-Allow-Origin", origin],
    tell: (answer) => void told.push(answer),
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let server: Server;
  const leave: (() => void)[] = [];

  before(async () => {
    server = createServer((request, response) => {
      if (shedEarly(request, response)) return;
      request.resume();
      response.end("router");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    while (shedding.refusalOf("reserve") === undefined) leave.push(shedding.enter("callback"));
  });

  after(() => {
    agent.destroy();
    server.close();
  });

  interface Sent {
    readonly status: number;
    readonly text: string;
    readonly port: number;
    readonly headers: IncomingHttpHeaders;
  }

  async function send(method: string, path: string, body = "", given: OutgoingHttpHeaders = {}) {
    const { port } = server.address() as AddressInfo;
    const to = { host: "127.0.0.1", port, method, path, agent, headers: given };
    return await new Promise<Sent>((resolve, reject) => {
      const sent = sendRequest(to, (answer) => {
        const { statusCode: status = 0, headers, socket } = answer;
        const from = socket.localPort ?? 0;
        let text = "";
        answer.setEncoding("utf8").on("data", (part: string) => (text += part));
        answer.on("end", () => {
          resolve({ status, text, port: from, headers });
        });
      });
      sent.on("error", reject);
      if (body === UNFINISHED) sent.write("{");
      else sent.end(body);
    });
  }

  it("is answered in the envelope, told when to come back, and keeps its connection", async () => {
    const first = await send("POST", "/api/v1/orders", '{"items":[]}');
    const second = await send("GET", "/api/v1/products?limit=5");
    assert.deepEqual([first.status, second.status], [503, 503]);
    assert.equal((JSON.parse(first.text) as { error: string }).error, "OVERLOADED");
    assert.match(first.headers["retry-after"] ?? "", /^[1-9]/);
    assert.equal(first.port, second.port);
  });

  it("carries what every answer carries, and is told of", async () => {
    told.length = 0;
    const origin = "https://shop.example";
    const given = { "x-request-id": "a-client-of-ours", origin };
    const { headers, text } = await send("POST", "/api/v1/orders", "{}", given);
    assert.equal(headers["x-request-id"], given["x-request-id"]);
    assert.equal((JSON.parse(text) as { request_id: string }).request_id, given["x-request-id"]);
    assert.equal(headers["access-control-allow-origin"], origin);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      assert.equal(headers[name.toLowerCase()], value, name);
    }
    assert.deepEqual(
      told.map(({ method, route, status, requestId }) => ({ method, route, status, requestId })),
      [{ method: "POST", route: "POST /orders", status: 503, requestId: given["x-request-id"] }],
    );
  });

  it("loses its connection when its body has not come", async () => {
    const refused = await send("POST", "/api/v1/orders", UNFINISHED);
    assert.deepEqual([refused.status, refused.headers.connection], [503, "close"]);
  });

  it("is no payment, no callback, and nothing that no route knows", async () => {
    for (const path of ["/orders/17/pay", "/payments/callbacks/mock", "/nothing", "/orders/17/x"]) {
      assert.equal((await send("POST", `/api/v1${path}`, "{}")).text, "router", path);
    }
    assert.equal((await send("GET", "/healthz")).text, "router");
  });

  it("is refused no longer when there is less to do", async () => {
    for (const one of leave) one();
    assert.equal((await send("POST", "/api/v1/orders", "{}")).text, "router");
  });
});

describe("the route of a request", () => {
  it("is found for each of them by any values of its parameters", () => {
    const routes = publicRoutes();
    const findRoute = createRouteFinder(routes);
    for (const { label, rest } of routes) {
      const url = `/api/v1${rest.path.replaceAll(/:\w+/g, "17")}?x=1`;
      const found = findRoute({ method: rest.method, url });
      assert.ok(found !== undefined, label);
      assert.equal(found.label, label);
    }
  });
});
