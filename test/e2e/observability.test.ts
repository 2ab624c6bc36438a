// What an operator sees of the running shop: traces, metrics and logs of one journey - and what
// nobody may ever see in them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Order } from "../../services/contracts/order.ts";
import type { Payment } from "../../services/contracts/payment.ts";
import type { TokenPair } from "../../services/contracts/user.ts";
import { EXPECTED_COUNTERS, EXPECTED_GAUGES } from "../support/expected-metrics.ts";
import { eventually } from "../support/eventually.ts";
import type { LogLine, Told } from "../support/log-lines.ts";
import type { HttpClient } from "../support/http-client.ts";
import { type CollectedSpan, JaegerCollector } from "../support/jaeger-collector.ts";
import { SOURCE_DIR } from "../support/launched-platform.ts";
import { type Sample, scrape, total } from "../support/scrape.ts";
import { API, type Shop, startShop } from "../support/shop.ts";

const EXPORT_TIMEOUT_MS = 10_000;
/** Gauges are read every five seconds. */
const METRICS_TIMEOUT_MS = 20_000;
/** Far above the limit, also on a machine that takes seconds for them. */
const REQUESTS_OVER_THE_LIMIT = 200;
const CALLBACKS_AT_ONCE = 5;

const run = promisify(execFile);
const newTraceId = (): string => randomBytes(16).toString("hex");
const PARENT_ID = "00f067aa0ba902b7";
const traced = (traceId: string, flags = "01"): { traceparent: string } => ({
  traceparent: `00-${traceId}-${PARENT_ID}-${flags}`,
});

