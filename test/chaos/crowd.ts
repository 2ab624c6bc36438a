// The steady load of a cell: customers who browse, order, pay, cancel or forget, and buyers of a flash sale. An
// open loop: arrivals are planned from the seed, whatever the shop does. Each is patient: what is refused for
// now, or not answered, he asks again with the same key, as the API tells him to.
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { createAccessTokens } from "../../mixins/auth/tokens.ts";
import { seededRandom } from "../../scripts/demo/buyer-plan.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { type Answer, HttpClient, type SendOptions } from "../support/http-client.ts";
import { API, TOKEN_KEY } from "../support/shop.ts";
import type { RequestKind, Witness } from "./witness.ts";

/** Made-up customers count up from here, a block for every cell. */
const FIRST_CUSTOMER_ID = 9_200_000_000_000_000_000n;
const CUSTOMERS_PER_CELL = 1_000_000;
/** How long a customer goes on asking. */
const PATIENCE_MS = 90_000;
/** A payment that was taken too late is given back without anybody's asking. */
const REFUND_PATIENCE_MS = 8_000;
const RETRY_MS = 250;
const TICK_MS = 5;
const S_MS = 1_000;
const BALANCER_TRIES_MAX = 3;

export interface Rates {
  /** Per second. */
  readonly orders: number;
  readonly buyers: number;
  readonly browsers: number;
}

export interface Goods {
  /** Plenty of these. */
  readonly plentySkus: readonly string[];
  /** So few that customers race for them. */
  readonly scarceSku: string;
  readonly productIds: readonly string[];
  readonly saleId: string;
}

export interface CrowdParts {
  readonly doors: readonly string[];
  readonly admin: HttpClient;
  readonly goods: Goods;
  readonly rates: Rates;
  readonly seed: number;
  readonly witness: Witness;
}

/** Shares of what becomes of an order. */
const PAYS = 0.6;
const CANCELS = 0.2;
const REFUNDED = 0.15;
const SCARCE = 0.25;
const KEEPS = 1;

let cellsSoFar = Math.floor(Date.now() / S_MS) % 8_000_000;

interface Wish {
  readonly kind: RequestKind;
  /** POST when not given. */
  readonly method?: "GET" | "POST";
  readonly path: string;
  readonly options?: SendOptions;
  /** Whether an answer may be another one in a moment. */
  readonly isTooEarly?: (answer: Answer) => boolean;
  readonly patienceMs?: number;
}

interface Customer {
  readonly userId: string;
  readonly doors: readonly HttpClient[];
}

export class Crowd {
  readonly #parts: CrowdParts;
  readonly #random: () => number;
  readonly #tokens = createAccessTokens({ current: TOKEN_KEY }, systemClock);
  readonly #visits = new Set<Promise<void>>();
  readonly #firstId: bigint;
  #customers = 0;
  #turn = 0;
  #isOpen = false;
  #isGone = false;
  #arrivals: Promise<void> = Promise.resolve();

  constructor(parts: CrowdParts) {
    this.#parts = parts;
    this.#random = seededRandom(parts.seed);
    cellsSoFar += 1;
    this.#firstId = FIRST_CUSTOMER_ID + BigInt(cellsSoFar) * BigInt(CUSTOMERS_PER_CELL);
  }

