// The Alipay and WeChat Pay channels over HTTP, with keys made here on both sides: what they ask, what
// they believe, and what they make of each answer.
import assert from "node:assert/strict";
import { createCipheriv, generateKeyPairSync } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { errorSlug } from "../../services/contracts/errors.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { createAlipayChannel } from "../../services/payment/channels/alipay-channel.ts";
import { signAlipay } from "../../services/payment/channels/alipay-signature.ts";
import type { Channel, VerifiedCallback } from "../../services/payment/channels/channel.ts";
import { createHttpClient, type HttpClient } from "../../services/payment/channels/json-http.ts";
import { isRsaSigned, signRsa } from "../../services/payment/channels/rsa.ts";
import { createWechatChannel } from "../../services/payment/channels/wechat-channel.ts";

const shop = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const provider = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const API_V3_KEY = "an APIv3 key of 32 bytes exactly";
const CALLBACK_URL = "https://shop.test/callbacks";
const TIMEOUT_MS = 1_000;

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

interface Reply {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body: string;
}

const charge = {
  paymentId: "10",
  orderId: "1",
  amount: 1_999,
  currency: "CNY",
  expiresAt: new Date("2026-01-01T00:30:00.000Z"),
};

function slugOf(attempt: () => unknown): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    return errorSlug(error) ?? String(error);
  }
}

async function slugOfAsync(attempt: Promise<unknown>): Promise<string | undefined> {
  return await attempt.then(
    () => undefined,
    (error: unknown) => errorSlug(error) ?? String(error),
  );
}