describe("observability", function () {
  this.timeout(180_000);
  const collector = new JaegerCollector();
  let shop: Shop;

  before(async () => {
    const endpoint = await collector.start();
    const environment = {
      JAEGER_ENDPOINT: endpoint,
      TRACE_RATIO: "0",
      LOG_REQUESTS: "true",
      LOG_LEVEL: "info",
    };
    shop = await startShop({ environment });
  });

  after(async () => {
    shop.platform.child.kill("SIGTERM");
    await shop.platform.exited;
    collector.stop();
  });

  function dataDir(): string {
    const [first] = shop.platform.state.processes;
    return dirname(dirname(first?.log_file ?? ""));
  }

  async function place(buyer: HttpClient, headers: Record<string, string>) {
    const { skuId } = await shop.product(5, 1_200);
    const body = { items: [{ sku_id: skuId, quantity: 1 }] };
    const key = randomUUID();
    // A busy machine says 503 now and then; the key makes asking again harmless.
    return await eventually(
      async () => {
        const answer = await buyer.send<Order>("POST", `${API}/orders`, { body, key, headers });
        if (answer.status === 503) return undefined;
        assert.equal(answer.status, 201, JSON.stringify(answer.body));
        return answer;
      },
      { timeoutMs: EXPORT_TIMEOUT_MS, what: "the order is placed", intervalMs: 300 },
    );
  }

  /** Waits until the trace has a span of each name. */
  async function whenTrace(traceId: string, names: readonly string[]) {
    await eventually(
      () => {
        const seen = new Set(collector.ofTrace(traceId).map(({ name }) => name));
        return names.every((name) => seen.has(name));
      },
      {
        timeoutMs: EXPORT_TIMEOUT_MS,
        what: `trace ${traceId} has ${names.join(", ")}`,
      },
    ).catch((error: unknown) => {
      const seen = collector.ofTrace(traceId).map(({ service, name }) => `${service}: ${name}`);
      throw new Error(`seen: ${seen.join("; ")}`, { cause: error });
    });
    return collector.ofTrace(traceId);
  }

  /** Every span hangs below the client's, and nothing is missing in between. */
  function assertOneTree(spans: readonly CollectedSpan[]): void {
    const ids = new Set([PARENT_ID, ...spans.map(({ spanId }) => spanId)]);
    const orphans = spans.filter(({ parentId }) => parentId === undefined || !ids.has(parentId));
    assert.deepEqual(
      orphans.map(({ name }) => name),
      [],
    );
  }

  it("follows a placed order from the request through every service", async () => {
    const traceId = newTraceId();
    const requestId = `buyer-${randomUUID().slice(0, 8)}`;
    const buyer = await shop.customer();
    const answer = await place(buyer, { ...traced(traceId), "x-request-id": requestId });
    assert.equal(answer.headers["x-request-id"], requestId);
    const spans = await whenTrace(traceId, [
      "POST /orders",
      "action 'order.place'",
      "action 'inventory.reserve'",
    ]);
    assertOneTree(spans);
    const request = spans.find(({ name }) => name === "POST /orders");
    assert.equal(request?.parentId, PARENT_ID);
    assert.equal(request.tags["http.status_code"], 201);
    const [edge, core] = ["POST /orders", "action 'order.place'"].map(
      (name) => spans.find((span) => span.name === name)?.service,
    );
    assert.deepEqual([edge, core], ["gateway", "order"]);
    for (const { name, tags } of spans) assert.equal(tags["request_id"], requestId, name);
  });

  it("carries a callback's trace through outbox and stream to order and inventory", async () => {
    const traceId = newTraceId();
    const buyer = await shop.customer();
    const { data: order } = await place(buyer, {});
    const pay = await buyer.post<Payment>(`${API}/orders/${order.id}/pay`);
    assert.equal(pay.status, 201);
    assert.equal((await shop.callback(pay.data, { headers: traced(traceId) })).status, 204);
    const spans = await whenTrace(traceId, [
      "action 'payment.receiveCallback'",
      "consume payment.succeeded.v1",
      "consume order.paid.v1",
    ]);
    assertOneTree(spans);
    const byName = (name: string) => spans.find((span) => span.name === name);
    const paid = byName("consume order.paid.v1");
    assert.equal(paid?.service, "inventory-worker");
    assert.equal(paid.tags["span.kind"], "consumer");
    assert.equal(paid.parentId, byName("consume payment.succeeded.v1")?.spanId);
  });

  it("keeps the traces of callbacks apart that are applied in one commit", async () => {
    const buyer = await shop.customer();
    const pending = await Promise.all(
      Array.from({ length: CALLBACKS_AT_ONCE }, async () => {
        const { data: order } = await place(buyer, {});
        return (await buyer.post<Payment>(`${API}/orders/${order.id}/pay`)).data;
      }),
    );
    const traceIds = pending.map(newTraceId);
    const answers = await Promise.all(
      pending.map((payment, index) =>
        shop.callback(payment, { headers: traced(traceIds[index] ?? "") }),
      ),
    );
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [204]);
    await eventually(
      () => {
        const consumed = collector.spans
          .filter(({ name }) => name === "consume payment.succeeded.v1")
          .flatMap((span) => [span.traceId, ...span.follows.map(({ traceId }) => traceId)]);
        return traceIds.every((traceId) => consumed.includes(traceId));
      },
      { timeoutMs: EXPORT_TIMEOUT_MS, what: "every callback's event is consumed in its trace" },
    );
  });

  it("always traces the placing of an order, and nothing the client does not want traced", async () => {
    const unwanted = newTraceId();
    const buyer = await shop.customer();
    await place(buyer, traced(unwanted, "00"));
    const before = collector.spans.filter(({ name }) => name === "POST /orders").length;
    const list = await buyer.get(`${API}/orders`, { headers: traced(newTraceId()) });
    assert.equal(list.status, 200);
    await place(buyer, {});
    await eventually(
      () => collector.spans.filter(({ name }) => name === "POST /orders").length > before,
      { timeoutMs: EXPORT_TIMEOUT_MS, what: "the second order is traced" },
    );
    assert.deepEqual(collector.ofTrace(unwanted), []);
  });

  it("puts no secret and nothing personal into spans and log files", async () => {
    const secret = (word: string) => `${word}-${randomBytes(6).toString("hex")}`;
    const canary = {
      password: secret("password"),
      wrong: secret("wrong"),
      email: `${secret("mail")}@example.test`,
      phone: `+49${String(randomBytes(5).readUIntBE(0, 5)).padStart(13, "7")}`,
      street: secret("street"),
      search: secret("search"),
      note: secret("note"),
    };
    const { password, email } = canary;
    const traceId = newTraceId();
    const options = { headers: traced(traceId) };
    const client = shop.visitor();
    await client.post(`${API}/auth/register`, { email, password }, options);
    await client.post(`${API}/auth/register`, { email, password }, options);
    await client.post(`${API}/auth/login`, { email, password: canary.wrong }, options);
    const login = await client.post<TokenPair>(`${API}/auth/login`, { email, password }, options);
    client.signIn(login.data.access_token);
    const address = {
      recipient: "Somebody",
      phone: canary.phone,
      country: "DE",
      region: "Berlin",
      city: "Berlin",
      street: canary.street,
      postal_code: "10115",
    };
    const made = await client.post<{ id: string }>(`${API}/users/me/addresses`, address, options);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    await client.post(`${API}/users/me/addresses`, { ...address, country: canary.street }, options);
    await client.get(`${API}/products?q=${canary.search}`, options);
    const { skuId } = await shop.product(1);
    const items = [{ sku_id: skuId, quantity: 1 }];
    const body = { items, address_id: made.data.id, note: canary.note };
    const key = randomUUID();
    const order = await client.send("POST", `${API}/orders`, { body, key, ...options });
    assert.equal(order.status, 201, JSON.stringify(order.body));

    await whenTrace(traceId, ["POST /auth/login", "action 'user.addressSnapshot'", "POST /orders"]);
    const told = { ...canary, ...pick(login.data), key };
    const spans = JSON.stringify(collector.spans);
    const logs = logTexts()
      .map(({ text }) => text)
      .join("\n");
    assert.ok(logs.includes("POST /auth/login"), "the journey is in the logs");
    for (const [what, value] of Object.entries(told)) {
      assert.ok(!spans.includes(value), `${what} is in a span`);
      assert.ok(!logs.includes(value), `${what} is in a log file`);
    }
  });

  function pick({ access_token, refresh_token }: TokenPair) {
    return { access_token, refresh_token };
  }

  /** The log files of the platform's own processes. */
  function logTexts(): { file: string; text: string }[] {
    const folder = join(dataDir(), "log");
    const own = new Set(
      shop.platform.state.processes
        .filter(({ services }) => services !== undefined)
        .map(({ log_file: file }) => file),
    );
    return readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name))
      .filter((file) => own.has(file))
      .map((file) => ({ file, text: readFileSync(file, "utf8") }));
  }

  it("writes a line per request, as JSON, with request, trace and user", async () => {
    const buyer = await shop.customer();
    const me = await buyer.get<{ id: string }>(`${API}/users/me`);
    const requestId = `seen-${randomUUID()}`;
    const traceId = newTraceId();
    await place(buyer, { ...traced(traceId), "x-request-id": requestId });
    const line = await eventually(
      () => logLines().find((one) => one.msg === "request" && one.request_id === requestId),
      { timeoutMs: EXPORT_TIMEOUT_MS, what: "the request has its line" },
    );
    assert.match(line.node ?? "", /^edge/);
    assert.deepEqual(
      [line.route, line.status, line.trace_id, line.user_id],
      ["POST /orders", 201, traceId, me.data.id],
    );
  });

  function logLines(): LogLine[] {
    const texts = logTexts();
    assert.ok(texts.length >= 3, "a file per process");
    return texts.flatMap(({ file, text }) =>
      text
        .trimEnd()
        .split("\n")
        // The line that tells the launcher of the start comes before anything is logged about it.
        .filter((line) => !line.startsWith('{"ready":'))
        .map((line) => {
          const parsed = JSON.parse(line) as LogLine;
          assert.ok(parsed.node !== undefined, `${file}: ${line}`);
          return parsed;
        }),
    );
  }

  it("tells the story of one order over all nodes, from the database and the log files", async () => {
    const buyer = await shop.customer();
    const requestId = `story-${randomUUID()}`;
    const { data: order } = await place(buyer, { "x-request-id": requestId });
    await place(buyer, { "x-request-id": "somebody-else" });
    await shop.paid(buyer, order.id);
    const tell = async (...options: string[]): Promise<readonly Told[]> => {
      const args = ["scripts/logs/main.ts", "--json", ...options];
      const env = { ...process.env, DATA_DIR: dataDir() };
      const { stdout } = await run(process.execPath, args, { cwd: SOURCE_DIR, env });
      return stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Told);
    };
    let told: readonly Told[] = [];
    await eventually(
      async () => {
        told = await tell("--order", order.id);
        return told.some(({ what }) => what === "receipt: has applied order.paid.v1");
      },
      { timeoutMs: EXPORT_TIMEOUT_MS, what: "the story goes to its end", intervalMs: 500 },
    );
    assert.deepEqual(
      told.map(({ at }) => at),
      told.map(({ at }) => at).sort(),
    );
    const whats = told.map(({ who, what }) => `${who} ${what}`);
    for (const part of [
      /^edge\S* info request$/,
      /^order status: placing -> pending_payment$/,
      /^payment callback: provider says succeeded/,
      /^order receipt: has applied payment\.succeeded\.v1$/,
      /^inventory receipt: has applied order\.paid\.v1$/,
    ]) {
      assert.ok(
        whats.some((what) => part.test(what)),
        `${String(part)} in\n${whats.join("\n")}`,
      );
    }
    const created = told.find(({ what }) => what === "event: order.created.v1")?.details;
    assert.equal(created?.["request_id"], requestId);
    assert.match(created["trace_id"] ?? "", /^[0-9a-f]{32}$/);
    assert.ok(told.every(({ details }) => details["request_id"] !== "somebody-else"));
    const ofTrace = await tell("--trace", created["trace_id"] ?? "");
    assert.ok(ofTrace.some(({ details }) => details["route"] === "POST /orders"));
  });

  it("counts what the shop sells, on a port of each process", async () => {
    const buyer = await shop.customer();
    const { product, skuId } = await shop.product(1);
    for (let read = 0; read < 3; read += 1) await buyer.get(`${API}/products/${product.id}`);
    const order = await shop.placed(buyer, skuId);
    assert.equal((await shop.order(buyer, skuId)).body.error, "INVENTORY_OUT_OF_STOCK");
    await shop.paid(buyer, order.id);
    const other = await shop.product(1);
    const cancelled = await shop.placed(buyer, other.skuId);
    await buyer.post(`${API}/orders/${cancelled.id}/cancel`);
    assert.equal((await shop.callback({ id: "1", amount: 1 }, { tamper: true })).status, 401);
    await refuseByRate(await shop.customer());
    await shop.visitor().get("/no/such/path");

    let samples: readonly Sample[] = [];
    const missing = (): readonly string[] =>
      EXPECTED_COUNTERS.filter(([name, labels]) => total(samples, name, labels) <= 0).map(
        ([name, labels]) => `${name} ${JSON.stringify(labels)}`,
      );
    await eventually(
      async () => {
        samples = await scrape(dataDir());
        return missing().length === 0;
      },
      { timeoutMs: METRICS_TIMEOUT_MS, intervalMs: 500, what: "every metric is fed" },
    ).catch((error: unknown) => {
      throw new Error(`not fed: ${missing().join("; ")}`, { cause: error });
    });
    assert.equal(new Set(samples.map(({ role }) => role)).size >= 3, true);
    const known = new Set(samples.map(({ name }) => name));
    for (const gauge of EXPECTED_GAUGES) assert.ok(known.has(gauge), `${gauge} is shown`);
    for (const { labels } of samples) {
      assert.ok(!JSON.stringify(labels).includes(order.id), "a label holds an id");
    }
  });

  async function refuseByRate(client: HttpClient): Promise<void> {
    const answers = await Promise.all(
      Array.from({ length: REQUESTS_OVER_THE_LIMIT }, () => client.get(`${API}/orders`)),
    );
    assert.ok(answers.some(({ status }) => status === 429));
  }

  it("shows metrics to nobody on the public port", async () => {
    assert.equal((await shop.visitor().get("/metrics")).status, 404);
  });
});
