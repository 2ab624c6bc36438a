// Floor T in a process of its own: orders placed, paid and committed with the product's rows in the
// product's transactions, by bare mysql2 and nothing else. Units: `place` and `complete` with one
// transaction per order and step, `placeGrouped` and `completeGrouped` with the product's batches.
// Messages are handed over in memory once their outbox rows are marked.
import { randomUUID } from "node:crypto";
import { serveUnits } from "./child-process.ts";
import type { Unit } from "./closed-loop.ts";
import { FloorDatabase, grouped, type Rows, type Run } from "./floor-database.ts";
import {
  begin,
  commitStock,
  confirm,
  type FloorEvent,
  type FloorOrder,
  markPaid,
  reserve,
} from "./floor-order.ts";
import {
  applyCallbacks,
  capture,
  claimDeliveries,
  claimOutbox,
  markPublished,
  markTaken,
  openPayments,
  registerCharges,
  storeCallbacks,
} from "./floor-payment.ts";

/** As the product's queues. */
const PLACING_BATCH_MAX = 64;
const BATCH_MAX = 128;

export interface FloorParams {
  readonly mysqlUrl: string;
  readonly schemas: Readonly<Record<"order" | "inventory" | "payment" | "provider", string>>;
  readonly skuIds: readonly string[];
}

type Databases = Readonly<Record<keyof FloorParams["schemas"], FloorDatabase>>;
type Step = (order: FloorOrder) => Promise<void>;

serveUnits(async ({ mysqlUrl, schemas, skuIds }: FloorParams): Promise<Record<string, Unit>> => {
  const open = (schema: string): Promise<FloorDatabase> => FloorDatabase.open(mysqlUrl, schema);
  const databases: Databases = {
    order: await open(schemas.order),
    inventory: await open(schemas.inventory),
    payment: await open(schemas.payment),
    provider: await open(schemas.provider),
  };
  const shared = new Orders(skuIds);
  const single = new TradeFloor(databases, shared, false);
  const groups = new TradeFloor(databases, shared, true);
  return {
    place: () => single.placeOnly(),
    complete: () => single.complete(),
    placeGrouped: () => groups.placeOnly(),
    completeGrouped: () => groups.complete(),
  };
});

/** Orders on their way, for the loops that meet their rows. */
class Orders {
  readonly byId = new Map<string, FloorOrder>();
  readonly byPayment = new Map<string, FloorOrder>();
  readonly #skuIds: readonly string[];
  #last = BigInt(Date.now()) << 22n;

  constructor(skuIds: readonly string[]) {
    this.#skuIds = skuIds;
  }

