// The inventory service: stock per SKU, reservations and their group commit, availability for
// product pages. What orders' events do to stock is in inventory.worker.ts.
import type { Context, ServiceSchema } from "moleculer";
import { type ActionCall, implement } from "../../mixins/service.ts";
import type { Database } from "../../mixins/database/database.ts";
import type { Metrics } from "../../mixins/metrics/metrics.ts";
import { errorSlug } from "../contracts/errors.ts";
import { inventoryContract, type StockLevel } from "../contracts/inventory.ts";
import type { PlatformNode } from "../node.ts";
import { AvailabilityStore } from "./availability.store.ts";
import { allot, isReturned } from "./allotments.ts";
import { createAvailabilityCopies } from "./availability.redis.ts";
import type { Stock } from "./domain/stock.ts";
import {
  adjustStock,
  findLevel,
  listMovements,
  openStock,
  putStock,
  type StockChange,
} from "./inventory.repository.ts";
import { createReleaser } from "./release.ts";
import { createReserver, type Reserver } from "./reserve.ts";
import {
  createSoldOutMarks,
  type SoldOutMarks,
  STOCK_HINT_EVENT,
  type StockHint,
} from "./sold-out-marks.ts";

export interface InventoryDeps {
  readonly database: Database;
  readonly availability: AvailabilityStore;
  readonly marks: SoldOutMarks;
  readonly reserver: Reserver;
  readonly metrics: Pick<Metrics, "increment">;
}

export function wire(node: PlatformNode): ServiceSchema {
  const { clock, log, failpoint, broker, settings, metrics } = node;
  const database = node.database("inventory");
  const availability = new AvailabilityStore({
    database,
    copies: createAvailabilityCopies(node.redis(), settings.NAMESPACE),
    clock,
    log,
  });
  const marks = createSoldOutMarks(clock, (hint) => void broker.broadcast(STOCK_HINT_EVENT, hint));
  const reserver = createReserver({
    database,
    marks,
    failpoint,
    onChanged: (changed) => void availability.remember(changed),
  });
  return createInventoryService({ database, availability, marks, reserver, metrics });
}

export function createInventoryService(deps: InventoryDeps): ServiceSchema {
  const { database, availability, marks, reserver, metrics } = deps;

  /** Units may have come in: clears the marks and lets product pages see them at once. */
  const tellChanged = async (changed: readonly Stock[]): Promise<void> => {
    marks.clear(changed.map(({ skuId }) => skuId));
    await availability.remember(changed);
  };

  const releaser = createReleaser(database, tellChanged);

  const answerChange = async (
    { ctx }: Pick<ActionCall<typeof inventoryContract.adjust>, "ctx">,
    change: StockChange,
  ): Promise<StockLevel> => {
    if (change.isReplay) ctx.meta.isReplay = true;
    else await tellChanged([change.stock]);
    return change.level;
  };

  return {
    name: "inventory",
    actions: implement(inventoryContract, {
      get: ({ params }) => findLevel(database, params.sku_id),
      put: async (call) =>
        answerChange(
          call,
          await putStock(database, {
            skuId: call.params.sku_id,
            onHand: call.params.on_hand,
            safetyStock: call.params.safety_stock,
            adminId: call.principal.userId,
          }),
        ),
      adjust: async (call) => {
        const { sku_id: skuId, delta, reason } = call.params;
        const adminId = call.principal.userId;
        const change = { skuId, delta, reason, adminId };
        return answerChange(call, await adjustStock(database, change, call.idempotency));
      },
      movements: ({ params }) => listMovements(database, params),
      availability: async ({ params }) => ({
        items: [...(await availability.read(params.sku_ids))].map(([sku_id, available]) => ({
          sku_id,
          available,
        })),
      }),
      open: async ({ params }) => {
        const skus = params.skus.map(({ sku_id, stock }) => ({ skuId: sku_id, quantity: stock }));
        await tellChanged(
          await database.transaction("inventory.open", (tx) => openStock(tx, skus)),
        );
        return null;
      },
      reserve: async ({ params }) => {
        const lines = params.lines.map(({ sku_id, quantity }) => ({ skuId: sku_id, quantity }));
        await countCharge(metrics, () => reserver.reserve(params.order_id, lines));
        return null;
      },
      ...allotmentActions(deps),
      release: async ({ params }) => {
        await releaser.release(params.order_id);
        return null;
      },
    }),
    events: {
      [STOCK_HINT_EVENT]: (ctx: Context<StockHint>) => marks.accept(ctx.params),
    },
    async stopped() {
      await Promise.all([reserver.drain(), releaser.drain()]);
      await availability.stop();
    },
  };
}

async function countCharge(
  metrics: InventoryDeps["metrics"],
  reserve: () => Promise<void>,
): Promise<void> {
  try {
    await reserve();
  } catch (error) {
    const reason = errorSlug(error) ?? "INTERNAL";
    metrics.increment("app_stock_charge_failed_total", { reason });
    throw error;
  }
  metrics.increment("app_stock_charge_success_total");
}

function allotmentActions({ database, availability }: InventoryDeps) {
  type Call<Name extends "allot" | "isReturned"> = ActionCall<(typeof inventoryContract)[Name]>;
  return {
    allot: async ({ params }: Call<"allot">) => {
      const { sale_id: saleId, attempt, sku_id: skuId, quantity } = params;
      const { outcome, changed } = await allot(database, { saleId, attempt, skuId, quantity });
      await availability.remember(changed);
      return { outcome };
    },
    isReturned: async ({ params }: Call<"isReturned">) => ({
      is_returned: await isReturned(database, params.sale_id),
    }),
  };
}
