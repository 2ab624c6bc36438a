// WeChat Pay, APIv3, payment by a code the buyer scans (native). Charges carry the payment's id as
// out_trade_no. Its list of captures is a file to download, so reconciliation does not cover it.
import { type KeyObject, randomBytes } from "node:crypto";
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { faultsOf } from "../../../mixins/validation/ajv.ts";
import { PlatformError } from "../../contracts/errors.ts";
import type { Clock } from "../../kernel/clock.ts";
import { Id, Money } from "../../kernel/schema.ts";
import {
  type CallbackRequest,
  type Channel,
  type Charge,
  type ChargeState,
  PROVIDER_REF_MAX,
  type RefundOrder,
  type VerifiedCallback,
  WEBHOOK_ID_MAX,
} from "./channel.ts";
import {
  type ChargeSteps,
  closeCharge,
  fewAtOnce,
  providerFailure,
  queryCharge,
} from "./charge-steps.ts";
import type { HttpClient } from "./json-http.ts";
import {
  authorization,
  decryptResource,
  isWechatSigned,
  type WechatMerchant,
} from "./wechat-signature.ts";

export const WECHAT_API = "https://api.mch.weixin.qq.com";

const NONCE_BYTES = 16;
const NOT_FOUND = 404;
const TRANSACTIONS = "/v3/pay/transactions";

export interface WechatChannelDeps {
  /** At WECHAT_API. */
  readonly http: HttpClient;
  readonly appId: string;
  readonly merchant: WechatMerchant;
  readonly wechatKey: KeyObject;
  /** 32 bytes. */
  readonly apiV3Key: string;
  readonly callbackUrl: (paymentId: string) => string;
  readonly clock: Clock;
}

const Notification = Type.Object({
  id: Type.String({ pattern: `^[\\x21-\\x7e]{1,${String(WEBHOOK_ID_MAX)}}$` }),
  event_type: Type.String(),
  resource: Type.Object({
    ciphertext: Type.String(),
    nonce: Type.String(),
    associated_data: Type.Optional(Type.String()),
  }),
});

const Transaction = Type.Object({
  mchid: Type.String(),
  out_trade_no: Id,
  transaction_id: Type.Optional(Type.String({ maxLength: PROVIDER_REF_MAX })),
  trade_state: Type.String(),
  amount: Type.Optional(Type.Object({ total: Money })),
});
type Transaction = Static<typeof Transaction>;

export function createWechatChannel(deps: WechatChannelDeps): Channel {
  const { merchantId } = deps.merchant;
  const steps: ChargeSteps = {
    async query(paymentId) {
      const path = `${TRANSACTIONS}/out-trade-no/${paymentId}?mchid=${merchantId}`;
      const { status, value } = await askWechat(deps, "GET", path);
      if (status === NOT_FOUND) return "unknown";
      if (status !== 200) throw providerFailure("WeChat Pay refused a query");
      return stateOf(paymentId, checked<Transaction>(Transaction, value));
    },
    async end(paymentId) {
      const path = `${TRANSACTIONS}/out-trade-no/${paymentId}/close`;
      return (await askWechat(deps, "POST", path, { mchid: merchantId })).status === 204;
    },
  };
  return {
    name: "wechat",
    register: (charges) => fewAtOnce(charges, (charge) => register(deps, charge)),
    close: (paymentIds) => fewAtOnce(paymentIds, (id) => closeCharge(steps, id)),
    query: (paymentIds) => fewAtOnce(paymentIds, (id) => queryCharge(steps, id)),
    async refund(order) {
      const content = refundContent(order);
      const { status, value } = await askWechat(
        deps,
        "POST",
        "/v3/refund/domestic/refunds",
        content,
      );
      const state = (value as { status?: unknown } | undefined)?.status;
      const isTaken = status === 200 && (state === "SUCCESS" || state === "PROCESSING");
      if (!isTaken) throw providerFailure("WeChat Pay did not take a refund on");
    },
    listCaptured: undefined,
    verify: (request) => verified(deps, request),
  };
}

