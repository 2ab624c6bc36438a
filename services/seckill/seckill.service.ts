// The flash sale: its life, the admission of buyers, and what became of them. What runs in the
// background is in seckill.worker.ts.
import { randomUUID } from "node:crypto";
import type { Context, ServiceSchema } from "moleculer";
import { createPurchasePasses, type PurchasePasses } from "../../mixins/auth/purchase-passes.ts";
import { createBackPressure } from "../../mixins/channels/back-pressure.ts";
import type { Database } from "../../mixins/database/database.ts";
import { createRedis } from "../../mixins/redis/redis.ts";
import { type CallHeaders, implement } from "../../mixins/service.ts";
import { PlatformError } from "../contracts/errors.ts";
import { SALE_HINT_EVENT, type SaleHint, seckillContract } from "../contracts/seckill.ts";
import { type Clock, HOUR_MS } from "../kernel/clock.ts";
import type { PlatformNode } from "../node.ts";
import { type Admitter, createAdmitter } from "./admit.ts";
import { admitUnderPressure } from "./admit-under-pressure.ts";
import { type Audits, createAudits } from "./audits.ts";
import { buy } from "./buy.ts";
import type { Sale } from "./domain/sale.ts";
import type { Gate } from "./gate.ts";
import { createGate } from "./gate.store.ts";
import { pageOfHolders } from "./holders.ts";
import { isPromised, tellMine } from "./mine.ts";
import { createOutcomes } from "./outcomes.ts";
import { isTrying } from "./running-elsewhere.ts";
import { createHeartbeat } from "./reaper.ts";
import { createSaleCache, type SaleCache } from "./sale-cache.ts";
import { saleDto, snapshotOf } from "./sale.dto.ts";
import { closeSale, createSale, publishSale, type SaleLifeDeps } from "./sale-life.ts";
import { existing, findRunningSales, listSales } from "./sale.repository.ts";

/** A pass is good until the sale's end, and at most this long. */
const PASS_LIFETIME_MAX_MS = HOUR_MS;

export interface SeckillDeps {
  readonly database: Database;
  readonly life: SaleLifeDeps;
  readonly gate: Gate;
  readonly sales: SaleCache;
  readonly admitter: Admitter;
  readonly passes: PurchasePasses;
  readonly audits: Audits;
  readonly clock: Clock;
  readonly start: () => void;
  readonly stop: () => Promise<void>;
}

/** A gate on a connection of its own: its time-outs must not wait behind other commands. */
export function wireGate(node: PlatformNode): { gate: Gate; close: () => void } {
  const { settings, nodeId, log, clock, onRedisCommand: onCommand } = node;
  const redis = createRedis(settings.REDIS_URL, { name: `${nodeId}-gate`, log, onCommand });
  return {
    gate: createGate({ redis, namespace: settings.NAMESPACE, clock }),
    close: () => redis.disconnect(),
  };
}

export function lifeDeps(node: PlatformNode): SaleLifeDeps {
  const { broker, clock, failpoint, ids, settings } = node;
  return {
    database: node.database("seckill"),
    ids,
    currency: settings.CURRENCY,
    clock,
    failpoint,
    onEvents: () => node.bus().hintOutbox("seckill"),
    onChanged: (saleId) => {
      const hint: SaleHint = { sale_id: saleId };
      void broker.broadcast(SALE_HINT_EVENT, hint);
    },
  };
}

export function wire(node: PlatformNode): ServiceSchema {
  const { clock, log, random, metrics, settings, nodeId } = node;
  const life = lifeDeps(node);
  const { database } = life;
  const { gate, close } = wireGate(node);
  const sales = createSaleCache(database, clock);
  const owner = `${nodeId}:${randomUUID().slice(0, 8)}`;
  const heartbeat = createHeartbeat(gate, owner, log);
  const pressure = createBackPressure({
    ...{ owner: "seckill", database, bus: node.bus(), log, metrics },
    backlogMax: settings.SECKILL_BACKLOG_MAX,
  });
  const admitter = admitUnderPressure(
    createAdmitter({ ...life, gate, owner, sales, log, random, metrics }),
    pressure,
  );
  return createSeckillService({
    database,
    life,
    gate,
    sales,
    admitter,
    passes: createPurchasePasses(
      { current: settings.JWT_SECRET, previous: settings.JWT_PREVIOUS_SECRET },
      clock,
    ),
    audits: createAudits({ database, gate, log, clock, signingKey: settings.AUDIT_SIGNING_KEY }),
    clock,
    start: () => heartbeat.start(),
    stop: async () => {
      await pressure.stop();
      await admitter.stop();
      await heartbeat.stop();
      close();
    },
  });
}

