// One node of the platform, wired from the product's own parts over simulated servers. Its background
// turns are taken when the schedule says so, besides its consumers and relays, which run by themselves.
import type { Context } from "moleculer";
import { ConsumerRunner } from "../../../mixins/channels/consumer-runner.ts";
import type { EventConsumer } from "../../../mixins/channels/channel.ts";
import { CONSUMER_LIMITS, RELAY_LIMITS } from "../../../mixins/channels/limits.ts";
import type { Database } from "../../../mixins/database/database.ts";
import { OutboxRelay } from "../../../mixins/outbox/outbox-relay.ts";
import type { EventOwner } from "../../../services/contracts/events.ts";
import { MINUTE_MS, systemClock } from "../../../services/kernel/clock.ts";
import { noFailpoint } from "../../../services/kernel/failpoint.ts";
import type { AvailabilityStore } from "../../../services/inventory/availability.store.ts";
import { createInventoryService } from "../../../services/inventory/inventory.service.ts";
import { inventoryConsumers } from "../../../services/inventory/inventory.worker.ts";
import { createReserver } from "../../../services/inventory/reserve.ts";
import { createSoldOutMarks } from "../../../services/inventory/sold-out-marks.ts";
import { closeDueOrders, type CloseOrderDeps } from "../../../services/order/close-order.saga.ts";
import { flashOrderConsumer } from "../../../services/order/flash-orders.ts";
import { createOrderReader } from "../../../services/order/order-reader.ts";
import { createOrderService } from "../../../services/order/order.service.ts";
import { paymentConsumers } from "../../../services/order/payment-events.ts";
import { PLACE_LEASE_MS } from "../../../services/order/place-order.saga.ts";
import { createPlacing } from "../../../services/order/placing.repository.ts";
import { createQuotes } from "../../../services/order/quotes.ts";
import { recoverSagas } from "../../../services/order/saga-recovery.ts";
import { createPaymentNode, type PaymentDeps } from "../../../services/payment/payment-node.ts";
import { createPaymentService } from "../../../services/payment/payment.service.ts";
import { runRefunds } from "../../../services/payment/refund-runner.ts";
import { createAdmitter } from "../../../services/seckill/admit.ts";
import { buy } from "../../../services/seckill/buy.ts";
import { createGateCoordinator } from "../../../services/seckill/gate-coordinator.ts";
import { createGate } from "../../../services/seckill/gate.store.ts";
import type { Gate } from "../../../services/seckill/gate.ts";
import { createGiveBackRetry, giveBackConsumer } from "../../../services/seckill/give-back.ts";
import { createOutcomes } from "../../../services/seckill/outcomes.ts";
import { createReaper } from "../../../services/seckill/reaper.ts";
import { createSaleCache } from "../../../services/seckill/sale-cache.ts";
import { keepSales } from "../../../services/seckill/sale-keeper.ts";
import type { SaleLifeDeps } from "../../../services/seckill/sale-life.ts";
import { silentLog } from "../../support/database.ts";
import type { Process } from "../kernel/simulation.ts";
import { simulatedDatabase } from "./database.ts";
import { simulatedRedis } from "./redis.ts";
import { SIMULATED_SCHEMAS } from "./schemas.ts";
import type { World } from "./world.ts";

const PAYMENT_WINDOW_MS = 60_000;
const CURRENCY = "CNY";
/** Everybody believes to lead: two leaders at once must do no harm. */
const ALWAYS_LEADING = { isHeld: () => true };
/** Relays look when they are told to, and in the turns of the schedule. */
const RELAY_POLL_MS = 10 * MINUTE_MS;
/** Room in a node's memories: nodes are started by the thousand. */
const REMEMBERED_MAX = 8;

const NO_METRICS = {
  increment: () => undefined,
  observe: () => undefined,
  set: () => undefined,
};

export type Turn =
  "gates" | "reaper" | "give-backs" | "sales" | "deadlines" | "sagas" | "callbacks" | "refunds";

export interface SimulatedNode {
  readonly process: Process;
  readonly gate: Gate;
  /** Takes one turn of background work, or dies in it; a failure is a turn that did nothing. */
  turn(name: Turn): Promise<void>;
  wakeRelays(): void;
}

interface Wiring {
  readonly world: World;
  readonly process: Process;
  readonly databaseOf: (owner: EventOwner) => Database;
  readonly hint: (owner: EventOwner) => void;
}

export function startNode(world: World, process: Process): SimulatedNode {
  const databases = new Map(
    SIMULATED_SCHEMAS.map((schema) => [
      schema as EventOwner,
      simulatedDatabase({ server: world.sql, network: world.network, process }, schema),
    ]),
  );
  const bus = world.messages.connect(process);
  const wiring: Wiring = {
    world,
    process,
    databaseOf: (owner) => databases.get(owner)!,
    hint: (owner) => bus.hintOutbox(owner),
  };
  const seckill = wireSeckill(wiring);
  const order = wireOrder(wiring);
  const payment = wirePayment(wiring);
  const inventory = wireInventory(wiring);
  const shared = { bus, random: world.simulation.random, failpoint: noFailpoint, log: silentLog };
  const consumers: readonly (readonly [EventOwner, readonly EventConsumer[]])[] = [
    ["seckill", seckill.consumers],
    ["order", order.consumers],
    ["inventory", inventory],
  ];
  for (const [owner, definitions] of consumers) {
    const database = wiring.databaseOf(owner);
    for (const definition of definitions) {
      const limits = { ...CONSUMER_LIMITS, failingEventsMax: REMEMBERED_MAX };
      new ConsumerRunner({ ...shared, consumer: owner, definition, database, limits }).start();
    }
  }
  const limits = { ...RELAY_LIMITS, pollMinMs: RELAY_POLL_MS, pollMaxMs: RELAY_POLL_MS };
  const relays = SIMULATED_SCHEMAS.map(
    (owner) =>
      new OutboxRelay({
        ...shared,
        owner,
        database: wiring.databaseOf(owner),
        leadership: ALWAYS_LEADING,
        limits,
      }),
  );
  for (const relay of relays) relay.start();
  const turns: Readonly<Record<Turn, () => Promise<unknown>>> = {
    ...seckill.turns,
    ...order.turns,
    ...payment,
  };
  const died = new Promise<void>((resolve) => process.onDeath(resolve));
  return {
    process,
    gate: seckill.gate,
    async turn(name) {
      await Promise.race([turns[name]().catch(() => undefined), died]);
    },
    wakeRelays: () => {
      for (const relay of relays) relay.wake();
    },
  };
}

