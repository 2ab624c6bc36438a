// Alipay, payment on its web page (alipay.trade.page.pay). Charges carry the payment's id as
// out_trade_no. Its list of captures is a file to download, so reconciliation does not cover it.
import type { KeyObject } from "node:crypto";
import { type TSchema, Type } from "@sinclair/typebox";
import { faultsOf } from "../../../mixins/validation/ajv.ts";
import { PlatformError } from "../../contracts/errors.ts";
import { type Clock, HOUR_MS } from "../../kernel/clock.ts";
import { Id } from "../../kernel/schema.ts";
import {
  type AlipayParams,
  alipayAnswer,
  isAlipayNotification,
  signAlipay,
} from "./alipay-signature.ts";
import type {
  CallbackRequest,
  Channel,
  Charge,
  ChargeState,
  RefundOrder,
  VerifiedCallback,
} from "./channel.ts";
import { PROVIDER_REF_MAX, WEBHOOK_ID_MAX } from "./channel.ts";
import {
  type ChargeSteps,
  closeCharge,
  fewAtOnce,
  providerFailure,
  queryCharge,
} from "./charge-steps.ts";
import type { HttpClient } from "./json-http.ts";

export const ALIPAY_GATEWAY = "https://openapi.alipay.com/gateway.do";

const CHINA_OFFSET_MS = 8 * HOUR_MS;
const MINOR_PER_YUAN = 100;
const YUAN_FORM = /^(\d{1,11})\.(\d{2})$/;
const SUCCESS = "10000";
const NOT_THERE = "ACQ.TRADE_NOT_EXIST";
const PAID = new Set(["TRADE_SUCCESS", "TRADE_FINISHED"]);

export interface AlipayChannelDeps {
  /** At ALIPAY_GATEWAY. */
  readonly http: HttpClient;
  readonly gateway: string;
  readonly appId: string;
  readonly ownKey: KeyObject;
  readonly alipayKey: KeyObject;
  readonly callbackUrl: (paymentId: string) => string;
  readonly clock: Clock;
}

const Notification = Type.Object({
  app_id: Type.String(),
  notify_id: Type.String({ pattern: `^[\\x21-\\x7e]{1,${String(WEBHOOK_ID_MAX)}}$` }),
  out_trade_no: Id,
  trade_no: Type.String({ minLength: 1, maxLength: PROVIDER_REF_MAX }),
  trade_status: Type.String(),
  total_amount: Type.String({ pattern: YUAN_FORM.source }),
});

export function createAlipayChannel(deps: AlipayChannelDeps): Channel {
  const ask = (method: string, content: object): Promise<Record<string, unknown>> =>
    askAlipay(deps, method, content);
  const steps: ChargeSteps = {
    query: async (paymentId) =>
      stateOf(paymentId, await ask("alipay.trade.query", { out_trade_no: paymentId })),
    end: async (paymentId) => {
      const answer = await ask("alipay.trade.close", { out_trade_no: paymentId });
      return answer["code"] === SUCCESS || answer["sub_code"] === NOT_THERE;
    },
  };
  return {
    name: "alipay",
    register: (charges) => Promise.resolve(charges.map((charge) => payUrl(deps, charge))),
    close: (paymentIds) => fewAtOnce(paymentIds, (id) => closeCharge(steps, id)),
    query: (paymentIds) => fewAtOnce(paymentIds, (id) => queryCharge(steps, id)),
    async refund(order) {
      const answer = await ask("alipay.trade.refund", refundContent(order));
      if (answer["code"] !== SUCCESS) throw providerFailure("Alipay refused a refund");
    },
    listCaptured: undefined,
    verify: (request) => verified(deps, request),
  };
}

/** Yuan with two decimals. */
export function yuanOf(minor: number): string {
  const yuan = Math.floor(minor / MINOR_PER_YUAN);
  return `${String(yuan)}.${String(minor % MINOR_PER_YUAN).padStart(2, "0")}`;
}

/** Minor units, or undefined when the text is not yuan with two decimals. */
export function minorOf(yuan: string): number | undefined {
  const [, whole, cents] = YUAN_FORM.exec(yuan) ?? [];
  return whole === undefined ? undefined : Number(whole) * MINOR_PER_YUAN + Number(cents);
}

