// What the buyers themselves saw: the log that the shop's own figures are held against afterwards. A
// promise is written down when it is heard, never taken back, and never believed twice.

export interface Promised {
  readonly buyer: number;
  readonly orderId: string;
  readonly atMs: number;
}

export interface Counts {
  readonly requests: number;
  readonly promised: number;
  /** Buyers who know what has become of all their first attempts. */
  readonly decided: number;
  /** Answers by outcome: `queued`, `waiting`, the slug of an error, or `no answer`. */
  readonly answers: ReadonlyMap<string, number>;
  readonly paid: number;
  readonly lateRefunds: number;
  /** Answers and promises that must never be; empty when all is well. */
  readonly faults: readonly string[];
}

const FAULTS_MAX = 50;

export class Witness {
  readonly #startedMs = performance.now();
  readonly #orders = new Map<string, Promised>();
  readonly #ordersOf = new Map<number, Set<string>>();
  readonly #answers = new Map<string, number>();
  readonly #faults: string[] = [];
  readonly #paid = new Set<string>();
  readonly #winnersMs: number[] = [];
  readonly #othersMs: number[] = [];
  #requests = 0;
  #decided = 0;
  #lateRefunds = 0;

  request(): void {
    this.#requests += 1;
  }

  /** @param ms from the moment the buyer wanted to send, not from when a connection was free. */
  answer(outcome: string, ms: number): void {
    this.#answers.set(outcome, (this.#answers.get(outcome) ?? 0) + 1);
    (outcome === "queued" ? this.#winnersMs : this.#othersMs).push(ms);
  }

  /** The buyer was told that this order is his. */
  promise(buyer: number, orderId: string): void {
    const known = this.#orders.get(orderId);
    if (known !== undefined) {
      if (known.buyer !== buyer) this.fault(`order ${orderId} was promised to two buyers`);
      return;
    }
    this.#orders.set(orderId, { buyer, orderId, atMs: performance.now() - this.#startedMs });
    const mine = this.#ordersOf.get(buyer) ?? new Set();
    this.#ordersOf.set(buyer, mine.add(orderId));
  }

  decided(): void {
    this.#decided += 1;
  }

  fault(text: string): void {
    if (this.#faults.length < FAULTS_MAX) this.#faults.push(text);
  }

  /** The provider was told that this order was paid, in time. */
  paid(orderId: string): void {
    this.#paid.add(orderId);
  }

  lateRefund(): void {
    this.#lateRefunds += 1;
  }

  get promises(): readonly Promised[] {
    return [...this.#orders.values()];
  }

  get paidOrders(): ReadonlySet<string> {
    return this.#paid;
  }

  ordersOf(buyer: number): ReadonlySet<string> {
    return this.#ordersOf.get(buyer) ?? new Set();
  }

  get counts(): Counts {
    return {
      requests: this.#requests,
      promised: this.#orders.size,
      decided: this.#decided,
      answers: this.#answers,
      paid: this.#paid.size,
      lateRefunds: this.#lateRefunds,
      faults: this.#faults,
    };
  }

  /** Times to answer in milliseconds, rising. */
  times(group: "winners" | "others"): readonly number[] {
    const times = group === "winners" ? this.#winnersMs : this.#othersMs;
    return [...times].sort((left, right) => left - right);
  }
}
