// Signatures of the payment channels against other implementations, and against notifications that
// the providers themselves have signed (published with their SDKs).
import assert from "node:assert/strict";
import { createCipheriv, createSecretKey, generateKeyPairSync } from "node:crypto";
import { Webhook } from "standardwebhooks";
import {
  signWebhook,
  verifyWebhook,
  webhookKey,
} from "../../services/payment/channels/standard-webhook.ts";
import { minorOf, yuanOf } from "../../services/payment/channels/alipay-channel.ts";
import {
  alipayAnswer,
  isAlipayNotification,
  signAlipay,
} from "../../services/payment/channels/alipay-signature.ts";
import { privateKeyOf, publicKeyOf, signRsa } from "../../services/payment/channels/rsa.ts";
import {
  decryptResource,
  isWechatSigned,
} from "../../services/payment/channels/wechat-signature.ts";
import { shopUrl } from "../../services/payment/channels/shop-url.ts";

const SECRET = `whsec_${Buffer.from("a webhook key that only these tests use!").toString("base64")}`;
const OTHER_KEY = createSecretKey(Buffer.alloc(24, 1));
const NOW_MS = Date.now();
const BODY = Buffer.from('{"payment_id":"1","text":"é"}');

describe("standard webhooks", () => {
  const key = webhookKey(SECRET);
  const headers = signWebhook(key, { id: "evt_1", atMs: NOW_MS, body: BODY });
  const verify = (changes: Record<string, string>, rawBody = BODY, keys = [key]) =>
    verifyWebhook(keys, { headers: { ...headers, ...changes }, rawBody }, NOW_MS);

  it("are taken by the reference implementation, and its are taken here", () => {
    const reference = new Webhook(SECRET);
    assert.doesNotThrow(() => reference.verify(BODY.toString(), { ...headers }));
    const theirs = reference.sign("evt_1", new Date(NOW_MS), BODY.toString());
    assert.equal(verify({ "webhook-signature": theirs }), "evt_1");
  });

  it("are refused for a changed byte, id, time or key, and for a missing header", () => {
    assert.equal(verify({}), "evt_1");
    assert.equal(verify({}, Buffer.from(BODY.toString().replace("1", "2"))), undefined);
    assert.equal(verify({ "webhook-id": "evt_2" }), undefined);
    assert.equal(
      verify({ "webhook-timestamp": String(Math.floor(NOW_MS / 1_000) + 1) }),
      undefined,
    );
    assert.equal(verify({}, BODY, [OTHER_KEY]), undefined);
    for (const name of Object.keys(headers)) assert.equal(verify({ [name]: "" }), undefined);
  });

  it("are refused more than five minutes away from now, early or late", () => {
    for (const [offsetS, isTaken] of [
      [299, true],
      [-299, true],
      [302, false],
      [-302, false],
    ] as const) {
      const signed = signWebhook(key, { id: "e", atMs: NOW_MS + offsetS * 1_000, body: BODY });
      assert.equal(verify({ ...signed }) === "e", isTaken, `${String(offsetS)} s`);
    }
  });

  it("are taken with any of several signatures and keys, and short ones do no harm", () => {
    const signature = `v1,AAAA v2,${"B".repeat(44)} v1 ${headers["webhook-signature"]}`;
    assert.equal(verify({ "webhook-signature": signature }, BODY, [OTHER_KEY, key]), "evt_1");
    assert.equal(verify({ "webhook-signature": "v1,AAAA" }), undefined);
    assert.equal(verify({ "webhook-signature": "" }), undefined);
  });
});

// A notification of Alipay's own tests, signed by Alipay (alipay-sdk for Node.js, MIT).
const ALIPAY_KEY =
  "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAozecNNRnJMRAjSOjVDq6WwVWDgUKp3Rs8d55UmSNz6jTOIzJfSwEHETen0gkRgtfH+he8BnCkJKegLTjLOD44tyIzHpiYi4Hc4mas/HnNhQ9t3a4sJPOI5zWaPX0q1+OucuA664psRrQoCSCBHr55FMC/lqrTHRQ4/+EfbPwuwpD5Q2OumPHLt4OYv9YuE5oJ19/1I/cQM4bWle7s4vNVZCHLT+UUXYWX4KhSa8NcvyU9+9wjRZVUz6yvLbAcxd2KUeovF8papVO6Tw9tE2ILxiW0lPTZDCgZ1kDKi5m5k3W0S1w32qEmlxXT//4QFN5Nj7YRmxOc260ts4dfKKQRwIDAQAB";
