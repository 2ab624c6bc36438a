// What buyers do in a schedule, and what they heard: one entry of the history per wish, however often it
// had to be asked. A buyer who is not told what came of his wish asks again with the same key.
import { createHash } from "node:crypto";
import type { Principal } from "../../../mixins/auth/tokens.ts";
import type { Order } from "../../../services/contracts/order.ts";
import type { Payment } from "../../../services/contracts/payment.ts";
import { errorDetails, errorSlug } from "../../../services/contracts/errors.ts";
import type { Operation, Outcome } from "../../support/history/operation.ts";
import type { CallerOptions } from "./broker.ts";
import type { World } from "./world.ts";

const TRIES_MAX = 6;
const ASK_AGAIN_MS = 400;
const BUY_TIMEOUT_MS = 2_000;
const FINGERPRINT = createHash("sha256").update("body").digest("hex");
/** Answers that decide nothing. */
const UNDECIDED: ReadonlySet<string> = new Set([
  "OVERLOADED",
  "SERVICE_UNAVAILABLE",
  "OUTCOME_UNKNOWN",
  "IDEMPOTENCY_IN_PROGRESS",
  "PAYMENT_PROVIDER_UNAVAILABLE",
  "SHUTTING_DOWN",
]);
const SOLD_OUT: ReadonlySet<string> = new Set(["SECKILL_SOLD_OUT", "INVENTORY_OUT_OF_STOCK"]);

export class Shop {
  readonly world: World;
  readonly operations: Operation[] = [];
  #wishes = 0;

  constructor(world: World) {
    this.world = world;
  }

