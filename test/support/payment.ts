// The payment service's parts and the mock provider on real MySQL and real HTTP, without a broker.
// Several payment nodes on one database are several processes; the small server that stands where
// the gateway is hands callbacks to one of them.
import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Database } from "../../mixins/database/database.ts";
import { errorSlug, ERROR_CATALOGUE } from "../../services/contracts/errors.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import { createBackgroundLoop } from "../../mixins/background-loop.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { type Failpoint, noFailpoint } from "../../services/kernel/failpoint.ts";
import { createSnowflakeCounter } from "../../services/kernel/snowflake.ts";
import { type Channels, channelsOf } from "../../services/payment/channels/channels.ts";
import { createHttpClient } from "../../services/payment/channels/json-http.ts";
import { createMockChannel } from "../../services/payment/channels/mock-channel.ts";
import { signWebhook, webhookKey } from "../../services/payment/channels/standard-webhook.ts";
import type { Payable } from "../../services/payment/domain/opening.ts";
import type { Payment } from "../../services/payment/domain/payment.ts";
import { chargeOf } from "../../services/payment/open-payment.ts";
import { createPaymentNode, type PaymentNode } from "../../services/payment/payment-node.ts";
import { findPayment } from "../../services/payment/payment.repository.ts";
import { sendCallbacks } from "../../services/payment/provider/callback-sender.ts";
import { providerKey } from "../../services/payment/provider/provider-api.ts";
import { createProviderServer } from "../../services/payment/provider/provider-server.ts";
import { silentLog, type TestDatabase, testDatabase } from "./database.ts";
import { eventually } from "./eventually.ts";

const PROVIDER_PAUSE_MS = 50;
const SECRET = `whsec_${Buffer.from("a webhook key that only these tests use!").toString("base64")}`;
const OLD_SECRET = `whsec_${Buffer.from("the key before the present one, of tests").toString("base64")}`;
const WAIT_MS = 5_000;
const PROVIDER_TIMEOUT_MS = 500;
const WORKER_IDS_MAX = 1_024;

const ids = createSnowflakeCounter({
  workerId: process.pid % WORKER_IDS_MAX,
  floorMs: 0,
  highWaterMs: systemClock.now() + 3_600_000,
});

/** An id that nothing else of this process has. */
export function newId(): string {
  return ids.next(systemClock.now()) ?? newId();
}

export interface NodeOptions {
  readonly failpoint?: Failpoint;
  readonly clock?: Clock;
  readonly callbackDatabase?: Database;
}

export interface MockProvider {
  readonly database: Database;
  readonly url: string;
  stop(): Promise<void>;
}

export interface CallbackChanges {
  readonly webhookId?: string;
  readonly status?: "succeeded" | "failed";
  readonly amount?: number;
  readonly paymentId?: string;
  readonly secret?: string;
  readonly ageMs?: number;
}

export class PaymentRig {
  readonly schemas: TestDatabase;
  readonly database: Database;
  /** What nodes logged as errors. */
  readonly errors: string[] = [];
  readonly #shop: Server;
  readonly #nodes: PaymentNode[] = [];
  provider: MockProvider;
  /** Takes the provider's callbacks. */
  receiver: PaymentNode | undefined;
  /** Callbacks answered with 503 before one is taken. */
  refuseCallbacks = 0;

  private constructor(schemas: TestDatabase, shop: Server, provider: MockProvider) {
    this.schemas = schemas;
    this.database = schemas.database("payment");
    this.#shop = shop;
    this.provider = provider;
  }