async function register(deps: WechatChannelDeps, charge: Charge): Promise<string> {
  const { status, value } = await askWechat(deps, "POST", `${TRANSACTIONS}/native`, {
    appid: deps.appId,
    mchid: deps.merchant.merchantId,
    description: `Order ${charge.orderId}`,
    out_trade_no: charge.paymentId,
    time_expire: charge.expiresAt.toISOString(),
    notify_url: deps.callbackUrl(charge.paymentId),
    amount: { total: charge.amount, currency: charge.currency },
  });
  const url = (value as { code_url?: unknown } | undefined)?.code_url;
  if (status !== 200 || typeof url !== "string") {
    throw providerFailure("WeChat Pay did not register a charge");
  }
  return url;
}

async function askWechat(
  deps: WechatChannelDeps,
  method: "GET" | "POST",
  target: string,
  content?: object,
): Promise<{ readonly status: number; readonly value: unknown }> {
  const body = content === undefined ? "" : JSON.stringify(content);
  const moment = { nonce: randomBytes(NONCE_BYTES).toString("hex"), atMs: deps.clock.now() };
  const answer = await deps.http.send({
    method,
    path: target,
    headers: {
      accept: "application/json",
      authorization: authorization(deps.merchant, { method, target, body }, moment),
      ...(content === undefined ? {} : { "content-type": "application/json" }),
    },
    body: content === undefined ? undefined : body,
  });
  if (!isWechatSigned(deps.wechatKey, answer, deps.clock.now())) {
    throw providerFailure("WeChat Pay's answer is not signed by it");
  }
  return { status: answer.status, value: parseJson(answer.body) };
}

function stateOf(paymentId: string, told: Transaction): ChargeState {
  const { trade_state: state, amount, transaction_id: providerRef = "" } = told;
  if (state === "SUCCESS" || state === "REFUND") {
    if (amount === undefined) throw providerFailure("WeChat Pay told no amount");
    return { paymentId, status: "captured", amount: amount.total, providerRef };
  }
  const isClosed = state === "CLOSED" || state === "REVOKED";
  return { paymentId, status: isClosed ? "closed" : "open", amount: 0, providerRef: "" };
}

function refundContent(order: RefundOrder): object {
  return {
    out_trade_no: order.paymentId,
    out_refund_no: order.refundId,
    reason: order.reason,
    amount: { refund: order.amount, total: order.total, currency: order.currency },
  };
}

function verified(deps: WechatChannelDeps, request: CallbackRequest): VerifiedCallback | null {
  const { headers, rawBody } = request;
  const body = rawBody.toString("utf8");
  if (!isWechatSigned(deps.wechatKey, { headers, body }, deps.clock.now())) {
    throw new PlatformError("WEBHOOK_SIGNATURE_INVALID");
  }
  const {
    id,
    event_type: event,
    resource,
  } = checked<Static<typeof Notification>>(Notification, parseJson(body));
  if (event !== "TRANSACTION.SUCCESS") return null;
  const plain = decryptResource(deps.apiV3Key, { associated_data: "", ...resource });
  const told = checked<Transaction>(
    Transaction,
    plain === undefined ? undefined : parseJson(plain),
  );
  // Signed by WeChat Pay, but for somebody else.
  if (told.mchid !== deps.merchant.merchantId) throw new PlatformError("WEBHOOK_SIGNATURE_INVALID");
  const state = stateOf(told.out_trade_no, told);
  if (state.status !== "captured") return null;
  return {
    webhookId: id,
    paymentId: state.paymentId,
    outcome: "succeeded",
    amount: state.amount,
    providerRef: state.providerRef,
  };
}

/** @throws VALIDATION_FAILED */
function checked<T>(schema: TSchema, value: unknown): T {
  const faults = faultsOf(schema, value);
  if (faults.length > 0) throw new PlatformError("VALIDATION_FAILED", faults);
  return value as T;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
