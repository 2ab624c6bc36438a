// What the customers themselves heard: the only witness the platform's own figures are held against. What was
// acknowledged to a customer is written down when he hears it and never taken back.

export const REQUEST_KINDS = ["browse", "place", "pay", "cancel", "buy", "look", "refund"] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

/** One request and its answer. */
export interface Exchange {
  readonly kind: RequestKind;
  /** By performance.now(). */
  readonly sentMs: number;
  readonly tookMs: number;
  /** 0 = no answer. */
  readonly status: number;
  /** Slug of the error, or the status in the answer's data. */
  readonly outcome: string;
  readonly hasRetryAfter: boolean;
}

/** An order that a customer was told he has. */
export interface Acknowledged {
  readonly orderId: string;
  readonly userId: string;
  /** Of a flash sale: a promise, before the order's row is there. */
  readonly isPromise: boolean;
}

/** Money the provider was told to take. */
export interface AcknowledgedPayment {
  readonly orderId: string;
  readonly paymentId: string;
}

const FAULTS_MAX = 50;

export class Witness {
  readonly exchanges: Exchange[] = [];
  readonly orders = new Map<string, Acknowledged>();
  readonly payments = new Map<string, AcknowledgedPayment>();
  /** Customers, each of whom wants one order. */
  readonly customers: string[] = [];
  readonly faults: string[] = [];
  refundsAcknowledged = 0;

  heard(exchange: Exchange): void {
    this.exchanges.push(exchange);
  }

  acknowledged(order: Acknowledged): void {
    const known = this.orders.get(order.orderId);
    if (known !== undefined && known.userId !== order.userId) {
      this.fault(`order ${order.orderId} was promised to two customers`);
    }
    this.orders.set(order.orderId, order);
  }

  fault(text: string): void {
    if (this.faults.length < FAULTS_MAX) this.faults.push(text);
  }
}

/** Whether the shop did what was asked or said why it may not be done. */
export function isServed({ status }: Exchange): boolean {
  return status > 0 && status < 500;
}

/** Whether the shop said by itself, and how long to wait, that it cannot now. */
export function isRefusedWell({ status, hasRetryAfter }: Exchange): boolean {
  return status === 503 && hasRetryAfter;
}

export interface Course {
  readonly injectedMs: number;
  readonly healedMs: number;
}

/** What the customers saw of a fault. Times in ms; null = nothing to be seen. */
export interface Seen {
  /** Answers by status; 0 = none. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly longest_wait_ms: number;
  /** From the fault to the end of the first request that it spoiled. */
  readonly detect_ms: number | null;
  /** From the fault to the first deliberate answer after that: served, or refused with Retry-After. */
  readonly degrade_ms: number | null;
  /** From the healing to the end of the last request that was not served. */
  readonly recover_ms: number | null;
  /** Orders and promises while the fault lasted. */
  readonly sold_meanwhile: number;
}

export function seenBy({ exchanges }: Witness, { injectedMs, healedMs }: Course): Seen {
  const statuses: Record<string, number> = {};
  for (const { status } of exchanges) statuses[status] = (statuses[status] ?? 0) + 1;
  const ended = exchanges
    .map((one) => ({ ...one, endMs: one.sentMs + one.tookMs }))
    .sort((left, right) => left.endMs - right.endMs);
  const during = ended.filter(({ endMs }) => endMs >= injectedMs);
  const spoiled = during.find((one) => !isServed(one));
  const deliberate = during.find(
    (one) => one.endMs > (spoiled?.endMs ?? Infinity) && (isServed(one) || isRefusedWell(one)),
  );
  const last = during.findLast((one) => !isServed(one) && one.endMs >= healedMs);
  const sold = during.filter(
    ({ status, kind, outcome, endMs }) =>
      endMs < healedMs &&
      (status === 201 || outcome === "queued") &&
      (kind === "place" || kind === "buy"),
  );
  const since = (one: { endMs: number } | undefined, fromMs: number): number | null =>
    one === undefined ? null : Math.round(one.endMs - fromMs);
  return {
    statuses,
    longest_wait_ms: Math.round(Math.max(0, ...exchanges.map(({ tookMs }) => tookMs))),
    detect_ms: since(spoiled, injectedMs),
    degrade_ms: spoiled === undefined ? null : since(deliberate, injectedMs),
    recover_ms: since(last, healedMs),
    sold_meanwhile: sold.length,
  };
}