  static async start(): Promise<PaymentRig> {
    const schemas = await testDatabase({ services: ["payment", "provider"] });
    const rigs: PaymentRig[] = [];
    const shop = createServer((request, response) => {
      void (async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
        const paymentId = /payments\/(\d+)\/callbacks$/.exec(request.url ?? "")?.[1] ?? "";
        const headers = request.headers as Record<string, string>;
        const status = (await rigs[0]?.take(paymentId, headers, Buffer.concat(chunks))) ?? 503;
        response.writeHead(status).end();
      })();
    });
    await new Promise<void>((resolve) => shop.listen(0, "127.0.0.1", resolve));
    const provider = await startProvider(schemas, shop, 0);
    const rig = new PaymentRig(schemas, shop, provider);
    rigs.push(rig);
    rig.receiver = rig.node();
    return rig;
  }

  /** A payment node: what one process of the service or of its worker has. */
  node(options: NodeOptions = {}): PaymentNode {
    const { failpoint = noFailpoint, clock = systemClock } = options;
    const node = createPaymentNode({
      database: this.database,
      callbackDatabase: options.callbackDatabase ?? this.database,
      channels: this.channels(clock),
      ids: { next: newId },
      clock,
      log: { ...silentLog, error: (_fields, message) => void this.errors.push(message) },
      random: () => 0.5,
      failpoint,
      hintOutbox: () => undefined,
    });
    this.#nodes.push(node);
    return node;
  }

  async take(id: string, headers: Record<string, string>, rawBody: Buffer): Promise<number> {
    if (this.refuseCallbacks > 0) {
      this.refuseCallbacks -= 1;
      return 503;
    }
    try {
      await this.receiver?.receiver.receive(id, { headers, rawBody });
      return 204;
    } catch (error) {
      return ERROR_CATALOGUE[errorSlug(error) ?? "INTERNAL"].status;
    }
  }

  /** Kills the provider and starts another one at the same place with the same books. */
  async restartProvider(): Promise<void> {
    await this.provider.stop();
    this.provider = await startProvider(this.schemas, this.#shop, portOf(this.provider.url));
  }

  payable(changes: Partial<Payable> = {}): Payable {
    return {
      orderId: newId(),
      userId: "7",
      amount: 1_999,
      currency: "CNY",
      channel: "mock",
      expiresAt: new Date(Date.now() + 60_000),
      ...changes,
    };
  }

  /** Sends a callback as a provider would, to `node`. Rejects with what the node refused it with. */
  async callback(
    payment: Pick<Payment, "id" | "amount">,
    changes: CallbackChanges = {},
    node: PaymentNode | undefined = this.receiver,
  ): Promise<void> {
    const rawBody = Buffer.from(
      JSON.stringify({
        payment_id: changes.paymentId ?? payment.id,
        status: changes.status ?? "succeeded",
        amount: changes.amount ?? payment.amount,
        provider_ref: `ref-${payment.id}`,
      }),
    );
    const headers = { ...this.sign(rawBody, changes) };
    await node?.receiver.receive(payment.id, { headers, rawBody });
  }

  /** Lets the provider do what the buyer would do; its callback follows. */
  async simulate(payment: Payment, outcome: "succeeded" | "failed"): Promise<void> {
    const channels = this.channels();
    await channels.requireMock().simulate(chargeOf(payment), outcome);
    channels.close();
  }

  channels(clock: Clock = systemClock): Channels {
    const http = createHttpClient(this.provider.url, PROVIDER_TIMEOUT_MS);
    const mock = createMockChannel({
      http,
      apiKey: providerKey(SECRET),
      webhookKeys: [SECRET, OLD_SECRET].map(webhookKey),
      clock,
    });
    return channelsOf({ mock }, () => http.close());
  }

  sign(rawBody: Buffer, changes: CallbackChanges = {}): ReturnType<typeof signWebhook> {
    return signWebhook(webhookKey(changes.secret ?? SECRET), {
      id: changes.webhookId ?? randomUUID(),
      atMs: Date.now() - (changes.ageMs ?? 0),
      body: rawBody,
    });
  }

  find(id: string): Promise<Payment> {
    return findPayment(this.database, id, undefined);
  }

  when(id: string, status: Payment["status"]): Promise<Payment> {
    return eventually(
      async () => {
        const payment = await this.find(id);
        return payment.status === status ? payment : undefined;
      },
      { timeoutMs: WAIT_MS, what: `payment ${id} is ${status}` },
    );
  }

  /** Rows of the payment schema, for looking into tables no port shows. */
  async select<Row extends object>(
    text: string,
    params: readonly unknown[] = [],
  ): Promise<readonly Row[]> {
    return await this.database.rows<Row>({ name: "test.select", sql: text }, params);
  }

  events(paymentId: string): Promise<readonly { name: string; payload: string }[]> {
    return this.select("SELECT name, payload FROM outbox WHERE aggregate_id = ? ORDER BY id", [
      paymentId,
    ]);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop()));
    await this.provider.stop();
    this.#shop.closeAllConnections();
    await new Promise((resolve) => this.#shop.close(resolve));
    await this.schemas.drop();
  }
}

export { OLD_SECRET };

function portOf(url: string): number {
  return Number(new URL(url).port);
}

async function startProvider(
  schemas: TestDatabase,
  shop: Server,
  port: number,
): Promise<MockProvider> {
  const database = schemas.database("provider");
  const shopUrl = `http://127.0.0.1:${String((shop.address() as AddressInfo).port)}`;
  const http = createHttpClient(shopUrl, WAIT_MS);
  const key = webhookKey(SECRET);
  const loop = createBackgroundLoop({
    name: "provider",
    log: silentLog,
    random: () => 0.5,
    turn: async () => {
      const sender = { database, http, key, clock: systemClock, random: () => 0.5 };
      return (await sendCallbacks(sender)) ? 0 : PROVIDER_PAUSE_MS;
    },
  });
  const server = createProviderServer({
    database,
    apiKey: providerKey(SECRET),
    port,
    log: silentLog,
    onDelivery: () => loop.wake(),
  });
  const listening = await server.start();
  loop.start();
  return {
    database,
    url: `http://127.0.0.1:${String(listening)}`,
    async stop() {
      http.close();
      await Promise.all([server.stop(), loop.stop()]);
    },
  };
}
