// Floor F, third process: claims outbox rows, publishes them to a stream, and makes the orders of what
// comes back: inbox row, orders and items of all events at hand in one transaction, then the
// acknowledgements.
import {
  AckPolicy,
  connect,
  type JetStreamClient,
  type JsMsg,
  type NatsConnection,
  RetentionPolicy,
  StorageType,
} from "nats";
import { serve } from "../child-process.ts";
import { FloorDatabase } from "../floor-database.ts";
import { type FloorAdmitted, hintSubject, natsOptions } from "./floor-wire.ts";

const STREAM = "bench-floor";
const CONSUMER = "orders";
const CLAIM_MAX = 256;
/** Events of one transaction, as the product's. */
const EVENTS_MAX = 8;
const MESSAGES_AHEAD = 64;
const PAYMENT_WINDOW_MIN = 30;

export interface WorkerParams {
  readonly mysqlUrl: string;
  readonly admissionSchema: string;
  readonly orderSchema: string;
  readonly natsUrl: string;
  readonly namespace: string;
}

serve({
  async prepare({ mysqlUrl, admissionSchema, orderSchema, natsUrl, namespace }: WorkerParams) {
    const many = { hasManyStatements: true };
    const admissions = await FloorDatabase.open(mysqlUrl, admissionSchema, many);
    const orders = await FloorDatabase.open(mysqlUrl, orderSchema, many);
    const nats = await connect(natsOptions(natsUrl));
    const subject = `${namespace}.bench.admitted`;
    await makeStream(nats, subject);
    const stream = nats.jetstream();
    const relay = createLoop(() => relayOnce(admissions, stream, subject));
    nats.subscribe(hintSubject(namespace), { callback: relay });
    void consume(stream, orders);
  },
});

async function makeStream(nats: NatsConnection, subject: string): Promise<void> {
  const manager = await nats.jetstreamManager();
  await manager.streams.add({
    name: STREAM,
    subjects: [subject],
    storage: StorageType.File,
    retention: RetentionPolicy.Workqueue,
  });
  await manager.consumers.add(STREAM, { durable_name: CONSUMER, ack_policy: AckPolicy.Explicit });
}

/** Turns run while there is work; a hint during a turn makes one more. */
function createLoop(turn: () => Promise<boolean>): () => void {
  let isRunning = false;
  let isHinted = false;
  const run = async (): Promise<void> => {
    isRunning = true;
    while (isHinted) {
      isHinted = false;
      while (await turn());
    }
    isRunning = false;
  };
  return () => {
    isHinted = true;
    if (!isRunning) void run();
  };
}

async function relayOnce(
  database: FloorDatabase,
  stream: JetStreamClient,
  subject: string,
): Promise<boolean> {
  const rows = await database.transaction(async (run) => {
    const found = await run(
      `SELECT id, payload FROM outbox WHERE published_at IS NULL
         ORDER BY id LIMIT ${CLAIM_MAX} FOR UPDATE SKIP LOCKED`,
    );
    if (found.length > 0) {
      const ids = found.map(({ id }) => String(id)).join(",");
      await run(
        `UPDATE outbox SET claimed_until = NOW(3) + INTERVAL 15 SECOND WHERE id IN (${ids})`,
      );
    }
    return found;
  });
  if (rows.length === 0) return false;
  await Promise.all(rows.map(({ payload }) => stream.publish(subject, String(payload))));
  const ids = rows.map(({ id }) => String(id)).join(",");
  await database.run(
    `UPDATE outbox SET published_at = NOW(3), publish_count = 1 WHERE id IN (${ids})`,
  );
  return true;
}

async function consume(stream: JetStreamClient, database: FloorDatabase): Promise<void> {
  const consumer = await stream.consumers.get(STREAM, CONSUMER);
  const messages = await consumer.consume({ max_messages: MESSAGES_AHEAD });
  const waiting: JsMsg[] = [];
  const commit = createLoop(async () => {
    const batch = waiting.splice(0, EVENTS_MAX);
    if (batch.length === 0) return false;
    await makeOrders(database, batch);
    for (const message of batch) message.ack();
    return true;
  });
  for await (const message of messages) {
    waiting.push(message);
    commit();
  }
}

async function makeOrders(database: FloorDatabase, batch: readonly JsMsg[]): Promise<void> {
  const receipts = batch.map(({ seq }) => `('order', '${seq}')`).join(",");
  const events = batch.map((message) => message.json<FloorAdmitted>());
  const orders: string[] = [];
  const items: string[] = [];
  for (const { sale, orders: admitted } of events) {
    for (let at = 0; at < admitted.length; at += 2) {
      const [orderId = "", userId = ""] = [admitted[at], admitted[at + 1]];
      orders.push(
        `(${orderId}, ${userId}, 'pending_payment', 1, 1999, 0, 0, 'CNY', ${sale},
          NOW(3) + INTERVAL ${PAYMENT_WINDOW_MIN} MINUTE)`,
      );
      items.push(`(${orderId}, 0, 1, 1, 'Floor', 1, 1999)`);
    }
  }
  await database.transaction(async (run) => {
    await run(
      `INSERT INTO inbox (consumer, event_id) VALUES ${receipts};
       INSERT INTO orders (id, user_id, status, version, total_price, discount, refunded_amount,
           currency, sale_id, expires_at) VALUES ${orders.join(",")};
       INSERT INTO order_items (order_id, line, sku_id, product_id, name, quantity, price)
         VALUES ${items.join(",")}`,
    );
  });
}
