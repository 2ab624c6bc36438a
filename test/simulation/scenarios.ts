// The flows whose boundaries are broken: each prepares its world without faults, then does what is to be
// disturbed.
import type { Shop } from "./world/shop.ts";
import type { World } from "./world/world.ts";

export const SKU = "7";
export const SALE = "70";
const PRICE = 500;
export const SALE_UNITS = 2;
const STOCK = 5;
/** Of the SKU, beside those of the sale. */
export const SKU_UNITS = STOCK - SALE_UNITS;
const DAY_MS = 86_400_000;
const BUYERS = ["101", "102", "103"] as const;

export interface Scenario {
  readonly name: string;
  /** Undisturbed. Returns what the disturbed part needs. */
  readonly prepare: (world: World, shop: Shop) => Promise<unknown>;
  readonly disturbed: (world: World, shop: Shop, prepared: never) => Promise<void>;
}

function scenario<Prepared>(
  name: string,
  prepare: (world: World, shop: Shop) => Promise<Prepared>,
  disturbed: (world: World, shop: Shop, prepared: Prepared) => Promise<void>,
): Scenario {
  return { name, prepare, disturbed };
}

/** Two nodes, a SKU with stock, of which a sale has some. */
function openShop(world: World): void {
  const run = (schema: string, text: string, params: readonly unknown[]): void => {
    world.query(schema, text, params);
  };
  run(
    "inventory",
    `INSERT INTO stock (sku_id, available, reserved, allotted, safety_stock, version)
     VALUES (?, ?, 0, ?, 0, 2)`,
    [SKU, SKU_UNITS, SALE_UNITS],
  );
  const movement = `INSERT INTO stock_movements
    (sku_id, kind, available_delta, reserved_delta, allotted_delta, cause_type, cause_id) VALUES ?`;
  run("inventory", movement, [
    [
      [SKU, "receipt", STOCK, 0, 0, "opening", SKU],
      [SKU, "allot", -SALE_UNITS, 0, SALE_UNITS, "sale", SALE],
    ],
  ]);
  run(
    "inventory",
    "INSERT INTO allotments (sale_id, attempt, sku_id, quantity, status) VALUES (?, 1, ?, ?, 'allotted')",
    [SALE, SKU, SALE_UNITS],
  );
  const now = world.simulation.wallMs;
  run(
    "seckill",
    `INSERT INTO sales (id, sku_id, product_id, name, title, price, currency, quantity, status,
       attempt, mode, epoch, starts_at, ends_at, created_by)
     VALUES (?, ?, 8, 'lamp', 'lamp', ?, 'CNY', ?, 'published', 1, 'db', 1, ?, ?, 1)`,
    [SALE, SKU, PRICE, SALE_UNITS, new Date(now - 1_000), new Date(now + DAY_MS)],
  );
  world.start("a");
  world.start("b");
  for (const { process } of world.nodes()) {
    world.brokers.serveAction(process, "product.quote", () =>
      Promise.resolve({
        lines: [{ sku_id: SKU, product_id: "8", name: "lamp", price: PRICE, currency: "CNY" }],
      }),
    );
  }
}

async function openGate(world: World): Promise<void> {
  openShop(world);
  await world.simulation.sleep(10);
  await world.nodes()[0]!.turn("gates");
}

/** Consumers and relays go on for a while. */
async function letPass(world: World, ms: number): Promise<void> {
  await world.simulation.sleep(ms);
}

async function bought(world: World, shop: Shop, userId: string): Promise<string> {
  const orderId = await shop.buy(SALE, userId);
  await letPass(world, 100);
  if (orderId === undefined) throw new Error("nobody disturbed this buyer");
  return orderId;
}

async function placed(world: World, shop: Shop, userId: string): Promise<string> {
  const orderId = await shop.place(SKU, userId);
  await letPass(world, 50);
  if (orderId === undefined) throw new Error("nobody disturbed this order");
  return orderId;
}

async function payable(world: World, shop: Shop): Promise<{ orderId: string; paymentId: string }> {
  openShop(world);
  const orderId = await placed(world, shop, BUYERS[0]);
  const paymentId = await shop.openPayment(BUYERS[0], orderId);
  if (paymentId === undefined) throw new Error("nobody disturbed this payment");
  return { orderId, paymentId };
}

