// One schedule: a scenario under a seed and a fault plan, then the servers are healed, dead nodes come
// back, the shop comes to rest, and everything that must be true is looked at.
import type { FaultPlan } from "./kernel/fault-plan.ts";
import { Simulation } from "./kernel/simulation.ts";
import { withVirtualTime } from "./kernel/virtual-time.ts";
import { historyFaults } from "./told-histories.ts";
import { SALE, type Scenario } from "./scenarios.ts";
import type { Turn } from "./world/node.ts";
import { Shop } from "./world/shop.ts";
import { World } from "./world/world.ts";

/** A disturbed part that waits for a node that died goes no further than this. */
const DISTURBED_MAX_MS = 20_000;
/** Pauses between the rounds in which the shop comes to rest: past leases, claims and retries. */
const REST_PAUSES_MS = [200, 2_000, 11_000, 21_000, 31_000, 31_000, 61_000, 61_000, 61_000];
const TURNS: readonly Turn[] = [
  "sagas",
  "deadlines",
  "callbacks",
  "refunds",
  "gates",
  "give-backs",
  "reaper",
  "sales",
];

export interface ScheduleResult {
  /** What does not hold, in sentences. */
  readonly faults: readonly string[];
  readonly history: readonly string[];
  readonly events: number;
}

export async function runSchedule(
  scenario: Scenario,
  seed: number,
  plan: (simulation: Simulation) => FaultPlan,
): Promise<ScheduleResult> {
  const simulation = new Simulation(seed);
  const faults = plan(simulation);
  const found = await withVirtualTime(simulation, async () => {
    try {
      return await simulation.drive(play(scenario, simulation, faults));
    } catch (error) {
      return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
    }
  });
  return { faults: found, history: simulation.history, events: simulation.eventCount };
}

async function play(
  { prepare, disturbed }: Scenario,
  simulation: Simulation,
  faults: FaultPlan,
): Promise<readonly string[]> {
  const world = new World(simulation, faults);
  const shop = new Shop(world);
  const prepared = (await prepare(world, shop)) as never;
  faults.arm();
  simulation.note("--- disturbed");
  await Promise.race([disturbed(world, shop, prepared), simulation.sleep(DISTURBED_MAX_MS)]);
  faults.heal();
  simulation.note("--- healed");
  const open = await comeToRest(world, shop);
  return open.length === 0 ? await historyFaults(world, shop) : open;
}

async function comeToRest(world: World, shop: Shop): Promise<readonly string[]> {
  let open: readonly string[] = [];
  for (const pauseMs of REST_PAUSES_MS) {
    world.restartDead();
    for (const node of world.nodes()) node.wakeRelays();
    for (const name of TURNS) {
      for (const node of world.nodes()) await node.turn(name);
    }
    for (const node of world.nodes()) node.wakeRelays();
    await world.simulation.sleep(pauseMs);
    open = await disagreements(world, shop);
    if (open.length === 0) return [];
  }
  return open;
}

async function disagreements(world: World, shop: Shop): Promise<readonly string[]> {
  return [
    ...world.violations().map(({ name, offending }) => `${name}: ${offending.join(", ")}`),
    ...promisesBroken(world, shop),
    ...moneyAstray(world),
    ...(await gateAstray(world)),
  ];
}

/** What was acknowledged is there. */
function promisesBroken(world: World, shop: Shop): readonly string[] {
  const orders = new Map(
    world
      .query<{ id: string; user_id: string }>("order", "SELECT id, user_id FROM orders")
      .map(({ id, user_id: userId }) => [id, userId]),
  );
  return shop.operations
    .filter(({ kind, outcome }) => kind === "take" && outcome === "done")
    .filter(({ orderId, userId }) => orders.get(orderId ?? "") !== userId)
    .map(({ orderId, userId }) => `order ${orderId ?? "?"} was promised to ${userId} and is lost`);
}

/** The provider's books are the shop's books. */
function moneyAstray(world: World): readonly string[] {
  const rows = world.query<{ id: string; balance: string }>(
    "payment",
    `SELECT id, amount - refunded_amount AS balance FROM payments WHERE captured_at IS NOT NULL`,
  );
  const ours = new Map(rows.map(({ id, balance }) => [id, Number(balance)]));
  const theirs = world.provider.balances;
  return [...new Set([...ours.keys(), ...theirs.keys()])]
    .filter((id) => (ours.get(id) ?? 0) !== (theirs.get(id) ?? 0))
    .map(
      (id) => `payment ${id}: ${ours.get(id) ?? 0} here, ${theirs.get(id) ?? 0} at the provider`,
    );
}

/** A sale in the hands of its gate: the gate has what nobody holds, and nothing is pending. */
async function gateAstray(world: World): Promise<readonly string[]> {
  const [sale] = world.query<{ mode: string; status: string; epoch: number; left_over: string }>(
    "seckill",
    "SELECT mode, status, epoch, quantity - admitted - returned AS left_over FROM sales WHERE id = ?",
    [SALE],
  );
  if (sale?.status !== "published") return [];
  if (sale.mode !== "redis") return [`the sale is still in mode ${sale.mode}`];
  const gate = world.nodes()[0]!.gate;
  const state = await gate.state({ saleId: SALE, epoch: sale.epoch }).catch(() => undefined);
  if (state === undefined) return ["the gate is not loaded"];
  const { stock, pending } = state;
  if (stock === Number(sale.left_over) && pending === 0) return [];
  return [`the gate has ${stock} units and ${pending} pending, ${sale.left_over} are left`];
}
