// Routes that the gateway carries out itself or hands on as raw bytes.
import { randomBytes } from "node:crypto";
import type { ServiceBroker } from "moleculer";
import type { Log } from "../../mixins/log.ts";
import { call } from "../contracts/actions.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Exchange } from "./api-handler.ts";
import { isForm } from "./body.ts";
import { sendText } from "./http-errors.ts";
import { IDEMPOTENCY_TOKEN_LIFETIME_MS } from "./limits.ts";
import { listNodes } from "./node-list.ts";

const TOKEN_BYTES = 18;
const ID_FORM = /^[1-9][0-9]{0,18}$/;
/** Headers that some channel's signature is made of; no others travel on. */
const SIGNATURE_HEADERS = [
  "webhook-id",
  "webhook-timestamp",
  "webhook-signature",
  "wechatpay-timestamp",
  "wechatpay-nonce",
  "wechatpay-signature",
  "wechatpay-serial",
] as const;

export interface OwnActionParts {
  readonly broker: ServiceBroker;
  readonly clock: Clock;
  readonly log: Log;
}

export type OwnActions = Readonly<Record<string, (exchange: Exchange) => Promise<unknown>>>;

export function ownActions({ broker, clock, log }: OwnActionParts): OwnActions {
  return {
    "gateway.listNodes": () => listNodes(broker, log),
    "gateway.createIdempotencyToken": () =>
      Promise.resolve({
        token: randomBytes(TOKEN_BYTES).toString("base64url"),
        expires_at: new Date(clock.now() + IDEMPOTENCY_TOKEN_LIFETIME_MS).toISOString(),
      }),
    "gateway.receiveCallback": receiveCallback,
  };
}

/** Alipay repeats a notification until it reads this word. */
const ALIPAY_ACCEPTED = { type: "text/plain; charset=utf-8", text: "success" } as const;

async function receiveCallback({ request, response, path, body }: Exchange): Promise<null> {
  const paymentId = path["id"] ?? "";
  if (!ID_FORM.test(paymentId)) throw new PlatformError("PAYMENT_NOT_FOUND");
  const headers: Record<string, string> = {};
  for (const name of SIGNATURE_HEADERS) {
    const value = request.headers[name];
    if (typeof value === "string") headers[name] = value;
  }
  await call(request.$ctx, "payment.receiveCallback", {
    payment_id: paymentId,
    headers,
    raw_body: body.raw.toString("base64"),
  });
  if (isForm(request)) sendText(response, 200, ALIPAY_ACCEPTED);
  return null;
}