const ALIPAY_NOTIFICATION = {
  app_id: "2018121762595097",
  auth_app_id: "2018121762595097",
  buyer_id: "2088512613526436",
  buyer_logon_id: "152****6706",
  buyer_pay_amount: "0.01",
  charset: "utf-8",
  fund_bill_list: '[{"amount":"0.01","fundChannel":"PCREDIT"}]',
  gmt_create: "2019-05-23 14:13:56",
  gmt_payment: "2019-05-23 14:17:13",
  invoice_amount: "0.01",
  notify_id: "2019052300222141714026431019971405",
  notify_time: "2019-05-23 14:17:14",
  notify_type: "trade_status_sync",
  out_trade_no: "tpxy23962362669658",
  point_amount: "0.00",
  receipt_amount: "0.01",
  seller_email: "myapp@alitest.com",
  seller_id: "2088331578818800",
  sign: "T946S2qyNFAXLhAaRgNMmatxH6SO3MyWYFnTamQOgW1iAcheL/Zz+VoizwvEc6mTEwYewvvKS1wNkMQ1oEajMUHv9+cXQ9IFvU/qKS9Ktvw5xHvCaK0fj7LsVcQ7VxfyT3kSvXUDfKDP4cHSPuSZKwM2ybkzr53bIH9OUTpTQd2d3J0rbdf76OoUt+XF9vwqj7OVE7AGjH2HPWp842DgL/YVy4qeA9N2uFKRevT3YUskjaRxuI/E66reNjTMFhbjEqGLKvMcDD4BaQXnibq9ojAj60589fBwzKk3yWsVQmqGfksMQoheVMtZ3lAw4o2ty3TFngbVFFLwgx8FDpBZ9Q==",
  sign_type: "RSA2",
  subject: "tpxy2222896485",
  total_amount: "0.01",
  trade_no: "2019052322001426431037869358",
  trade_status: "TRADE_SUCCESS",
  version: "1.0",
};

const pair = generateKeyPairSync("rsa", { modulusLength: 2_048 });

describe("Alipay's signatures", () => {
  it("take a notification Alipay has signed, and not a changed one", () => {
    const key = publicKeyOf(ALIPAY_KEY);
    assert.equal(isAlipayNotification(key, ALIPAY_NOTIFICATION), true);
    for (const changed of [
      { total_amount: "0.02" },
      { trade_status: "TRADE_CLOSED" },
      { sign: "" },
      { sign_type: "RSA" },
      { extra: "1" },
    ]) {
      const params = { ...ALIPAY_NOTIFICATION, ...changed } as Record<string, string>;
      assert.equal(isAlipayNotification(key, params), false, JSON.stringify(changed));
    }
  });

  it("are over the exact text of an answer's inner object", () => {
    const inner = '{"code":"10000", "url":"http:\\/\\/x","sign":"y"}';
    const sign = signRsa(pair.privateKey, inner);
    const text = `{"alipay_trade_query_response" : ${inner} , "sign":"${sign}"}`;
    assert.equal(alipayAnswer(pair.publicKey, text)?.["code"], "10000");
    assert.equal(alipayAnswer(pair.publicKey, text.replace("10000", "10001")), undefined);
    assert.equal(alipayAnswer(pair.publicKey, '{"error_response":{"code":"20000"}}'), undefined);
  });

  it("leave empty parameters out of a request", () => {
    const signed = signAlipay(pair.privateKey, { b: "2", a: "1", empty: "" });
    assert.deepEqual(Object.keys(signed).sort(), ["a", "b", "sign"]);
    assert.equal(signed["sign"], signRsa(pair.privateKey, "a=1&b=2"));
  });

  it("come with amounts in yuan that turn into minor units and back", () => {
    for (const minor of [1, 99, 100, 101, 1_999, 1_000_000_000_000]) {
      assert.equal(minorOf(yuanOf(minor)), minor);
    }
    for (const text of ["1", "1.0", "1.000", "-1.00", "1e2", ""]) {
      assert.equal(minorOf(text), undefined, text);
    }
  });
});

