// The load generator of a simulated sale: an open loop that sends every buyer's first request at its
// time, whatever the shop does, and lets each go on as his persona would. Everything that is heard goes
// to the witness.
import { setTimeout as delay } from "node:timers/promises";
import { type HttpAnswer, requestText } from "../bench/http-socket.ts";
import type { BuyerPlan } from "./buyer-plan.ts";
import type { Connections } from "./connections.ts";
import type { Witness } from "./witness.ts";

const API = "/api/v1";
const TICK_MS = 2;
/** One attempt is repeated this often when the shop is busy, limits, or does not answer. */
const TRIES_MAX = 60;
const BUSY_RETRY_MS = 500;
/** Outcomes after which the same request is worth another try, and when. */
const RETRY_MS: ReadonlyMap<string, number> = new Map([
  ["SECKILL_NOT_STARTED", 150],
  ["RATE_LIMITED", BUSY_RETRY_MS],
  ["OVERLOADED", BUSY_RETRY_MS],
  ["SERVICE_UNAVAILABLE", BUSY_RETRY_MS],
  ["SHUTTING_DOWN", BUSY_RETRY_MS],
  ["REQUEST_TOO_SLOW", BUSY_RETRY_MS],
  ["OUTCOME_UNKNOWN", BUSY_RETRY_MS],
  ["no answer", BUSY_RETRY_MS],
]);
const LOOKS_MAX = 60;
const LOOK_INTERVAL_MS = 500;
const PAY_TRIES_MAX = 40;
const PAY_RETRY_MS = 500;

export interface Buyer {
  readonly token: string;
  /** Told to the shop as the buyer's address, where it believes us. */
  readonly address: string;
}

export interface CrowdParts {
  readonly saleId: string;
  /** When the sale opens, by performance.now(). */
  readonly opensMs: number;
  readonly plans: readonly BuyerPlan[];
  readonly buyerOf: (index: number) => Buyer;
  /** For requests to buy. */
  readonly connections: Connections;
  /** For everything after that: who has bought does not stand in the line of those who want to. */
  readonly afterwards: Connections;
  readonly witness: Witness;
  /** Time to pay an order, ms. */
  readonly paymentWindowMs: number;
  /** Made of the seed, for request ids that tell attempts apart. */
  readonly run: string;
}

/** Resolves when the last buyer has gone home. */
export async function runCrowd(parts: CrowdParts): Promise<void> {
  const visits: Promise<void>[] = [];
  for (const plan of parts.plans) {
    const dueMs = parts.opensMs + plan.arrivesMs;
    while (performance.now() < dueMs) await delay(TICK_MS);
    visits.push(new Visit(parts, plan).run(dueMs));
  }
  await Promise.all(visits);
}

type Decision = "bought" | "sold out" | "over" | "undecided";

interface Heard {
  readonly outcome: string;
  readonly orderId: string | undefined;
}

interface Body {
  readonly error?: string;
  readonly data?: {
    readonly order_id?: string;
    readonly status?: string;
    readonly reason?: string;
    readonly id?: string;
  };
  readonly details?: { readonly order_id?: string } | null;
}

class Visit {
  readonly #parts: CrowdParts;
  readonly #plan: BuyerPlan;
  readonly #buyer: Buyer;

  constructor(parts: CrowdParts, plan: BuyerPlan) {
    this.#parts = parts;
    this.#plan = plan;
    this.#buyer = parts.buyerOf(plan.index);
  }

