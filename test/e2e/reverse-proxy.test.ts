// The shop as its customers meet it in production: the real nginx, with the file that is deployed, in
// front of the running platform.
import assert from "node:assert/strict";
import { get, type IncomingMessage } from "node:http";
import { availableParallelism } from "node:os";
import type { Sale } from "../../services/contracts/seckill.ts";
import { EventReader } from "../support/event-stream.ts";
import { eventually } from "../support/eventually.ts";
import { type FaultyLink, faultyLink } from "../support/faulty-link.ts";
import { buy, openSale, SALES, whenKnown } from "../support/open-sale.ts";
import { sendRaw } from "../support/raw-http.ts";
import { assertRefusal, type Refusal, refusalOf, ReverseProxy } from "../support/reverse-proxy.ts";
import { API, openShop, Shop, SETTLE_TIMEOUT_MS, signedInAdmin } from "../support/shop.ts";

const STREAMS_PER_ADDRESS_MAX = 20;
const STEP_TIMEOUT_MS = 15_000;
const ASSET = "/docs/assets/swagger-ui.css";
/** More than nginx lets through at once, in several pipelines. */
const FLOOD_CONNECTIONS = 8;
const FLOOD_REQUESTS_EACH = 300;
const HTML = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };

describe("the shop behind nginx", function () {
  this.timeout(120_000);
  let link: FaultyLink;
  let nginx: ReverseProxy;
  /** The shared shop, reached through nginx. */
  let front: Shop;
  const streams: { close: () => void }[] = [];

  before(async () => {
    const shop = await openShop();
    link = await faultyLink(shop.url);
    nginx = await ReverseProxy.start(link.port);
    front = new Shop({ url: nginx.url, admin: await signedInAdmin(nginx.url) });
  });
  afterEach(() => {
    link.mend();
    for (const stream of streams.splice(0)) stream.close();
  });
  after(async () => {
    await nginx.stop();
    link.close();
  });

  /** A sale of so many units, and a stream of its events that has begun. */
  const watchedSale = async (quantity: number): Promise<{ sale: Sale; watcher: EventReader }> => {
    const sale = await openSale(front, { quantity });
    await whenKnown(front, sale.id);
    const watcher = await EventReader.open(`${front.url}${SALES}/${sale.id}/events`);
    streams.push(watcher);
    await watcher.when("message", ({ remaining }) => remaining === quantity);
    return { sale, watcher };
  };

  it("is browsed, signed in to and bought from, and its provider's callback arrives", async () => {
    const { product, skuId } = await front.product(2);
    const seen = await front.visitor().get(`${API}/products/${product.id}`);
    assert.equal(seen.status, 200);
    const buyer = await front.customer();
    const { id } = await front.placed(buyer, skuId);
    const payment = await front.openPayment(buyer, id);
    assert.equal((await front.callback(payment, { tamper: true })).status, 401);
    assert.equal((await front.callback(payment)).status, 204);
    await front.whenOrder(buyer, id, "paid");
  });

  it("shows a sale as it goes, each event when it happens", async () => {
    const { sale, watcher } = await watchedSale(1);
    assert.equal((await buy(await front.customer(), sale.id)).status, 202);
    await watcher.when("message", ({ remaining, sold }) => remaining === 0 && sold === 1);
    assert.ok(!watcher.isEnded);
  });

  it("is reached over few connections that are kept", async () => {
    const before = link.accepted;
    const requests = 20 * availableParallelism();
    for (let at = 0; at < requests; at += 1) {
      assert.equal((await front.visitor().get(`${API}/products`)).status, 200);
    }
    assert.ok(link.accepted - before <= requests / 4, `${link.accepted - before} connections`);
  });

  it("counts a client by the address he comes from, not by the one he claims", async () => {
    const sale = await openSale(front);
    await whenKnown(front, sale.id);
    const url = `${front.url}${SALES}/${sale.id}/events`;
    const watch = async (localAddress: string, claimed: string): Promise<number> => {
      const answer = await open(url, localAddress, claimed);
      streams.push({ close: () => answer.destroy() });
      return answer.statusCode ?? 0;
    };
    for (let at = 1; at <= STREAMS_PER_ADDRESS_MAX; at += 1) {
      assert.equal(await watch("127.0.0.2", `203.0.113.${at}`), 200);
    }
    assert.equal(await watch("127.0.0.2", "203.0.113.99"), 503);
    assert.equal(await watch("127.0.0.3", "127.0.0.2"), 200);
  });

  it("refuses what is too large or cannot be read, in its own words", async () => {
    const post = { method: "POST", body: "x".repeat(33 * 1024) };
    const large = await fetch(`${front.url}${API}/orders`, post);
    assertRefusal(await refusalOf(large), "BODY_TOO_LARGE");
    const long = "a".repeat(17 * 1024);
    const cases = [
      [`GET /${long} HTTP/1.1\r\nHost: shop\r\n\r\n`, "URL_TOO_LONG"],
      [`GET / HTTP/1.1\r\nHost: shop\r\nX-Long: ${long}\r\n\r\n`, "HEADERS_TOO_LARGE"],
      ["TRACE / HTTP/1.1\r\nHost: shop\r\n\r\n", "METHOD_NOT_ALLOWED"],
      ["GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "REQUEST_MALFORMED"],
    ] as const;
    for (const [bytes, slug] of cases) assertRefusal(await rawRefusal(front.url, bytes), slug);
  });

  it("lets the gateway say no to one customer's flood, and says it itself to a larger one", async () => {
    const buyer = await front.customer();
    const many = Array.from({ length: 60 }, () => buyer.get(`${API}/users/me`));
    const refused = (await Promise.all(many)).filter(({ status }) => status === 429);
    assert.equal(refused[0]?.body.error, "RATE_LIMITED");
    assert.equal(refused[0].headers["ratelimit-limit"], "40");

    await (await fetch(front.url + ASSET)).text();
    const request = `GET ${ASSET} HTTP/1.1\r\nHost: shop\r\nIf-None-Match: *\r\n`;
    const last = `${request}Connection: close\r\n\r\n`;
    const flood = `${request}\r\n`.repeat(FLOOD_REQUESTS_EACH) + last;
    await eventually(
      async () => {
        const pipes = Array.from({ length: FLOOD_CONNECTIONS }, () => sendRaw(front.url, flood));
        const statuses = (await Promise.all(pipes)).flatMap((answer) => answer.statuses);
        return statuses.includes(429);
      },
      { timeoutMs: STEP_TIMEOUT_MS, what: "nginx refuses a flood from one address" },
    );
  });

  it("takes a new configuration while it sells: nothing fails and no stream ends", async () => {
    const { sale, watcher } = await watchedSale(2);
    nginx.reload((text) =>
      text.replace(
        "proxy_pass http://edge;",
        'proxy_pass http://edge;\nadd_header X-Reloaded "1";',
      ),
    );
    let failed = 0;
    await eventually(
      async () => {
        const answer = await fetch(`${front.url}${API}/products`).catch(() => undefined);
        if (answer?.status !== 200) failed += 1;
        return answer?.headers.get("x-reloaded") === "1";
      },
      { timeoutMs: STEP_TIMEOUT_MS, what: "the new configuration answers" },
    );
    assert.equal(failed, 0);
    assert.equal((await buy(await front.customer(), sale.id)).status, 202);
    await watcher.when("message", ({ remaining }) => remaining === 1);
  });

  it("tells programs and people that the platform is away, and forgets it when it is back", async () => {
    const style = await (await fetch(front.url + ASSET)).text();
    link.cut();
    const told = await fetch(`${front.url}${API}/products`);
    assert.equal(told.headers.get("retry-after"), "1");
    assertRefusal(await refusalOf(told), "SERVICE_UNAVAILABLE");
    const page = await fetch(`${front.url}/docs`, { headers: HTML });
    assert.deepEqual(
      [page.status, page.headers.get("content-type"), page.headers.get("cache-control")],
      [503, "text/html; charset=utf-8", "no-store"],
    );
    assert.match(await page.text(), /<h1>The shop is away for a moment<\/h1>/);
    assertRefusal(await refusalOf(await fetch(`${front.url}/degraded.html`)), "NOT_FOUND");
    assert.equal(await (await fetch(front.url + ASSET)).text(), style);
    link.mend();
    await eventually(async () => (await fetch(`${front.url}/docs`)).status === 200, {
      timeoutMs: SETTLE_TIMEOUT_MS,
      what: "the platform is back",
    });
  });

  it("had nothing to warn of but what was refused and cut", () => {
    const isBad = /\[(?:emerg|alert|crit)\]|buffered to a temporary/;
    // How many files it may open is the machine's matter.
    const unexpected = nginx.errors
      .split("\n")
      .filter((line) => isBad.test(line) && !line.includes("setrlimit"));
    assert.deepEqual(unexpected, []);
  });
});

/** A GET from another address of the loopback; resolves with the head of the answer. */
function open(url: string, localAddress: string, claimed: string): Promise<IncomingMessage> {
  const headers = { "x-forwarded-for": claimed, forwarded: `for=${claimed}` };
  return new Promise((resolve, reject) => {
    get(url, { localAddress, headers, agent: false }, resolve).on("error", reject);
  });
}

async function rawRefusal(url: string, bytes: string): Promise<Refusal> {
  const { status, headers, text } = await sendRaw(url, bytes);
  const { "content-type": type = "", "x-request-id": requestId = "" } = headers;
  return { status, type, requestId, text };
}
