// What reaches the public listener from somebody who has time, sockets and no manners.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { eventually } from "../support/eventually.ts";
import type { Answer } from "../support/http-client.ts";
import { sendRaw } from "../support/raw-http.ts";
import { API, openShop, type Shop } from "../support/shop.ts";

const SLOW_SOCKETS = 500;
const REQUESTS_BESIDE = 20;
const SETTLE = { timeoutMs: 20_000, intervalMs: 100 } as const;
const HEADERS_MAX = 2_000;

describe("an attacker at the public listener", function () {
  this.timeout(180_000);
  let shop: Shop;
  const sockets: Socket[] = [];

  before(async () => {
    shop = await openShop();
  });
  after(() => sockets.forEach((socket) => socket.destroy()));

  const isAlive = async (): Promise<void> => {
    assert.equal((await shop.visitor().get("/livez")).status, 200);
  };

  it("HTTP1 holds many slow connections, and others are served meanwhile", async () => {
    const { hostname, port } = new URL(shop.url);
    const openSlowly = (): Promise<void> =>
      new Promise((resolve, reject) => {
        const socket = connect(Number(port), hostname, () => {
          socket.write("POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nX-Slow: ");
          resolve();
        });
        socket.on("error", reject);
        // Unread, the answer would keep the connection half open.
        socket.resume();
        sockets.push(socket);
      });
    await Promise.all(Array.from({ length: SLOW_SOCKETS }, openSlowly));
    const visitor = shop.visitor();
    const answers = await Promise.all(
      Array.from({ length: REQUESTS_BESIDE }, () => visitor.get(`${API}/products`)),
    );
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    await eventually(() => sockets.every((socket) => socket.closed), {
      ...SETTLE,
      what: "every slow connection was ended",
    });
  });

  it("HTTP2 floods headers: many, long, and the same again and again", async () => {
    const floods = [
      Array.from({ length: HEADERS_MAX }, (_, n) => `x-${String(n)}: ${"a".repeat(8)}`),
      Array.from({ length: HEADERS_MAX }, () => "x-forwarded-for: 10.0.0.1"),
      [`cookie: ${"a=b; ".repeat(4_000)}`],
      [`authorization: Bearer ${"a".repeat(17_000)}`],
    ];
    for (const lines of floods) {
      const head = `GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`;
      const { status } = await sendRaw(shop.url, `${head}${lines.join("\r\n")}\r\n\r\n`);
      assert.equal(status, 431);
    }
    await isAlive();
  });

  it("HTTP3 hides a second request, and it is never answered", async () => {
    const hidden = "GET /healthz HTTP/1.1\r\nHost: hidden\r\n\r\n";
    const forms = [
      `Transfer-Encoding: chunked\r\nContent-Length: ${String(hidden.length)}\r\n\r\n0\r\n\r\n`,
      "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
      "Transfer-Encoding:\u000bchunked\r\n\r\n0\r\n\r\n",
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
      "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
      "Content-Length: 0x2c\r\n\r\n",
      "Transfer-Encoding: chunked\r\n\r\n0;\u0000\r\n\r\n",
      "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF1\r\n",
      "Transfer-Encoding: chunked\r\n\r\n1\r\nAXX0\r\n\r\n",
    ];
    for (const form of forms) {
      const head =
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
      const { statuses } = await sendRaw(shop.url, head + form + hidden);
      assert.ok(!statuses.includes(200), `${JSON.stringify(form)}: ${statuses.join(", ")}`);
      assert.ok(statuses.length <= 1, `${JSON.stringify(form)}: ${statuses.join(", ")}`);
    }
    await isAlive();
  });

  it("HTTP7 gets no cookie, no server's name and no page to frame, whatever he asks", async () => {
    const paths = ["/", "/livez", "/readyz", "/openapi.json", "/nothing", `${API}/products`];
    for (const method of ["GET", "HEAD", "POST", "OPTIONS", "TRACE"]) {
      for (const path of [...paths, `${API}/orders`, `${API}/admin/invariants`]) {
        const { headers } = await send(method, path);
        const what = `${method} ${path}`;
        assert.equal(headers["set-cookie"], undefined, what);
        assert.equal(headers["server"] ?? headers["x-powered-by"], undefined, what);
        assert.equal(headers["x-content-type-options"], "nosniff", what);
        assert.equal(headers["cache-control"], "no-store", what);
        assert.match(String(headers["content-security-policy"]), /frame-ancestors 'none'/, what);
      }
    }
  });

  const send = (method: string, path: string): Promise<Answer> => shop.visitor().send(method, path);

  it("INJ1 writes SQL where a word, a number or an id belongs", async () => {
    const words = ["' OR '1'='1", "1;DROP TABLE products", "1 UNION SELECT 1", '"', "\\", "%", "_"];
    for (const word of words) {
      const text = encodeURIComponent(word);
      const found = await send("GET", `${API}/products?q=${text}${randomUUID()}`);
      assert.deepEqual([found.status, (found.data as { total: number }).total], [200, 0], word);
      for (const query of [`sort=${text}`, `category_id=${text}`, `page=${text}`]) {
        assert.equal((await send("GET", `${API}/products?${query}`)).status, 422, query);
      }
      assert.equal((await send("GET", `${API}/products/${text}`)).status, 404, word);
    }
    for (const value of [{ $gt: "" }, ["a"], true, 1]) {
      const body = { email: value, password: value };
      const { status } = await shop.visitor().post(`${API}/auth/login`, body);
      assert.equal(status, 422);
    }
  });

  it("INJ2 stores a script, and it comes back as text of JSON", async () => {
    const name = `<img src=x onerror=alert(1)> ${randomUUID()}`;
    const { data } = await shop.admin.post<{ id: string }>(`${API}/products`, { name, price: 1 });
    const shown = await shop.visitor().get<{ name: string }>(`${API}/products/${data.id}`);
    assert.equal(shown.data.name, name);
    assert.equal(shown.headers["content-type"], "application/json; charset=utf-8");
    assert.equal(shown.headers["x-content-type-options"], "nosniff");
  });

  it("LOG1 writes lines of his own into no log", async () => {
    const mark = randomUUID();
    const forged = `\r\n{"level":"fatal","msg":"${mark}"}\r\n`;
    const visitor = shop.visitor();
    await visitor.post(`${API}/auth/login`, { email: forged, password: forged });
    await visitor.send("GET", `${API}/products?q=${encodeURIComponent(forged)}`);
    await visitor.send("GET", `/${encodeURIComponent(forged)}`);
    await shop.admin.post(`${API}/categories`, { name: `a${forged}`.slice(0, 90) });
    await turn();
    for (const { log_file: file } of shop.platform.state.processes) {
      const forgedLines = readFileSync(file, "utf8")
        .split(/\r|\n/)
        .filter((line) => line.startsWith(`{"level":"fatal","msg":"${mark}`));
      assert.deepEqual(forgedLines, [], file);
    }
  });

  it("RATE3 asks for a million things at once and gets a refusal", async () => {
    for (const query of ["page_size=1000000", "page=99999999999", "page_size=-1", "page=1e9"]) {
      assert.equal((await send("GET", `${API}/products?${query}`)).status, 422, query);
    }
    const items = Array.from({ length: 51 }, (_, n) => ({ sku_id: String(n + 1), quantity: 1 }));
    const buyer = await shop.customer();
    assert.equal((await buyer.create(`${API}/orders`, { items })).status, 422);
  });
});