describe("payment channels", () => {
  let server: Server;
  let http: HttpClient;
  let url: string;
  let asked: Asked[] = [];
  let reply: (request: Asked) => Reply;

  before(async () => {
    server = createServer((request, response) => {
      void (async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
        const one = {
          method: request.method ?? "",
          url: request.url ?? "",
          headers: request.headers,
          body: Buffer.concat(chunks).toString(),
        };
        asked.push(one);
        const { status, headers, body } = reply(one);
        response.writeHead(status, headers).end(body);
      })();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    http = createHttpClient(url, TIMEOUT_MS);
  });
  after(async () => {
    http.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  beforeEach(() => {
    asked = [];
  });

  describe("Alipay", () => {
    let channel: Channel;
    let answers: Record<string, readonly object[]>;

    const answerOf = (request: Asked): Reply => {
      const method = new URLSearchParams(request.body).get("method") ?? "";
      const [next = { code: "40004" }, ...rest] = answers[method] ?? [];
      answers[method] = rest;
      const inner = JSON.stringify(next);
      const sign = signRsa(provider.privateKey, inner);
      const name = `${method.replaceAll(".", "_")}_response`;
      return { status: 200, body: `{"${name}":${inner},"sign":"${sign}"}` };
    };
    const methods = (): string[] =>
      asked.map(({ body }) => new URLSearchParams(body).get("method") ?? "");

    before(() => {
      channel = createAlipayChannel({
        http,
        gateway: "https://gateway.test/gateway.do",
        appId: "2021",
        ownKey: shop.privateKey,
        alipayKey: provider.publicKey,
        callbackUrl: () => CALLBACK_URL,
        clock: systemClock,
      });
    });
    beforeEach(() => {
      answers = {};
      reply = answerOf;
    });

    it("sends the buyer to a page whose address only the shop can have signed", async () => {
      const [address] = await channel.register([charge]);
      const params = Object.fromEntries(new URL(address ?? "").searchParams);
      const { sign = "", ...rest } = params;
      const content = Object.keys(rest)
        .sort()
        .map((name) => `${name}=${rest[name] ?? ""}`)
        .join("&");
      assert.ok(isRsaSigned(shop.publicKey, content, sign));
      const biz = JSON.parse(params["biz_content"] ?? "") as Record<string, unknown>;
      assert.equal(biz["total_amount"], "19.99");
      assert.equal(biz["out_trade_no"], "10");
      assert.equal(biz["time_expire"], "2026-01-01 08:30:00");
      assert.equal(params["notify_url"], CALLBACK_URL);
      assert.deepEqual(asked, []);
    });

    it("closes an open trade, and one that the buyer never opened", async () => {
      answers = {
        "alipay.trade.query": [
          { code: "10000", trade_status: "WAIT_BUYER_PAY", total_amount: "19.99" },
          { code: "40004", sub_code: "ACQ.TRADE_NOT_EXIST" },
        ],
        "alipay.trade.close": [{ code: "10000" }],
      };
      const [open] = await channel.close(["10"]);
      const [unknown] = await channel.close(["11"]);
      assert.deepEqual([open?.status, unknown?.status], ["closed", "closed"]);
    });

    it("tells of money that was taken while the trade was being closed", async () => {
      const paid = {
        code: "10000",
        trade_status: "TRADE_SUCCESS",
        total_amount: "19.99",
        trade_no: "2026",
      };
      answers = {
        "alipay.trade.query": [{ code: "10000", trade_status: "WAIT_BUYER_PAY" }, paid],
        "alipay.trade.close": [{ code: "40004", sub_code: "ACQ.TRADE_STATUS_ERROR" }],
      };
      assert.deepEqual(await channel.close(["10"]), [
        { paymentId: "10", status: "captured", amount: 1_999, providerRef: "2026" },
      ]);
      assert.deepEqual(methods(), [
        "alipay.trade.query",
        "alipay.trade.close",
        "alipay.trade.query",
      ]);
    });

    it("refunds by the refund's own id", async () => {
      answers = { "alipay.trade.refund": [{ code: "10000", fund_change: "Y" }] };
      const order = { refundId: "77", paymentId: "10", amount: 5, total: 1_999, currency: "CNY" };
      await channel.refund({ ...order, reason: "late" });
      const params = new URLSearchParams(asked[0]?.body);
      const biz = JSON.parse(params.get("biz_content") ?? "") as Record<string, unknown>;
      assert.deepEqual([biz["out_request_no"], biz["refund_amount"]], ["77", "0.05"]);
      assert.equal(
        await slugOfAsync(channel.refund({ ...order, reason: "late" })),
        "PAYMENT_PROVIDER_UNAVAILABLE",
      );
    });

    it("believes no answer that Alipay has not signed", async () => {
      reply = (request) => {
        const answer = answerOf(request);
        return { ...answer, body: answer.body.replace("40004", "10000") };
      };
      assert.equal(await slugOfAsync(channel.query(["10"])), "PAYMENT_PROVIDER_UNAVAILABLE");
    });

    const notify = (changes: Record<string, string> = {}): VerifiedCallback | null => {
      const params = {
        app_id: "2021",
        notify_id: "n1",
        out_trade_no: "10",
        trade_no: "2026",
        trade_status: "TRADE_SUCCESS",
        total_amount: "19.99",
        ...changes,
      };
      const signed = { ...signAlipay(provider.privateKey, params), sign_type: "RSA2" };
      const rawBody = Buffer.from(new URLSearchParams(signed).toString());
      return channel.verify({ headers: {}, rawBody });
    };

    it("takes its notifications, and only those for this shop", () => {
      assert.deepEqual(notify(), {
        webhookId: "n1",
        paymentId: "10",
        outcome: "succeeded",
        amount: 1_999,
        providerRef: "2026",
      });
      assert.equal(notify({ trade_status: "TRADE_CLOSED" })?.outcome, "failed");
      assert.equal(notify({ trade_status: "WAIT_BUYER_PAY" }), null);
      assert.equal(notify({ gmt_refund: "2026-01-01 00:00:00" }), null);
      assert.equal(
        slugOf(() => notify({ app_id: "2022" })),
        "WEBHOOK_SIGNATURE_INVALID",
      );
      assert.equal(
        slugOf(() => notify({ total_amount: "19.9" })),
        "VALIDATION_FAILED",
      );
    });
  });

  describe("WeChat Pay", () => {
    let channel: Channel;
    let answers: { status: number; body: string }[];

    const signedHeaders = (body: string, atMs = Date.now()): Record<string, string> => {
      const timestamp = String(Math.floor(atMs / 1_000));
      return {
        "wechatpay-timestamp": timestamp,
        "wechatpay-nonce": "n",
        "wechatpay-signature": signRsa(provider.privateKey, `${timestamp}\nn\n${body}\n`),
      };
    };
    const transaction = (changes: object = {}): object => ({
      mchid: "1900",
      out_trade_no: "10",
      transaction_id: "4200",
      trade_state: "SUCCESS",
      amount: { total: 1_999, currency: "CNY" },
      ...changes,
    });

    before(() => {
      channel = createWechatChannel({
        http,
        appId: "wx1",
        merchant: { merchantId: "1900", serial: "5F", ownKey: shop.privateKey },
        wechatKey: provider.publicKey,
        apiV3Key: API_V3_KEY,
        callbackUrl: () => CALLBACK_URL,
        clock: systemClock,
      });
    });
    beforeEach(() => {
      answers = [];
      reply = () => {
        const { status, body } = answers.shift() ?? { status: 500, body: "" };
        return { status, body, headers: signedHeaders(body) };
      };
    });

    it("registers a charge with a signature over method, path, time, nonce and body", async () => {
      answers = [{ status: 200, body: '{"code_url":"weixin://pay"}' }];
      assert.deepEqual(await channel.register([charge]), ["weixin://pay"]);
      const [request] = asked;
      const fields = Object.fromEntries(
        [...(request?.headers.authorization ?? "").matchAll(/(\w+)="([^"]*)"/g)].map(
          ([, name = "", value = ""]) => [name, value],
        ),
      );
      const message = [
        "POST",
        "/v3/pay/transactions/native",
        fields["timestamp"],
        fields["nonce_str"],
        request?.body,
        "",
      ].join("\n");
      assert.ok(isRsaSigned(shop.publicKey, message, fields["signature"] ?? ""));
      assert.deepEqual([fields["mchid"], fields["serial_no"]], ["1900", "5F"]);
      const sent = JSON.parse(request?.body ?? "") as Record<string, unknown>;
      assert.deepEqual(sent["amount"], { total: 1_999, currency: "CNY" });
    });

    it("closes what is open, and tells of what was paid meanwhile", async () => {
      const open = { status: 200, body: JSON.stringify(transaction({ trade_state: "NOTPAY" })) };
      answers = [open, { status: 204, body: "" }];
      assert.equal((await channel.close(["10"]))[0]?.status, "closed");
      const paid = { status: 200, body: JSON.stringify(transaction()) };
      answers = [open, { status: 400, body: '{"code":"ORDERPAID"}' }, paid];
      assert.deepEqual(await channel.close(["10"]), [
        { paymentId: "10", status: "captured", amount: 1_999, providerRef: "4200" },
      ]);
      answers = [{ status: 404, body: '{"code":"ORDER_NOT_EXIST"}' }];
      assert.equal((await channel.close(["10"]))[0]?.status, "closed");
    });

    it("believes no answer that WeChat Pay has not signed", async () => {
      reply = () => ({
        status: 200,
        body: JSON.stringify(transaction()),
        headers: signedHeaders(""),
      });
      assert.equal(await slugOfAsync(channel.query(["10"])), "PAYMENT_PROVIDER_UNAVAILABLE");
    });

    it("takes a refund that is processed as taken on, and an abnormal one as not", async () => {
      const order = { refundId: "77", paymentId: "10", amount: 5, total: 1_999, currency: "CNY" };
      answers = [{ status: 200, body: '{"status":"PROCESSING"}' }];
      await channel.refund({ ...order, reason: "late" });
      answers = [{ status: 200, body: '{"status":"ABNORMAL"}' }];
      assert.equal(
        await slugOfAsync(channel.refund({ ...order, reason: "late" })),
        "PAYMENT_PROVIDER_UNAVAILABLE",
      );
    });

    const notify = (
      changes: object = {},
      { event = "TRANSACTION.SUCCESS", atMs = Date.now() } = {},
    ): VerifiedCallback | null => {
      const cipher = createCipheriv(
        "aes-256-gcm",
        Buffer.from(API_V3_KEY),
        Buffer.from("123456789012"),
      );
      cipher.setAAD(Buffer.from("transaction"));
      const plain = JSON.stringify(transaction(changes));
      const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      const body = JSON.stringify({
        id: "n1",
        event_type: event,
        resource: {
          ciphertext: sealed.toString("base64"),
          nonce: "123456789012",
          associated_data: "transaction",
        },
      });
      return channel.verify({ headers: signedHeaders(body, atMs), rawBody: Buffer.from(body) });
    };

    it("takes its notifications, and only fresh ones for this shop", () => {
      assert.deepEqual(notify(), {
        webhookId: "n1",
        paymentId: "10",
        outcome: "succeeded",
        amount: 1_999,
        providerRef: "4200",
      });
      assert.equal(notify({}, { event: "REFUND.SUCCESS" }), null);
      assert.equal(notify({ trade_state: "NOTPAY" }), null);
      assert.equal(
        slugOf(() => notify({ mchid: "1901" })),
        "WEBHOOK_SIGNATURE_INVALID",
      );
      const old = { atMs: Date.now() - 302_000 };
      assert.equal(
        slugOf(() => notify({}, old)),
        "WEBHOOK_SIGNATURE_INVALID",
      );
    });
  });
});