// A notification of WeChat Pay's own tests, signed by its test certificate (wechatpay-go, Apache-2.0).
const WECHAT_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIDVzCCAj+gAwIBAgIJANfOWdH1ItcBMA0GCSqGSIb3DQEBCwUAMEIxCzAJBgNV
BAYTAlhYMRUwEwYDVQQHDAxEZWZhdWx0IENpdHkxHDAaBgNVBAoME0RlZmF1bHQg
Q29tcGFueSBMdGQwHhcNMjEwNDI3MDg1NTIzWhcNMzEwNDI1MDg1NTIzWjBCMQsw
CQYDVQQGEwJYWDEVMBMGA1UEBwwMRGVmYXVsdCBDaXR5MRwwGgYDVQQKDBNEZWZh
dWx0IENvbXBhbnkgTHRkMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA
2VCTd91fnUn73Xy9DLvt/V62TVxRTEEstVdeRaZ3B3leO0pldE806mXO4RwdHXag
HQ4vGeZN0yqm++rDsGK+U3AH7kejyD2pXshNP9Cq5YwbptiLGtjcquw4HNxJQUOm
DeJf2vg6byms9RUipiq4SzbJKqJFlUpbuIPDpSpWz10PYmyCNeDGUUK65E5h2B83
4uxl1zNLYQCrkdBzb8oUxwYeP5a2DNxmjL5lsJML7DGr5znsevnoqGRwTm9fxCGf
y8wus7hwKz6clt3Whmmda7UAdb1c08hEQFVRbF14AR73xbnd8N0obCWJPCbzMCtk
aSef4FdEEgEXJiw0VAJT8wIDAQABo1AwTjAdBgNVHQ4EFgQUT1c7nd/SUO76HSoZ
umNUJv1R5PwwHwYDVR0jBBgwFoAUT1c7nd/SUO76HSoZumNUJv1R5PwwDAYDVR0T
BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOCAQEAfTjxKRQMzNB/U6ZoCUS+BSNfa2Oh
0plMN6ZuzwiVVZwg1jywvv5yv04koS7Pd4i9E4gt9ZBUQXlpq+A3oOCEEHNRR6b2
kyazGRM7s0OP5X21WrbpSmKmU6K7hkfx30yYs08LVs/Q8DIhvaj1FCFeJzUCzYn/
fHMq4tsbKO0dKAeydPM/nrUZBmaYQVKMVOORGLFjFKVO7JV6Kq/R86ouhjEPgJOe
2xulNBUcjicqtZlBdEh/PWCYP2SpGVDclKm8jeo175T3EVAkdKzzmfpxtMmnMlmq
cTJOU9TxuGvNASMtjj7pYIerTx+xgZDXEVBWFW9PjJ0TV06tCRsgSHItgg==
-----END CERTIFICATE-----`;
const WECHAT_SIGNED_AT_MS = 1_624_523_846_000;
const WECHAT_HEADERS = {
  "wechatpay-nonce": "EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz",
  "wechatpay-timestamp": "1624523846",
  "wechatpay-serial": "D7CE59D1F522D701",
  "wechatpay-signature":
    "tJHIiIS9eB2hAYstmAmbbD3ZE5LiIm/Ug5tuL4fC0YOFRWIHV39UFIZXC0e9Wl6lBu6sKvkqDkzpqzBsVHyXFlbYZTOQrVdG4b6LfTnK4mikv9++ixJMd3vTf2yCqvBkh98zs3Ds5zsYQakzbcwhmw4fMJs4nPLws28H0UW9FjDR//rxELLwXvV1VEA1IBLX70xptjL8hrfUjEE8kkry6yNJTHZRU8CAc7qHli2Ng1V1qb9ARbK8A3ThmFmPQvRGrapI/jS2laKKgYUmfdEdkNO6B2Cke5e8VTxY406ArAmQ90GAihDwIcb16TQMnzCMBoutnwZKNiKRACrFmtxw2Q==",
};
const WECHAT_RESOURCE = {
  ciphertext:
    "YDS3lKPaC4Y52Gf3uhft5qUBlIa8b428AWTtTauHQfQrRw+X1WpiuHIDy0vo1Vd6VEq67aVyqPdDYMkRVSDaZL3iZttevRMOoPKMifozg6XPWjIZumks/GpT48lI4NizyeaqLBokNebthah3o1H76qSlO9NkDjp9bzmKLEYYH9TEklFUpsvPqOTOcgSLgh21YJXYR7dEBXFgRLiNIKRgO5JdXh1hccRUAlyVWxE54PXpnQ==",
  associated_data: "payscore",
  nonce: "Kj7QIyUiYx1q",
};
const WECHAT_BODY =
  '{"id":"3119dfba-e649-5eec-ab1e-3412bc4d2e17","create_time":"2021-06-24T16:37:26+08:00",' +
  '"resource_type":"encrypt-resource","event_type":"PAYSCORE.USER_OPEN_SERVICE",' +
  '"summary":"签约成功","resource":{"original_type":"payscore","algorithm":"AEAD_AES_256_GCM",' +
  `"ciphertext":"${WECHAT_RESOURCE.ciphertext}","associated_data":"payscore",` +
  '"nonce":"Kj7QIyUiYx1q"}}';

describe("WeChat Pay's signatures", () => {
  const apiV3Key = "an APIv3 key of thirty-two bytes";
  const nonce = "Kj7QIyUiYx1q";
  const encrypt = (plain: string): string => {
    const cipher = createCipheriv("aes-256-gcm", Buffer.from(apiV3Key), Buffer.from(nonce));
    cipher.setAAD(Buffer.from("transaction"));
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]).toString(
      "base64",
    );
  };

  it("take a notification signed with WeChat Pay's test key, and not a changed one", () => {
    const key = publicKeyOf(WECHAT_CERTIFICATE);
    const isTaken = (headers: object, body: string, atMs = WECHAT_SIGNED_AT_MS) =>
      isWechatSigned(key, { headers: { ...WECHAT_HEADERS, ...headers }, body }, atMs);
    assert.equal(isTaken({}, WECHAT_BODY), true);
    assert.equal(isTaken({}, WECHAT_BODY.replace("payscore", "payscorf")), false);
    assert.equal(isTaken({ "wechatpay-nonce": "x" }, WECHAT_BODY), false);
    assert.equal(isTaken({}, WECHAT_BODY, WECHAT_SIGNED_AT_MS + 301_000), false);
    assert.equal(isTaken({ "wechatpay-signature": undefined }, WECHAT_BODY), false);
  });

  it("decrypt a notification encrypted with WeChat Pay's test key", () => {
    const plain = decryptResource("testMchAPIv3Key0", WECHAT_RESOURCE) ?? "";
    assert.equal((JSON.parse(plain) as { mchid: string }).mchid, "1234567890");
  });

  it("decrypt what was encrypted with the APIv3 key, and nothing that was changed", () => {
    const resource = { nonce, associated_data: "transaction", ciphertext: encrypt('{"a":1}') };
    assert.equal(decryptResource(apiV3Key, resource), '{"a":1}');
    assert.equal(decryptResource(apiV3Key, { ...resource, associated_data: "refund" }), undefined);
    assert.equal(decryptResource("b".repeat(32), resource), undefined);
    assert.equal(decryptResource(apiV3Key, { ...resource, ciphertext: "AAAA" }), undefined);
  });
});

describe("keys of providers", () => {
  it("are read as PEM, as PEM in one line, and as bare base64", () => {
    const spki = pair.publicKey.export({ type: "spki", format: "pem" }).toString();
    const der = pair.publicKey.export({ type: "spki", format: "der" }).toString("base64");
    for (const text of [spki, spki.replaceAll("\n", String.raw`\n`), der]) {
      assert.ok(publicKeyOf(text).equals(pair.publicKey));
    }
    for (const type of ["pkcs1", "pkcs8"] as const) {
      const bare = pair.privateKey.export({ type, format: "der" }).toString("base64");
      assert.ok(privateKeyOf(bare).equals(pair.privateKey));
    }
    assert.throws(() => publicKeyOf("no key"));
  });
});

describe("the shop's address for providers", () => {
  it("is the public one, or made from host and port", () => {
    assert.equal(
      shopUrl({ PUBLIC_URL: "https://shop.test/", HOST: "x", PORT: 1 }),
      "https://shop.test",
    );
    assert.equal(shopUrl({ PUBLIC_URL: "", HOST: "0.0.0.0", PORT: 80 }), "http://127.0.0.1:80");
    assert.equal(shopUrl({ PUBLIC_URL: "", HOST: "::1", PORT: 80 }), "http://[::1]:80");
  });
});