  async run(dueMs: number): Promise<void> {
    const { clicks, clickGapMs, comesBackAfterMs } = this.#plan;
    const attempts: Promise<boolean>[] = [];
    for (let click = 0; click < clicks; click += 1) {
      const clickMs = dueMs + click * clickGapMs;
      if (click > 0) await delay(Math.max(0, clickMs - performance.now()));
      attempts.push(this.#attempt(click, clickMs));
    }
    const isSoldOut = (await Promise.all(attempts)).every((one) => one);
    this.#parts.witness.decided();
    if (isSoldOut && comesBackAfterMs !== undefined) {
      await delay(comesBackAfterMs);
      await this.#attempt(clicks, performance.now());
    }
    const orders = [...this.#parts.witness.ordersOf(this.#plan.index)];
    await Promise.all(orders.map((orderId) => this.#goOn(orderId)));
  }

  async #goOn(orderId: string): Promise<void> {
    const { cancelsAfterMs } = this.#plan;
    if (cancelsAfterMs === undefined) {
      await this.#pay(orderId);
      return;
    }
    await delay(cancelsAfterMs);
    const path = `${API}/orders/${orderId}/cancel`;
    await this.#until(isDecidedOrder, { method: "POST", path });
  }

  /** Tries until it is decided; true when there was no unit. */
  async #attempt(number: number, firstMs: number): Promise<boolean> {
    const { witness, run } = this.#parts;
    const requestId = `${run}-${this.#plan.index}-${number}`;
    let sentMs = firstMs;
    for (let tries = 1; tries <= TRIES_MAX; tries += 1) {
      const heard = await this.#buy(requestId, sentMs);
      const pauseMs = RETRY_MS.get(heard.outcome);
      if (pauseMs === undefined) {
        const decision = await this.#take(heard);
        if (decision !== "undecided") return decision === "sold out";
        sentMs = performance.now();
        continue;
      }
      // A bot's other requests go on without this one.
      if (heard.outcome === "RATE_LIMITED" && this.#plan.persona === "bot") return false;
      await delay(pauseMs);
      sentMs = performance.now();
    }
    witness.fault("a buyer had no answer after all his tries");
    return false;
  }

  async #take({ outcome, orderId }: Heard): Promise<Decision> {
    switch (outcome) {
      case "queued":
      // What he is said to have is new to him when the answer that promised it was lost.
      case "SECKILL_ALREADY_PURCHASED":
        this.#promised(orderId);
        return "bought";
      case "waiting":
        return await this.#look();
      case "SECKILL_SOLD_OUT":
        return "sold out";
      case "SECKILL_ENDED":
        return "over";
      default:
        this.#parts.witness.fault(`a buyer was answered ${outcome}`);
        return "over";
    }
  }

  async #buy(requestId: string, sentMs: number): Promise<Heard> {
    const { witness, saleId } = this.#parts;
    witness.request();
    const path = `${API}/seckill/sales/${saleId}/orders`;
    const { connections } = this.#parts;
    const heard = await this.#send({ method: "POST", path, requestId }, connections);
    const outcome = heard === undefined ? "no answer" : outcomeOf(heard);
    witness.answer(outcome, performance.now() - sentMs);
    return { outcome, orderId: heard?.data?.order_id ?? heard?.details?.order_id };
  }

  #promised(orderId: string | undefined): void {
    const { witness } = this.#parts;
    if (orderId === undefined) witness.fault("an answer named no order");
    else witness.promise(this.#plan.index, orderId);
  }

  /** He was told to wait: looks until he is told an order, or that there is none. */
  async #look(): Promise<Decision> {
    const path = `${API}/seckill/sales/${this.#parts.saleId}/orders/mine`;
    for (let looks = 1; looks <= LOOKS_MAX; looks += 1) {
      await delay(LOOK_INTERVAL_MS);
      const {
        order_id: orderId,
        status,
        reason,
      } = (await this.#send({ method: "GET", path }))?.data ?? { status: "waiting" };
      if (orderId !== undefined) {
        this.#promised(orderId);
        return "bought";
      }
      if (reason === "sold_out") return "sold out";
      // His attempt came to nothing, or who knew of it is gone: he may try again.
      if (status !== "waiting") return "undecided";
    }
    return "undecided";
  }

  async #pay(orderId: string): Promise<void> {
    const { paysAfterMs } = this.#plan;
    const { paymentWindowMs, witness } = this.#parts;
    if (paysAfterMs === undefined) return;
    const isLate = paysAfterMs >= paymentWindowMs;
    if (!isLate) await delay(paysAfterMs);
    const paymentId = await this.#openPayment(orderId);
    if (paymentId === undefined) return;
    if (isLate) await delay(paysAfterMs);
    const path = `${API}/payments/${paymentId}/simulate`;
    const body = { outcome: "succeeded" };
    const answer = await this.#until((heard) => heard.error === undefined || isFinal(heard.error), {
      method: "POST",
      path,
      body,
    });
    if (answer === undefined || answer.error !== undefined) return;
    if (isLate) witness.lateRefund();
    else witness.paid(orderId);
  }

  /** The order's row may be written a moment after its promise. */
  async #openPayment(orderId: string): Promise<string | undefined> {
    const path = `${API}/orders/${orderId}/pay`;
    const heard = await this.#until(isDecidedOrder, { method: "POST", path });
    return heard?.error === undefined ? heard?.data?.id : undefined;
  }

  async #until(isDecided: (heard: Body) => boolean, request: Request): Promise<Body | undefined> {
    for (let tries = 1; tries <= PAY_TRIES_MAX; tries += 1) {
      const heard = await this.#send(request);
      if (heard !== undefined && isDecided(heard)) return heard;
      await delay(PAY_RETRY_MS);
    }
    return undefined;
  }

  /** Undefined when there was no answer. */
  async #send(
    { requestId, ...request }: Request,
    connections = this.#parts.afterwards,
  ): Promise<Body | undefined> {
    const text = requestText({ ...request, ...this.#buyer, ...withId(requestId) });
    try {
      return bodyOf(await connections.send(text));
    } catch {
      return undefined;
    }
  }
}

interface Request {
  readonly method: string;
  readonly path: string;
  readonly requestId?: string;
  readonly body?: object;
}

function withId(requestId: string | undefined): { requestId?: string } {
  return requestId === undefined ? {} : { requestId };
}

function bodyOf({ body }: HttpAnswer): Body {
  return JSON.parse(body) as Body;
}

function outcomeOf(body: Body): string {
  return body.error ?? body.data?.status ?? "without a status";
}

function isDecidedOrder({ error }: Body): boolean {
  return error === undefined || (error !== "ORDER_NOT_FOUND" && isFinal(error));
}

/** Whether the same request cannot succeed later. */
function isFinal(slug: string): boolean {
  return ![
    "OVERLOADED",
    "SERVICE_UNAVAILABLE",
    "SHUTTING_DOWN",
    "REQUEST_TOO_SLOW",
    "OUTCOME_UNKNOWN",
    "RATE_LIMITED",
    "PAYMENT_PROVIDER_UNAVAILABLE",
    "INTERNAL",
  ].includes(slug);
}