  /** Buys one unit of a sale; undefined unless he was told that he has it. */
  async buy(saleId: string, userId: string, tries = TRIES_MAX): Promise<string | undefined> {
    const requestId = `r${this.#next()}`;
    const wish = { kind: "take", object: saleId, userId, orderId: undefined } as const;
    return await this.#perform(wish, tries, async () => {
      const answer = await this.#ask(
        "seckill.buy",
        { sale_id: saleId, user_id: userId },
        {
          requestId,
          timeout: BUY_TIMEOUT_MS,
        },
      );
      const { order_id: orderId, status } = answer as { order_id?: string; status: string };
      return status === "queued" ? { outcome: "done", orderId } : undefined;
    });
  }

  async place(skuId: string, userId: string): Promise<string | undefined> {
    const options = this.#as(userId, "POST /orders");
    const wish = { kind: "take", object: skuId, userId, orderId: undefined } as const;
    return await this.#perform(wish, TRIES_MAX, async () => {
      const items = [{ sku_id: skuId, quantity: 1 }];
      const order = (await this.#ask("order.place", { items }, options)) as Order;
      return { outcome: "done", orderId: order.id };
    });
  }

  /** Opens the payment; undefined when that was refused or is not known. */
  async openPayment(userId: string, orderId: string): Promise<string | undefined> {
    const options = this.#as(userId, "POST /orders/:id/pay");
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      try {
        return ((await this.#ask("order.pay", { id: orderId }, options)) as Payment).id;
      } catch (error) {
        if (!isUndecided(error)) return undefined;
        await this.world.simulation.sleep(ASK_AGAIN_MS);
      }
    }
    return undefined;
  }

  /** The buyer pays at the provider, who tells the shop until the shop has taken it. */
  capture(orderId: string, paymentId: string): boolean {
    this.#wish({ kind: "pay", object: this.#objectOf(orderId), userId: "", orderId });
    return this.world.provider.capture(paymentId, async (id, { headers, rawBody }) => {
      const params = { payment_id: id, headers, raw_body: rawBody.toString("base64") };
      return await this.#ask("payment.receiveCallback", params, {}).then(
        () => true,
        () => false,
      );
    });
  }

  async cancel(userId: string, orderId: string): Promise<void> {
    const options = this.#as(userId, "POST /orders/:id/cancel");
    const wish = { kind: "cancel", object: this.#objectOf(orderId), userId, orderId } as const;
    await this.#perform(wish, TRIES_MAX, async () => {
      const order = (await this.#ask("order.cancel", { id: orderId }, options)) as Order;
      return order.status === "cancelled" ? { outcome: "done", orderId } : undefined;
    });
  }

  async refund(orderId: string, paymentId: string, amount: number): Promise<void> {
    this.#wish({ kind: "refund", object: this.#objectOf(orderId), userId: "", orderId });
    const options = this.#as("1", "POST /payments/:id/refund", "admin");
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const params = { id: paymentId, amount, reason: "wish" };
      const isDone = await this.#ask("payment.refund", params, options).then(
        () => true,
        (error: unknown) => !isUndecided(error),
      );
      if (isDone) return;
      await this.world.simulation.sleep(ASK_AGAIN_MS);
    }
  }

  #next(): number {
    this.#wishes += 1;
    return this.#wishes;
  }

  #as(userId: string, route: string, role: Principal["role"] = "customer"): CallerOptions {
    return {
      principal: { userId, role } as Principal,
      headers: {
        idempotency_route: route,
        idempotency_key: `key-${this.#next()}`,
        idempotency_fingerprint: FINGERPRINT,
      },
    };
  }

  #ask(action: string, params: object, options: CallerOptions): Promise<unknown> {
    return this.world.brokers.call(action, params, options);
  }

  #objectOf(orderId: string): string {
    return this.operations.find((one) => one.orderId === orderId)?.object ?? "";
  }

  /** Remembers a wish of which nothing has been heard yet. */
  #wish(wish: Wish): Operation {
    const operation: Operation = {
      ...wish,
      invokedAt: this.world.simulation.now,
      returnedAt: Number.POSITIVE_INFINITY,
      outcome: "unknown",
      isRepeated: false,
    };
    this.operations.push(operation);
    return operation;
  }

  async #perform(
    wish: Wish,
    triesMax: number,
    attempt: () => Promise<Answer | undefined>,
  ): Promise<string | undefined> {
    const { simulation } = this.world;
    const operation = this.#wish(wish);
    simulation.note(`${wish.kind} of ${wish.userId} …`);
    for (let tries = 0; tries < triesMax; tries += 1) {
      const answer = await answered(attempt);
      if (answer !== undefined) {
        Object.assign(operation, { ...answer, returnedAt: simulation.now });
        operation.orderId = answer.orderId ?? wish.orderId;
        simulation.note(
          `${wish.kind} of ${wish.userId}: ${answer.outcome} ${answer.orderId ?? ""}`,
        );
        return answer.outcome === "done" ? answer.orderId : undefined;
      }
      operation.isRepeated = true;
      await simulation.sleep(ASK_AGAIN_MS);
    }
    simulation.note(`${wish.kind} of ${wish.userId}: not known`);
    return undefined;
  }
}

type Wish = Pick<Operation, "kind" | "object" | "userId" | "orderId">;

interface Answer {
  readonly outcome: Outcome;
  readonly orderId: string | undefined;
}

function isUndecided(error: unknown): boolean {
  return UNDECIDED.has(errorSlug(error) ?? "SERVICE_UNAVAILABLE");
}

/** Undefined when nothing was decided. */
async function answered(attempt: () => Promise<Answer | undefined>): Promise<Answer | undefined> {
  try {
    return await attempt();
  } catch (error) {
    if (isUndecided(error)) return undefined;
    const slug = errorSlug(error) ?? "";
    const details = errorDetails(error) as { order_id?: string } | undefined;
    if (SOLD_OUT.has(slug)) return { outcome: "sold_out", orderId: undefined };
    if (slug === "SECKILL_ALREADY_PURCHASED") {
      return { outcome: "already", orderId: details?.order_id };
    }
    return { outcome: "refused", orderId: undefined };
  }
}
