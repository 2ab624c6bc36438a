// The mock provider's channel: calls it over HTTP and believes its callbacks by their signature.
import type { KeyObject } from "node:crypto";
import type { TSchema } from "@sinclair/typebox";
import { createCommitQueue, Refusal } from "../../../mixins/database/commit-queue.ts";
import { faultsOf } from "../../../mixins/validation/ajv.ts";
import { PlatformError } from "../../contracts/errors.ts";
import { must } from "../../kernel/assert.ts";
import type { Clock } from "../../kernel/clock.ts";
import {
  CallbackBody,
  CHARGES_PER_REQUEST_MAX,
  ChargesAnswer,
  type ChargesRequest,
  type ChargeView,
  LIST_PAGE_MAX,
  PROVIDER_PATHS,
  type RefundRequest,
  type RegisterRequest,
  type SimulateRequest,
} from "../provider/provider-api.ts";
import type {
  CallbackRequest,
  CapturedCharge,
  Charge,
  ChargeState,
  SimulatingChannel,
  VerifiedCallback,
} from "./channel.ts";
import type { HttpClient } from "./json-http.ts";
import { verifyWebhook } from "./standard-webhook.ts";

const CONFLICT = 409;
const REGISTER_QUEUE_MAX = 4_096;

export interface MockChannelDeps {
  readonly http: HttpClient;
  /** What the provider lets in. */
  readonly apiKey: string;
  /** Keys of callbacks, the current one first. */
  readonly webhookKeys: readonly KeyObject[];
  readonly clock: Clock;
}

export function createMockChannel(deps: MockChannelDeps): SimulatingChannel {
  const post = async (path: string, body: object): Promise<{ status: number; body: string }> =>
    await deps.http.send({
      method: "POST",
      path,
      headers: { authorization: `Bearer ${deps.apiKey}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });

  const ask = async (path: string, body: object): Promise<readonly ChargeView[]> => {
    const answer = await post(path, body);
    if (answer.status !== 200) throw refusedBy(answer.status);
    return parsed(ChargesAnswer, answer.body).charges;
  };

  // Charges of payments that are opened at the same time travel in one request.
  const registrations = createCommitQueue<Charge, undefined>({
    name: "payment.register",
    batchSizeMax: CHARGES_PER_REQUEST_MAX,
    queueLengthMax: REGISTER_QUEUE_MAX,
    commit: async (charges) => {
      const request: RegisterRequest = { charges: charges.map(chargeBody) };
      try {
        const answer = await post(PROVIDER_PATHS.register, request);
        if (answer.status !== 204) throw refusedBy(answer.status);
        return charges.map(() => undefined);
      } catch (error) {
        // A provider that is away is away for each of them: nothing is gained by asking one by one.
        return charges.map(() => new Refusal(error as Error));
      }
    },
  });

  return {
    name: "mock",
    async register(charges) {
      await Promise.all(charges.map((charge) => registrations.submit(charge)));
      return charges.map(() => null);
    },
    close: async (paymentIds) => statesOf(await askAll(ask, PROVIDER_PATHS.close, paymentIds)),
    query: async (paymentIds) => statesOf(await askAll(ask, PROVIDER_PATHS.query, paymentIds)),
    async refund({ refundId, paymentId, amount }) {
      const request: RefundRequest = { refund_id: refundId, payment_id: paymentId, amount };
      const answer = await post(PROVIDER_PATHS.refund, request);
      if (answer.status !== 204) throw refusedBy(answer.status);
    },
    async listCaptured(day, after, limit) {
      const size = Math.min(limit, LIST_PAGE_MAX);
      const charges = await ask(PROVIDER_PATHS.captured, { day, after, limit: size });
      return charges.map(capturedOf);
    },
    async simulate(charge, outcome) {
      const request: SimulateRequest = { charge: chargeBody(charge), outcome };
      const answer = await post(PROVIDER_PATHS.simulate, request);
      if (answer.status === CONFLICT) throw new PlatformError("PAYMENT_ILLEGAL_STATE");
      if (answer.status !== 204) throw refusedBy(answer.status);
    },
    verify: (request) => verified(deps, request),
  };
}

function chargeBody(charge: Charge): RegisterRequest["charges"][number] {
  return { payment_id: charge.paymentId, amount: charge.amount, currency: charge.currency };
}

async function askAll(
  ask: (path: string, body: object) => Promise<readonly ChargeView[]>,
  path: string,
  paymentIds: readonly string[],
): Promise<readonly ChargeView[]> {
  const views: ChargeView[] = [];
  for (let start = 0; start < paymentIds.length; start += CHARGES_PER_REQUEST_MAX) {
    const request: ChargesRequest = {
      payment_ids: paymentIds.slice(start, start + CHARGES_PER_REQUEST_MAX),
    };
    views.push(...(await ask(path, request)));
  }
  return views;
}

function statesOf(views: readonly ChargeView[]): readonly ChargeState[] {
  return views.map((view) => {
    const [paymentId, status] = [view.payment_id, stateOf(view.status)];
    // The provider numbers a charge when it opens it, and knows what it is to collect.
    if (status !== "captured") return { paymentId, status, amount: 0, providerRef: "" };
    return { paymentId, status, amount: view.amount, providerRef: view.provider_ref };
  });
}

function stateOf(status: ChargeView["status"]): ChargeState["status"] {
  if (status === "captured") return "captured";
  return status === "closed" ? "closed" : "open";
}

function capturedOf(view: ChargeView): CapturedCharge {
  return { paymentId: view.payment_id, amount: view.amount, providerRef: view.provider_ref };
}

function refusedBy(status: number): PlatformError {
  const error = new PlatformError("PAYMENT_PROVIDER_UNAVAILABLE");
  error.cause = new Error(`the mock provider answered ${status}`);
  return error;
}

function parsed(schema: typeof ChargesAnswer, text: string): ChargesAnswer {
  const value = parseJson(text);
  if (faultsOf(schema, value).length > 0) throw refusedBy(200);
  return value as ChargesAnswer;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function verified(
  { webhookKeys, clock }: MockChannelDeps,
  request: CallbackRequest,
): VerifiedCallback {
  const webhookId = verifyWebhook(webhookKeys, request, clock.now());
  if (webhookId === undefined) throw new PlatformError("WEBHOOK_SIGNATURE_INVALID");
  const body = must(checkedBody(CallbackBody, request.rawBody), "a checked body") as CallbackBody;
  return {
    webhookId,
    paymentId: body.payment_id,
    outcome: body.status,
    amount: body.amount,
    providerRef: body.provider_ref,
  };
}

function checkedBody(schema: TSchema, rawBody: Buffer): unknown {
  const value = parseJson(rawBody.toString("utf8"));
  const faults = faultsOf(schema, value);
  if (faults.length > 0) throw new PlatformError("VALIDATION_FAILED", faults);
  return value;
}