function wireSeckill({ world, process, databaseOf, hint }: Wiring) {
  const { simulation, network, redis, ids, brokers } = world;
  const database = databaseOf("seckill");
  const clock = systemClock;
  const gate = createGate({
    redis: simulatedRedis(network, redis, process),
    namespace: "sim",
    clock,
  });
  const sales = createSaleCache(database, clock);
  const life: SaleLifeDeps = {
    database,
    ids,
    currency: CURRENCY,
    clock,
    failpoint: noFailpoint,
    onEvents: () => hint("seckill"),
    onChanged: () => undefined,
  };
  const shared = { ...life, gate, log: silentLog, metrics: NO_METRICS, lease: ALWAYS_LEADING };
  const { random } = simulation;
  const admitter = createAdmitter({
    ...shared,
    owner: process.name,
    sales,
    random,
    rememberedMax: REMEMBERED_MAX,
  });
  const outcomes = createOutcomes(database, admitter.commits, clock);
  brokers.serveAction(process, "seckill.buy", async (ctx: Context) => {
    const { sale_id: saleId, user_id: userId } = ctx.params as Record<string, string>;
    const request = { saleId: saleId!, userId: userId!, requestId: ctx.id };
    return await buy({ admitter, outcomes }, request);
  });
  const coordinator = createGateCoordinator(shared);
  const reaper = createReaper(shared);
  const broker = brokers.broker();
  const retry = giveBackTurn(shared, world);
  return {
    gate,
    consumers: [giveBackConsumer(shared)],
    turns: {
      gates: () => coordinator.turn(),
      reaper: () => reaper.turn(),
      "give-backs": retry,
      sales: () => keepSales({ ...life, log: silentLog }, broker),
    },
  };
}

/** The product has this turn only as a loop: it is started for one turn. */
function giveBackTurn(
  deps: Parameters<typeof createGiveBackRetry>[0],
  { simulation }: World,
): () => Promise<void> {
  return async () => {
    const loop = createGiveBackRetry(deps);
    loop.start();
    await simulation.sleep(simulation.latency());
    await loop.stop();
  };
}

function wireOrder({ world, process, databaseOf, hint }: Wiring) {
  const { simulation, ids, brokers } = world;
  const database = databaseOf("order");
  const broker = brokers.broker();
  const onEvents = (): void => hint("order");
  const close: CloseOrderDeps = {
    database,
    lease: { owner: process.name },
    failpoint: noFailpoint,
    log: silentLog,
    random: simulation.random,
    onEvents,
  };
  const placing = createPlacing({
    database,
    paymentWindowMs: PAYMENT_WINDOW_MS,
    lease: { owner: process.name, leaseMs: PLACE_LEASE_MS },
    onEvents,
  });
  const quotes = createQuotes(broker);
  const reader = createOrderReader(database);
  const onShipped = (): void => undefined;
  const pressure = { refuses: () => false, stop: () => Promise.resolve() };
  const deps = { ...close, ids, quotes, currency: CURRENCY, placing, reader, onShipped };
  brokers.serve(process, createOrderService({ ...deps, pressure }));
  const paymentWindowMs = PAYMENT_WINDOW_MS;
  return {
    consumers: [
      ...paymentConsumers({ log: silentLog, onEvents }),
      flashOrderConsumer({ database, paymentWindowMs, log: silentLog, onEvents }),
    ],
    turns: {
      deadlines: () => closeDueOrders(close, broker),
      sagas: () => recoverSagas({ ...close, placing }, broker),
    },
  };
}

function wirePayment({ world, process, databaseOf, hint }: Wiring) {
  const { simulation, ids, brokers, provider } = world;
  const deps: PaymentDeps = {
    database: databaseOf("payment"),
    channels: provider.channels(),
    ids,
    clock: systemClock,
    log: silentLog,
    random: simulation.random,
    failpoint: noFailpoint,
    hintOutbox: () => hint("payment"),
  };
  brokers.serve(process, createPaymentService(deps, NO_METRICS));
  const { applier } = createPaymentNode(deps);
  return {
    callbacks: () => applier.sweep(),
    refunds: () => runRefunds({ ...deps, onBooked: () => hint("payment") }),
  };
}

function wireInventory({ world, process, databaseOf }: Wiring): readonly EventConsumer[] {
  const database = databaseOf("inventory");
  const marks = createSoldOutMarks(systemClock, () => undefined);
  const reserver = createReserver({
    database,
    marks,
    failpoint: noFailpoint,
    onChanged: () => undefined,
  });
  // Copies of stock levels for product pages; they decide nothing.
  const availability = {
    remember: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  } as unknown as AvailabilityStore;
  world.brokers.serve(
    process,
    createInventoryService({ database, availability, marks, reserver, metrics: NO_METRICS }),
  );
  return inventoryConsumers((skuIds) => {
    marks.clear(skuIds);
    return Promise.resolve();
  });
}
