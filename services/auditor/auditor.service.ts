// The auditor: the one module that may read every schema, and only read. Runs the invariants on
// demand and in the background, has lost events published again, lists dead letters, tells the story
// of an order. Whatever must be changed is changed by its owner, on request.
import type { ServiceSchema } from "moleculer";
import { DATABASE_SCHEMAS, schemaName } from "../../config/database.ts";
import { EVENT_ROUTES } from "../../mixins/auditor/message-invariants.ts";
import { prepareInvariants } from "../../mixins/auditor/invariants.ts";
import { repeatEvery } from "../../mixins/channels/repeat.ts";
import { implement, type PlatformCallContext } from "../../mixins/service.ts";
import { call } from "../contracts/actions.ts";
import { auditorContract, type DeadLetter } from "../contracts/auditor.ts";
import { SECOND_MS } from "../kernel/clock.ts";
import type { PlatformNode } from "../node.ts";
import { type Backlogs, createBacklogs } from "./backlogs.ts";
import { type CheckDeps, checkInvariants } from "./check-invariants.ts";
import { createDeadLetterList, type DeadLetterList, splitId } from "./dead-letter-list.ts";
import { storySources, tellOrder } from "./order-story.ts";
import { createReceiptWatch } from "./receipt-watch.ts";
import { type SchemaNames, schemaNames } from "./schema-names.ts";
import { createRounds } from "./rounds.ts";
import { createServerWatch } from "./server-watch.ts";

/** How long messages, deadlines and retries may take in the running shop before it is a violation. */
const GRACE_S = 60;
/** A hold may outlive the payment window by this much: the provider is being asked. */
const HOLD_EXTRA_S = 600;
/** Of a round's checks, which read whole tables: seconds, where there are millions of orders. */
const ROUND_STATEMENT_MS = 30 * SECOND_MS;
const ROUND_INTERVAL_MS = 10 * SECOND_MS;
const SERVERS_INTERVAL_MS = 5 * SECOND_MS;

export interface AuditorDeps extends CheckDeps {
  readonly schemas: SchemaNames;
  readonly deadLetters: DeadLetterList;
  readonly backlogs: Backlogs;
}

export function wire(node: PlatformNode): ServiceSchema {
  const { settings, clock, log, metrics, broker } = node;
  const database = node.database("auditor");
  const nameOf = (schema: (typeof DATABASE_SCHEMAS)[number]): string =>
    schemaName(settings, schema);
  const invariants = prepareInvariants({
    nameOf,
    schemas: DATABASE_SCHEMAS,
    times: {
      graceS: GRACE_S,
      holdS: Math.ceil(settings.ORDER_PAYMENT_WINDOW_MS / SECOND_MS) + HOLD_EXTRA_S,
    },
  });
  const schemas = schemaNames(settings);
  const deadLetters = createDeadLetterList(database, schemas);
  const backlogs = createBacklogs(database, schemas);
  const rounds = createRounds({
    database: node.database("auditor", { name: "rounds", queryTimeoutMs: ROUND_STATEMENT_MS }),
    invariants,
    watches: EVENT_ROUTES.map((route) => createReceiptWatch(database, route, nameOf)),
    deadLetters,
    backlogs,
    republish: async (owner, outboxIds) =>
      (await call(broker, `${owner}-worker.republish`, { outbox_ids: [...outboxIds] })).republished,
    metrics,
    clock,
    log,
  });
  const background = repeatEvery(ROUND_INTERVAL_MS, log, () => rounds.run());
  const watch = createServerWatch({ database, redis: node.redis(), bus: node.bus(), metrics, log });
  const servers = repeatEvery(SERVERS_INTERVAL_MS, log, () => watch.look());
  return {
    ...createAuditorService({
      database,
      schemas,
      invariants,
      lastResult: (name) => rounds.resultOf(name),
      deadLetters,
      backlogs,
      clock,
    }),
    started() {
      background.start();
      servers.start();
    },
    async stopped() {
      rounds.stop();
      await Promise.all([background.stop(), servers.stop()]);
    },
  };
}

export function createAuditorService(deps: AuditorDeps): ServiceSchema {
  const { database, schemas, deadLetters, backlogs } = deps;
  const sources = storySources(schemas);

  const settle = async (
    ctx: PlatformCallContext,
    id: string,
    how: "replayDeadLetter" | "discardDeadLetter",
  ): Promise<DeadLetter> => {
    const { owner, rowId } = splitId((await deadLetters.find(id)).id);
    await call(ctx, `${owner}-worker.${how}`, { id: rowId });
    return await deadLetters.find(id);
  };

  return {
    name: "auditor",
    actions: implement(
      auditorContract,
      {
        async invariants() {
          const items = await checkInvariants(deps);
          return { holds: items.every(({ violations }) => violations === 0), items };
        },
        async backlogs() {
          const [outboxes, sagas, open] = await Promise.all([
            backlogs.outboxes(),
            backlogs.sagas(),
            deadLetters.countOpen(),
          ]);
          const letters = [...open].map(([owner, count]) => ({ owner, open: count }));
          return { outboxes, sagas, dead_letters: letters };
        },
        listDeadLetters: ({ params }) => deadLetters.list(params),
        replayDeadLetter: ({ params, ctx }) => settle(ctx, params.id, "replayDeadLetter"),
        discardDeadLetter: ({ params, ctx }) => settle(ctx, params.id, "discardDeadLetter"),
        explainOrder: ({ params }) => tellOrder(database, sources, params.id),
      },
      // The queries read whole tables: one set at a time is enough for everybody.
      { bulkheads: { invariants: { concurrency: 1, maxQueueSize: 5 } } },
    ),
  };
}
