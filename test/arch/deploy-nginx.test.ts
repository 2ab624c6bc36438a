// The reverse proxy's file in the real nginx, in front of a listener that tells what reached it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { eventually } from "../support/eventually.ts";
import { INSTALL_TIMEOUT_MS } from "../support/program.ts";
import { assertRefusal, refusalOf, ReverseProxy } from "../support/reverse-proxy.ts";

const LOOPBACK = "127.0.0.1";
const CONNECTIONS_ALLOWED = 500;
const UP_TIMEOUT_MS = 5_000;
const LARGER_THAN_ALLOWED = 33 * 1024;

interface Arrived {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly port: number | undefined;
}

describe("nginx.conf in front of a gateway", function () {
  this.timeout(INSTALL_TIMEOUT_MS);
  const arrived: Arrived[] = [];
  let upstream: Server;
  let nginx: ReverseProxy;
  let base = "";
  let endStream = (): void => undefined;

  before(async () => {
    upstream = createServer((request, response) => {
      const { url: path = "", headers, socket } = request;
      arrived.push({ path, headers, port: socket.remotePort });
      if (path.endsWith("/events")) {
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        response.write("data: first\n\n");
        endStream = () => response.end();
        return;
      }
      response.setHeader("Cache-Control", "public, max-age=0");
      response.end("x");
    }).listen(0, LOOPBACK);
    await once(upstream, "listening");
    nginx = await ReverseProxy.start((upstream.address() as AddressInfo).port);
    base = nginx.url;
  });

  after(async () => {
    endStream();
    await nginx.stop();
    upstream.closeAllConnections();
    upstream.close();
  });

  it("tells the client's address itself and drops what the client claims", async () => {
    const claimed = { "X-Forwarded-For": "203.0.113.9", Forwarded: "for=203.0.113.9" };
    await fetch(`${base}/api/v1/products`, { headers: claimed });
    const { headers } = arrived.at(-1)!;
    assert.equal(headers["x-forwarded-for"], LOOPBACK);
    assert.equal(headers["forwarded"], undefined);
  });

  it("keeps its connection to the gateway", async () => {
    const before = arrived.length;
    for (let at = 0; at < 20; at += 1) await (await fetch(`${base}/api/v1/products`)).text();
    const ports = new Set(arrived.slice(before).map(({ port }) => port));
    assert.equal(arrived.length - before, 20);
    assert.ok(ports.size <= 4, `${ports.size} connections for 20 requests`);
  });

  it("asks the gateway once for a file of the docs page", async () => {
    for (let at = 0; at < 3; at += 1) {
      const answer = await fetch(`${base}/docs/assets/swagger-ui.css`);
      assert.equal(await answer.text(), "x");
      assert.equal(answer.headers.get("cache-control"), "public, max-age=3600");
    }
    assert.equal(arrived.filter(({ path }) => path.startsWith("/docs/assets")).length, 1);
  });

  it("passes each event of a sale's stream on while the stream is open", async () => {
    const answer = await fetch(`${base}/api/v1/seckill/sales/1/events`);
    const first = (await answer.body!.getReader().read()) as { readonly value: Uint8Array };
    assert.equal(Buffer.from(first.value).toString(), "data: first\n\n");
    endStream();
  });

  it("refuses a body the gateway would refuse, in the shop's words", async () => {
    const before = arrived.length;
    const body = "x".repeat(LARGER_THAN_ALLOWED);
    const answer = await fetch(`${base}/api/v1/orders`, { method: "POST", body });
    assertRefusal(await refusalOf(answer), "BODY_TOO_LARGE");
    assert.equal(arrived.length, before);
  });

  it("refuses a flood from one address, in the shop's words", async () => {
    const streams = await Promise.all(
      Array.from({ length: CONNECTIONS_ALLOWED + 20 }, () =>
        fetch(`${base}/api/v1/seckill/sales/1/events`),
      ),
    );
    const refused = streams.filter(({ status }) => status === 429);
    assert.ok(refused.length >= 20, `${refused.length} refused`);
    assert.equal(refused[0]!.headers.get("retry-after"), "1");
    assertRefusal(await refusalOf(refused[0]!), "RATE_LIMITED");
    for (const { body, bodyUsed } of streams) if (!bodyUsed) await body?.cancel();
  });

  it("says in the shop's words that the gateway is away", async () => {
    upstream.closeAllConnections();
    upstream.close();
    const answer = await eventually(
      async () => {
        const one = await fetch(`${base}/api/v1/products`);
        return one.status === 503 ? one : undefined;
      },
      { timeoutMs: UP_TIMEOUT_MS, what: "nginx answers 503" },
    );
    assertRefusal(await refusalOf(answer), "SERVICE_UNAVAILABLE");
  });
});