/** `yyyy-MM-dd HH:mm:ss` in China's time. */
function chinaTime(atMs: number): string {
  return new Date(atMs + CHINA_OFFSET_MS).toISOString().slice(0, 19).replace("T", " ");
}

function commonParams(deps: AlipayChannelDeps, method: string, content: object): AlipayParams {
  return {
    app_id: deps.appId,
    method,
    format: "JSON",
    charset: "utf-8",
    sign_type: "RSA2",
    timestamp: chinaTime(deps.clock.now()),
    version: "1.0",
    biz_content: JSON.stringify(content),
  };
}

/** The page needs no call: its address is signed here, and Alipay makes the trade when it is opened. */
function payUrl(deps: AlipayChannelDeps, charge: Charge): string {
  const params = commonParams(deps, "alipay.trade.page.pay", {
    out_trade_no: charge.paymentId,
    product_code: "FAST_INSTANT_TRADE_PAY",
    total_amount: yuanOf(charge.amount),
    subject: `Order ${charge.orderId}`,
    time_expire: chinaTime(charge.expiresAt.getTime()),
  });
  const signed = signAlipay(deps.ownKey, {
    ...params,
    notify_url: deps.callbackUrl(charge.paymentId),
  });
  return `${deps.gateway}?${new URLSearchParams(signed).toString()}`;
}

async function askAlipay(
  deps: AlipayChannelDeps,
  method: string,
  content: object,
): Promise<Record<string, unknown>> {
  const signed = signAlipay(deps.ownKey, commonParams(deps, method, content));
  const { status, body } = await deps.http.send({
    method: "POST",
    path: "",
    headers: { "content-type": "application/x-www-form-urlencoded;charset=utf-8" },
    body: new URLSearchParams(signed).toString(),
  });
  const answer = status === 200 ? alipayAnswer(deps.alipayKey, body) : undefined;
  if (answer === undefined) throw providerFailure("Alipay's answer is not signed by it");
  return answer;
}

function stateOf(paymentId: string, answer: Record<string, unknown>): ChargeState | "unknown" {
  if (answer["sub_code"] === NOT_THERE) return "unknown";
  if (answer["code"] !== SUCCESS) throw providerFailure("Alipay refused a query");
  const status = String(answer["trade_status"]);
  const amount = minorOf(String(answer["total_amount"]));
  if (PAID.has(status)) {
    if (amount === undefined) throw providerFailure("Alipay told no amount");
    return { paymentId, status: "captured", amount, providerRef: String(answer["trade_no"]) };
  }
  const isClosed = status === "TRADE_CLOSED";
  return { paymentId, status: isClosed ? "closed" : "open", amount: 0, providerRef: "" };
}

function refundContent(order: RefundOrder): object {
  return {
    out_trade_no: order.paymentId,
    refund_amount: yuanOf(order.amount),
    out_request_no: order.refundId,
    refund_reason: order.reason,
  };
}

function verified(deps: AlipayChannelDeps, request: CallbackRequest): VerifiedCallback | null {
  const params = Object.fromEntries(new URLSearchParams(request.rawBody.toString("utf8")));
  if (!isAlipayNotification(deps.alipayKey, params) || params["app_id"] !== deps.appId) {
    throw new PlatformError("WEBHOOK_SIGNATURE_INVALID");
  }
  const schema: TSchema = Notification;
  const faults = faultsOf(schema, params);
  if (faults.length > 0) throw new PlatformError("VALIDATION_FAILED", faults);
  const outcome = outcomeOf(params);
  if (outcome === undefined) return null;
  return {
    webhookId: params["notify_id"] ?? "",
    paymentId: params["out_trade_no"] ?? "",
    outcome,
    amount: minorOf(params["total_amount"] ?? "") ?? 0,
    providerRef: params["trade_no"] ?? "",
  };
}

/** Undefined while the buyer may still pay, and for news of a refund. */
function outcomeOf(params: AlipayParams): "succeeded" | "failed" | undefined {
  if (params["gmt_refund"] !== undefined) return undefined;
  const status = params["trade_status"] ?? "";
  if (PAID.has(status)) return "succeeded";
  return status === "TRADE_CLOSED" ? "failed" : undefined;
}