export const SCENARIOS: readonly Scenario[] = [
  scenario("admit", openGate, async (world, shop) => {
    await Promise.all([
      ...BUYERS.map((userId) => shop.buy(SALE, userId)),
      shop.buy(SALE, BUYERS[0]),
      letPass(world, 20).then(() => turnOf(world, "reaper")),
    ]);
    await letPass(world, 100);
  }),
  scenario(
    "give back",
    async (world, shop) => {
      await openGate(world);
      const first = await bought(world, shop, BUYERS[0]);
      await bought(world, shop, BUYERS[1]);
      return first;
    },
    async (world, shop, first) => {
      await Promise.all([
        shop.cancel(BUYERS[0], first),
        letPass(world, 30).then(() => shop.buy(SALE, BUYERS[2])),
        letPass(world, 60).then(() => turnOf(world, "give-backs")),
      ]);
      await shop.buy(SALE, BUYERS[0]);
    },
  ),
  scenario(
    "gate rebuild",
    async (world, shop) => {
      await openGate(world);
      await bought(world, shop, BUYERS[0]);
    },
    async (world, shop) => {
      world.redis.restart();
      await Promise.all([
        ...BUYERS.map((userId) => shop.buy(SALE, userId)),
        (async () => {
          for (let round = 0; round < 4; round += 1) {
            await letPass(world, 700);
            await turnOf(world, "gates");
          }
        })(),
      ]);
    },
  ),
  scenario(
    "close",
    async (world, shop) => {
      await openGate(world);
      return await bought(world, shop, BUYERS[0]);
    },
    async (world, shop, first) => {
      world.query(
        "seckill",
        `UPDATE sales SET starts_at = NOW(3) - INTERVAL 4 SECOND, ends_at = NOW(3) - INTERVAL 3 SECOND
         WHERE id = ?`,
        [SALE],
      );
      await Promise.all([
        shop.buy(SALE, BUYERS[1], 2),
        shop.cancel(BUYERS[0], first),
        turnOf(world, "sales"),
      ]);
      await letPass(world, 100);
      await turnOf(world, "sales");
    },
  ),
  scenario(
    "place",
    (world) => {
      openShop(world);
      return Promise.resolve();
    },
    async (world, shop) => {
      const buyers = [...BUYERS, "104"];
      await Promise.all(buyers.map((userId) => shop.place(SKU, userId)));
      await letPass(world, 50);
    },
  ),
  scenario(
    "pay",
    async (world, shop) => {
      openShop(world);
      return await placed(world, shop, BUYERS[0]);
    },
    async (world, shop, orderId) => {
      const paymentId = await shop.openPayment(BUYERS[0], orderId);
      if (paymentId !== undefined) shop.capture(orderId, paymentId);
      await letPass(world, 200);
    },
  ),
  scenario("cancel", payable, async (world, shop, { orderId, paymentId }) => {
    await Promise.all([
      shop.cancel(BUYERS[0], orderId),
      letPass(world, world.simulation.random() * 30).then(() => shop.capture(orderId, paymentId)),
    ]);
    await letPass(world, 100);
  }),
  scenario("expire", payable, async (world, shop, { orderId, paymentId }) => {
    world.query("order", "UPDATE orders SET expires_at = NOW(3) - INTERVAL 1 SECOND WHERE id > 0");
    await Promise.all([
      ...world.nodes().map((node) => node.turn("deadlines")),
      letPass(world, world.simulation.random() * 30).then(() => shop.capture(orderId, paymentId)),
    ]);
    await letPass(world, 100);
  }),
  scenario(
    "refund",
    async (world, shop) => {
      const { orderId, paymentId } = await payable(world, shop);
      shop.capture(orderId, paymentId);
      await letPass(world, 200);
      return { orderId, paymentId };
    },
    async (world, shop, { orderId, paymentId }) => {
      await shop.refund(orderId, paymentId, PRICE);
      await Promise.all(world.nodes().map((node) => node.turn("refunds")));
      await letPass(world, 100);
    },
  ),
];

async function turnOf(world: World, name: Parameters<SimulatedTurn>[0]): Promise<void> {
  const [node] = world.nodes();
  await node?.turn(name);
}

type SimulatedTurn = ReturnType<World["start"]>["turn"];