  start(): void {
    const { rates } = this.#parts;
    this.#isOpen = true;
    this.#arrivals = Promise.all([
      this.#arrive(rates.orders, () => this.#order()),
      this.#arrive(rates.buyers, () => this.#buy(this.#random())),
      this.#arrive(rates.browsers, () => this.#browse()),
    ]).then(() => undefined);
  }

  /** Nobody new comes; resolves when the last one has gone home. */
  async stop(): Promise<void> {
    this.#isOpen = false;
    await this.#arrivals;
    while (this.#visits.size > 0) await Promise.all(this.#visits);
  }

  /** Everybody goes home at once, whatever he was promised: there is nothing more to be learnt. */
  async disperse(): Promise<void> {
    this.#isGone = true;
    await this.stop();
  }

  async #arrive(perSecond: number, visit: () => Promise<unknown>): Promise<void> {
    if (perSecond === 0) return;
    const startMs = performance.now();
    for (let dueMs = startMs; this.#isOpen;) {
      while (performance.now() < dueMs) await delay(TICK_MS);
      this.#keep(visit());
      dueMs += (-Math.log(1 - this.#random()) * S_MS) / perSecond;
    }
  }

  #keep(visit: Promise<unknown>): void {
    const kept: Promise<void> = visit
      .catch((error: unknown) => this.#parts.witness.fault(`a visit ended with ${String(error)}`))
      .then(() => void this.#visits.delete(kept));
    this.#visits.add(kept);
  }

  #customer(): Customer {
    this.#customers += 1;
    const userId = String(this.#firstId + BigInt(this.#customers));
    const token = this.#tokens.sign({ userId, role: "customer", familyId: userId });
    this.#parts.witness.customers.push(userId);
    return { userId, doors: this.#parts.doors.map((url) => new HttpClient(url, token)) };
  }

  async #browse(): Promise<void> {
    const { productIds } = this.#parts.goods;
    const id = productIds[Math.floor(this.#random() * productIds.length)] ?? "";
    await this.#ask(this.#customer(), {
      kind: "browse",
      method: "GET",
      path: `${API}/products/${id}`,
    });
  }

  async #order(): Promise<void> {
    const { goods, witness } = this.#parts;
    const isScarce = this.#random() < SCARCE;
    const plenty = goods.plentySkus[Math.floor(this.#random() * goods.plentySkus.length)] ?? "";
    const fate = this.#random();
    const isRefunded = this.#random() < REFUNDED;
    const customer = this.#customer();
    const body = { items: [{ sku_id: isScarce ? goods.scarceSku : plenty, quantity: 1 }] };
    const options = { body, key: randomUUID() };
    const placed = await this.#until(customer, { kind: "place", path: `${API}/orders`, options });
    if (placed?.status !== 201) return;
    const { id: orderId } = placed.data as { id: string };
    witness.acknowledged({ orderId, userId: customer.userId, isPromise: false });
    await this.#decide(customer, orderId, { fate, isRefunded });
  }

  /** One buyer of the sale, who keeps what he gets; answers whether there was no unit left for him. */
  buyToKeep(): Promise<boolean> {
    return this.#buy(KEEPS);
  }

  async #buy(fate: number): Promise<boolean> {
    const { goods, witness } = this.#parts;
    const customer = this.#customer();
    const path = `${API}/seckill/sales/${goods.saleId}/orders`;
    const options = { headers: { "x-request-id": randomUUID() } };
    const heard = await this.#until(customer, { kind: "buy", path, options });
    const { error, details } = heard?.body ?? {};
    if (error === "SECKILL_SOLD_OUT") return true;
    const told = (details ?? heard?.data ?? {}) as { order_id?: string; ticket?: string };
    const orderId = told.order_id ?? (await this.#look(customer));
    if (orderId === undefined) return false;
    witness.acknowledged({ orderId, userId: customer.userId, isPromise: true });
    await this.#decide(customer, orderId, { fate, isRefunded: false });
    return false;
  }

  async #look(customer: Customer): Promise<string | undefined> {
    const path = `${API}/seckill/sales/${this.#parts.goods.saleId}/orders/mine`;
    const deadlineMs = performance.now() + PATIENCE_MS;
    while (performance.now() < deadlineMs && !this.#isGone) {
      const answer = await this.#ask(customer, { kind: "look", method: "GET", path });
      const { order_id: orderId, status } = (answer?.data ?? {}) as {
        order_id?: string;
        status?: string;
      };
      if (orderId !== undefined) return orderId;
      if (status === "refused" || status === "none") return undefined;
      await delay(RETRY_MS);
    }
    this.#parts.witness.fault("a buyer was told to wait for ever");
    return undefined;
  }

  async #decide(
    customer: Customer,
    orderId: string,
    { fate, isRefunded }: { fate: number; isRefunded: boolean },
  ): Promise<void> {
    if (fate < PAYS) await this.#pay(customer, orderId, isRefunded);
    else if (fate < PAYS + CANCELS) {
      const path = `${API}/orders/${orderId}/cancel`;
      await this.#until(customer, { kind: "cancel", path, isTooEarly: isNotThereYet });
    }
  }

  async #pay(customer: Customer, orderId: string, isRefunded: boolean): Promise<void> {
    const { witness, admin, doors } = this.#parts;
    const path = `${API}/orders/${orderId}/pay`;
    const opened = await this.#until(customer, { kind: "pay", path, isTooEarly: isNotThereYet });
    if (opened?.status !== 201) return;
    const { id: paymentId } = opened.data as { id: string };
    const taken = await this.#until(customer, {
      kind: "pay",
      path: `${API}/payments/${paymentId}/simulate`,
      options: { body: { outcome: "succeeded" } },
    });
    if (taken?.status !== 202) return;
    witness.payments.set(paymentId, { orderId, paymentId });
    if (!isRefunded) return;
    await delay(S_MS);
    const given = await this.#until(
      { userId: "", doors: doors.map((url) => new HttpClient(url, admin.token)) },
      {
        kind: "refund",
        path: `${API}/payments/${paymentId}/refund`,
        options: { body: { reason: "changed his mind" }, key: randomUUID() },
        isTooEarly: isNotThereYet,
        patienceMs: REFUND_PATIENCE_MS,
      },
    );
    if (given?.status === 201) witness.refundsAcknowledged += 1;
  }

  /** Asks again until it is decided; undefined when his patience is at its end. */
  async #until(customer: Customer, wish: Wish): Promise<Answer | undefined> {
    const { patienceMs = PATIENCE_MS, isTooEarly = never } = wish;
    const deadlineMs = performance.now() + patienceMs;
    while (performance.now() < deadlineMs && !this.#isGone) {
      const answer = await this.#ask(customer, wish);
      if (answer !== undefined && !isForNow(answer) && !isTooEarly(answer)) return answer;
      await delay(pauseBefore(answer) * (1 + Math.random()));
    }
    if (wish.patienceMs === undefined) {
      this.#parts.witness.fault(`nobody decided a ${wish.kind} within ${patienceMs / S_MS} s`);
    }
    return undefined;
  }

  async #ask(customer: Customer, wish: Wish): Promise<Answer | undefined> {
    const sentMs = performance.now();
    const answer = await this.#throughADoor(customer, wish);
    const data = answer?.data as { status?: string } | undefined;
    this.#parts.witness.heard({
      kind: wish.kind,
      sentMs,
      tookMs: performance.now() - sentMs,
      status: answer?.status ?? 0,
      outcome: answer?.body.error ?? data?.status ?? "",
      hasRetryAfter: answer?.headers["retry-after"] !== undefined,
    });
    return answer;
  }

  /** As a balancer does: a door that takes no connection, or closes one that lay idle, is passed over. */
  async #throughADoor(
    { doors }: Customer,
    { method = "POST", path, options = {} }: Wish,
  ): Promise<Answer | undefined> {
    this.#turn += 1;
    const first = this.#turn;
    for (let tries = 0; tries < BALANCER_TRIES_MAX; tries += 1) {
      try {
        return await doors[(first + tries) % doors.length]?.send(method, path, options);
      } catch (error) {
        const { code, wasIdle } = error as { code?: string; wasIdle?: boolean };
        if (code !== "ECONNREFUSED" && wasIdle !== true) return undefined;
        if (doors.length === 1 && code === "ECONNREFUSED") return undefined;
      }
    }
    return undefined;
  }
}

/** He comes back when he was told to, or in a moment. */
function pauseBefore(answer: Answer | undefined): number {
  const asked = Number(answer?.headers["retry-after"] ?? 0) * S_MS;
  return Math.max(RETRY_MS, asked);
}

const never = (): boolean => false;

const FOR_NOW = new Set([
  "IDEMPOTENCY_IN_PROGRESS",
  "SECKILL_NOT_STARTED",
  "VERSION_CONFLICT",
  "RATE_LIMITED",
]);

/** Whether the same request may be answered otherwise later. */
function isForNow({ status, body }: Answer): boolean {
  return status >= 500 || status === 429 || FOR_NOW.has(body.error ?? "");
}

/** A promised order's row, or a payment's capture, may be a moment behind its promise. */
function isNotThereYet({ body }: Answer): boolean {
  return body.error === "ORDER_NOT_FOUND" || body.error === "PAYMENT_ILLEGAL_STATE";
}