  make(): FloorOrder {
    const id = String((this.#last += 1n));
    const paymentId = String((this.#last += 1n));
    const skuId = this.#skuIds[Number(this.#last % BigInt(this.#skuIds.length))] ?? "";
    const userId = String(9_000_000_000_000_000_000n + (this.#last % 2_000n));
    const order = { id, userId, skuId, productId: skuId, key: randomUUID(), paymentId };
    return { ...order, done: () => undefined };
  }
}

class TradeFloor {
  readonly #databases: Databases;
  readonly #orders: Orders;
  readonly #isGrouped: boolean;
  readonly #steps: Readonly<Record<"begin" | "reserve" | "confirm" | "open", Step>>;
  readonly #register: Step;
  readonly #store: Step;
  readonly #apply: Step;
  readonly #relays: Readonly<Record<"order" | "payment", () => void>>;
  readonly #send: () => void;

  constructor(databases: Databases, orders: Orders, isGrouped: boolean) {
    const { order, inventory, payment, provider } = databases;
    this.#databases = databases;
    this.#orders = orders;
    this.#isGrouped = isGrouped;
    const step = (
      database: FloorDatabase,
      batchMax: number,
      work: (run: Run, batch: readonly FloorOrder[]) => Promise<void>,
    ): Step =>
      grouped(isGrouped, batchMax, (batch) => database.transaction((run) => work(run, batch)));
    this.#steps = {
      begin: step(order, PLACING_BATCH_MAX, begin),
      reserve: step(inventory, BATCH_MAX, reserve),
      confirm: step(order, PLACING_BATCH_MAX, confirm),
      open: step(payment, BATCH_MAX, openPayments),
    };
    this.#store = step(payment, BATCH_MAX, storeCallbacks);
    this.#apply = step(payment, BATCH_MAX, applyCallbacks);
    this.#register = grouped(isGrouped, BATCH_MAX, (batch) => registerCharges(provider, batch));
    this.#relays = {
      order: wakeable(() => this.#relay("order", (events) => this.#toInventory(events))),
      payment: wakeable(() => this.#relay("payment", (events) => this.#toOrder(events))),
    };
    this.#send = wakeable(() => this.#sendCallbacks());
  }

  async place(): Promise<FloorOrder> {
    const order = this.#orders.make();
    await this.#steps.begin(order);
    await this.#steps.reserve(order);
    await this.#steps.confirm(order);
    this.#relays.order();
    return order;
  }

  async placeOnly(): Promise<void> {
    await this.place();
  }

  async complete(): Promise<void> {
    const order = await this.place();
    await this.#steps.open(order);
    await this.#register(order);
    const { byId, byPayment } = this.#orders;
    const done = new Promise<void>((resolve) => (order.done = resolve));
    byId.set(order.id, order);
    byPayment.set(order.paymentId, order);
    await this.#databases.provider.transaction((run) => capture(run, order));
    this.#send();
    await done;
    byId.delete(order.id);
    byPayment.delete(order.paymentId);
  }

  /** One turn of the provider's sender; false when nothing was due. */
  async #sendCallbacks(): Promise<boolean> {
    const due = await this.#databases.provider.transaction(claimDeliveries);
    await Promise.all(due.map((delivery) => this.#receive(delivery)));
    return due.length > 0;
  }

  async #receive(delivery: Rows[number]): Promise<void> {
    const order = this.#orders.byPayment.get(String(delivery["payment_id"]));
    if (order === undefined) return;
    await this.#store(order);
    void this.#apply(order).then(() => this.#relays.payment());
    await markTaken(this.#databases.provider, delivery["id"]);
  }

  /** One turn of a relay; false when nothing waited. */
  async #relay(
    owner: "order" | "payment",
    deliver: (events: readonly FloorEvent[]) => Promise<void>,
  ): Promise<boolean> {
    const database = this.#databases[owner];
    const rows = await database.transaction(claimOutbox);
    if (rows.length === 0) return false;
    await markPublished(
      database,
      rows.map((row) => row["id"]),
    );
    const events = rows.filter((row) => row["name"] !== "order.created.v1");
    void deliver(events.flatMap((row) => this.#eventOf(owner, row)));
    return true;
  }

  #eventOf(owner: "order" | "payment", row: Rows[number]): FloorEvent[] {
    const { byId, byPayment } = this.#orders;
    const order = (owner === "order" ? byId : byPayment).get(String(row["aggregateId"]));
    return order === undefined ? [] : [{ id: `${owner}.${String(row["id"])}`, order }];
  }

  async #toOrder(events: readonly FloorEvent[]): Promise<void> {
    await this.#consume(this.#databases.order, events, markPaid);
    this.#relays.order();
  }

  async #toInventory(events: readonly FloorEvent[]): Promise<void> {
    await this.#consume(this.#databases.inventory, events, commitStock);
    for (const { order } of events) order.done();
  }

  async #consume(
    database: FloorDatabase,
    events: readonly FloorEvent[],
    apply: (run: Run, events: readonly FloorEvent[]) => Promise<void>,
  ): Promise<void> {
    if (events.length === 0) return;
    const batches = this.#isGrouped ? [events] : events.map((event) => [event]);
    await Promise.all(batches.map((batch) => database.transaction((run) => apply(run, batch))));
  }
}

/** A loop that runs turns while it is woken and there is work; one turn at a time. */
function wakeable(turn: () => Promise<boolean>): () => void {
  let isRunning = false;
  let isWoken = false;
  const run = async (): Promise<void> => {
    isRunning = true;
    while (isWoken) {
      isWoken = false;
      while (await turn());
    }
    isRunning = false;
  };
  return () => {
    isWoken = true;
    if (!isRunning) void run();
  };
}