export function createSeckillService(deps: SeckillDeps): ServiceSchema {
  const { database, life, gate, sales, admitter, passes, audits, clock } = deps;
  const outcomes = createOutcomes(database, admitter.commits, clock);
  const show = (sale: Sale) => saleDto(sale, clock.now());
  const saleOf = async (id: string): Promise<Sale> => existing(await sales.get(id));

  const checkPass = async (id: string, userId: string, pass: string | undefined): Promise<void> => {
    const { isPassRequired } = await saleOf(id);
    if (!isPassRequired || passes.isValid(pass, { saleId: id, userId })) return;
    throw new PlatformError("SECKILL_PASS_REQUIRED");
  };

  return {
    name: "seckill",
    actions: implement(seckillContract, {
      async createSale({ ctx, params, principal, idempotency: claim }) {
        const adminId = principal.userId;
        const { sale, isReplay } = await createSale(life, ctx, { params, adminId, claim });
        if (isReplay) ctx.meta.isReplay = true;
        return show(sale);
      },
      publish: async ({ ctx, params }) => show(await publishSale(life, ctx, params.id)),
      close: async ({ ctx, params }) => show(await closeSale(life, ctx, params.id)),
      async listSales({ params }) {
        const page = await listSales(database, params);
        return { ...page, items: page.items.map(show) };
      },
      getSale: async ({ params }) => show(await saleOf(params.id)),
      async createPass({ params: { id }, principal }) {
        const { endsAt } = await saleOf(id);
        const expiresAtMs = Math.min(endsAt.getTime(), clock.now() + PASS_LIFETIME_MAX_MS);
        const pass = passes.issue({ saleId: id, userId: principal.userId }, expiresAtMs);
        return { pass, expires_at: new Date(expiresAtMs).toISOString() };
      },
      async buy({ ctx, params: { id }, principal: { userId } }) {
        await checkPass(id, userId, (ctx.headers as CallHeaders | null)?.seckill_pass);
        const requestId = ctx.meta.requestId ?? ctx.requestID ?? ctx.id;
        return await buy({ admitter, outcomes }, { saleId: id, userId, requestId });
      },
      async mine({ ctx, params: { id, explain = false }, principal: { userId } }) {
        const request = { sale: await saleOf(id), userId, isExplained: explain };
        return await tellMine({ database, commits: admitter.commits }, ctx, request);
      },
      audit: ({ ctx, params: { id, full = false }, principal }) =>
        audits.show(ctx, { id, isFull: full, isAdmin: principal?.role === "admin" }),
      certify: ({ ctx, params: { id } }) => audits.certify(ctx, id),
      certificateKey: () => Promise.resolve(audits.key()),
      admit: async ({ params }) => ({
        items: [...(await admitter.admit(params.sale_id, params.candidates))],
      }),
      outcome: async ({ params: { sale_id: saleId, order_ids: orderIds, wait_ms: waitMs } }) => ({
        items: [...(await outcomes.of(saleId, orderIds, waitMs))],
      }),
      holders: ({ params }) => pageOfHolders({ gate, sales }, params),
      snapshots: async () => ({ items: (await findRunningSales(database)).map(snapshotOf) }),
      isTrying: ({ params }) => Promise.resolve(isTrying(admitter.commits, params)),
      isPromised: async ({ params }) => ({
        is_promised: await isPromised(database, params.order_id, params.user_id),
      }),
    }),
    events: {
      [SALE_HINT_EVENT]: async (ctx: Context<SaleHint>) => {
        await sales.refresh(ctx.params.sale_id).catch(() => undefined);
      },
    },
    started() {
      deps.start();
      return Promise.resolve();
    },
    stopped: () => deps.stop(),
  };
}
