// The story of one order over all schemas, in time order: what each service wrote down about it.
import type { Static } from "@sinclair/typebox";
import type { OwnedSchema } from "../../config/database.ts";
import { type Database, sql, type Statement } from "../../mixins/database/database.ts";
import type { StoryEntry } from "../contracts/auditor.ts";
import { PlatformError } from "../contracts/errors.ts";
import { byTime } from "../kernel/by-time.ts";
import type { SchemaNames } from "./schema-names.ts";

type Entry = Static<typeof StoryEntry>;

/** Entries of one kind; an order has a few. */
const ROWS_MAX = 200;

/** A source's rows: `at`, `kind`, `summary`, and the rest as details. */
interface StoryRow {
  readonly at: Date | null;
  readonly kind: string;
  readonly summary: string;
}

interface Source {
  readonly service: string;
  readonly statement: Statement;
  /** How often the order's id is a parameter. */
  readonly idCount: number;
}

/** Errors: ORDER_NOT_FOUND when no service knows the order. */
export async function tellOrder(
  database: Database,
  sources: readonly Source[],
  orderId: string,
): Promise<{ order_id: string; items: Entry[] }> {
  const chapters = await Promise.all(
    sources.map(async ({ service, statement, idCount }) => {
      const params = [...Array.from({ length: idCount }, () => orderId), ROWS_MAX];
      const rows = await database.rows<StoryRow>(statement, params);
      return rows.map((row) => entryOf(service, row));
    }),
  );
  const items = chapters.flat().filter((entry) => entry !== undefined);
  if (items.length === 0) throw new PlatformError("ORDER_NOT_FOUND");
  // The order of the sources breaks ties, so it follows the order's life.
  return { order_id: orderId, items: items.sort(byTime) };
}

function entryOf(service: string, { at, kind, summary, ...details }: StoryRow): Entry | undefined {
  if (at === null) return undefined;
  return { at: at.toISOString(), service, kind, summary, details };
}

/** In the order of an order's life. */
export function storySources(schemas: SchemaNames): readonly Source[] {
  return [
    ...saleSources(schemas),
    ...orderSources(schemas),
    ...inventorySources(schemas),
    ...paymentSources(schemas),
    ...messageSources(schemas),
  ];
}

function source(service: string, name: string, text: string): Source {
  return {
    service,
    statement: sql(`auditor.story.${name}`, `${text} LIMIT ?`),
    idCount: text.split("?").length - 1,
  };
}

function orderSources({ order }: SchemaNames): readonly Source[] {
  return [
    source(
      "order",
      "order_placed",
      `SELECT created_at AS at, 'order' AS kind, CONCAT('order is now ', status) AS summary,
              user_id, total_price, discount, refunded_amount, currency, sale_id, payment_id,
              cancel_reason, expires_at, paid_at, version
       FROM ${order}.orders WHERE id = ?`,
    ),
    source(
      "order",
      "order_history",
      `SELECT at, 'status' AS kind,
              CONCAT(COALESCE(from_status, 'new'), ' -> ', to_status) AS summary,
              version, reason, actor
       FROM ${order}.order_events WHERE order_id = ? ORDER BY version`,
    ),
    source(
      "order",
      "order_sagas",
      `SELECT updated_at AS at, 'saga' AS kind, CONCAT(type, ' is ', status) AS summary,
              log, attempts, last_error, lease_owner, next_at, created_at
       FROM ${order}.sagas WHERE type IN ('place-order', 'close-order') AND id = ?`,
    ),
  ];
}

function inventorySources({ inventory }: SchemaNames): readonly Source[] {
  return [
    source(
      "inventory",
      "reservation",
      `SELECT created_at AS at, 'reservation' AS kind, CONCAT('reservation is ', status) AS summary,
              updated_at
       FROM ${inventory}.reservations WHERE order_id = ?`,
    ),
    source(
      "inventory",
      "movements",
      `SELECT created_at AS at, 'movement' AS kind, CONCAT(kind, ' of SKU ', sku_id) AS summary,
              id, sku_id, available_delta, reserved_delta, allotted_delta
       FROM ${inventory}.stock_movements
       WHERE cause_type = 'order' AND cause_id = CONVERT(? USING ascii) COLLATE ascii_bin
       ORDER BY id`,
    ),
  ];
}

function paymentSources({ payment, provider }: SchemaNames): readonly Source[] {
  const ofOrder = (table: string, alias: string): string =>
    `${payment}.payments p JOIN ${table} ${alias} ON ${alias}.payment_id = p.id
     WHERE p.order_id = ?`;
  return [
    source(
      "payment",
      "payments",
      `SELECT created_at AS at, 'payment' AS kind,
              CONCAT(channel, ' payment is ', status) AS summary,
              id, amount, currency, refund_reserved, refunded_amount, captured_at, expires_at
       FROM ${payment}.payments WHERE order_id = ? ORDER BY id`,
    ),
    source(
      "payment",
      "payment_closed",
      `SELECT closing_at AS at, 'closing' AS kind, 'no payment can be opened any more' AS summary,
              closed_at
       FROM ${payment}.payment_orders WHERE order_id = ?`,
    ),
    source(
      "payment",
      "callbacks",
      `SELECT c.received_at AS at, 'callback' AS kind,
              CONCAT(c.source, ' says ', c.outcome, ', ', COALESCE(c.effect, 'not applied yet'))
                AS summary,
              c.id, c.payment_id, c.webhook_id, c.amount, c.provider_ref, c.applied_at
       FROM ${ofOrder(`${payment}.callbacks`, "c")} ORDER BY c.id`,
    ),
    source(
      "payment",
      "refunds",
      `SELECT f.created_at AS at, 'refund' AS kind, CONCAT('refund is ', f.status) AS summary,
              f.id, f.payment_id, f.amount, f.reason, f.attempts, f.last_error, f.succeeded_at
       FROM ${ofOrder(`${payment}.refunds`, "f")} ORDER BY f.id`,
    ),
    source(
      "payment",
      "ledger",
      `SELECT e.created_at AS at, 'ledger' AS kind, CONCAT(e.cause_type, ' on ', e.account) AS summary,
              e.id, e.cause_id, e.amount
       FROM ${ofOrder(`${payment}.ledger_entries`, "e")} ORDER BY e.id`,
    ),
    source(
      "provider",
      "charges",
      `SELECT c.created_at AS at, 'charge' AS kind, CONCAT('charge is ', c.status) AS summary,
              c.payment_id, c.amount, c.provider_ref, c.captured_at
       FROM ${ofOrder(`${provider}.charges`, "c")}`,
    ),
  ];
}

/** An admission of a flash sale, what became of it, and a unit whose way back is not done. */
function saleSources({ seckill }: SchemaNames): readonly Source[] {
  return [
    source(
      "seckill",
      "admission",
      `SELECT created_at AS at, 'admission' AS kind, CONCAT('admitted to the sale ', sale_id) AS summary,
              sale_id, state, seq, epoch, request_id
       FROM ${seckill}.admissions WHERE order_id = ?`,
    ),
    source(
      "seckill",
      "admission_ended",
      `SELECT ended_at AS at, 'admission' AS kind, CONCAT('the admission is ', state) AS summary,
              sale_id, reason
       FROM ${seckill}.admissions WHERE order_id = ? AND ended_at IS NOT NULL`,
    ),
    source(
      "seckill",
      "give_back",
      `SELECT created_at AS at, 'give_back' AS kind, 'the unit is on its way back to the gate' AS summary,
              sale_id
       FROM ${seckill}.give_backs WHERE order_id = ?`,
    ),
  ];
}

/** The trace of a W3C header, without its other parts. */
const TRACE_ID = "SUBSTRING_INDEX(SUBSTRING_INDEX(o.traceparent, '-', 2), '-', -1) AS trace_id";

interface EventRoad {
  readonly owner: "order" | "payment" | "seckill";
  /** Which outbox rows are about the order; the order's id is bound once. */
  readonly where: string;
  readonly consumers: readonly OwnedSchema[];
}

/** Events about the order, about its payments and its admission: when sent, and when each consumer had it. */
function messageSources(schemas: SchemaNames): readonly Source[] {
  const { payment, seckill } = schemas;
  const roads: readonly EventRoad[] = [
    { owner: "order", where: "o.aggregate_id = ?", consumers: ["inventory", "seckill"] },
    {
      owner: "payment",
      where: `o.aggregate_id IN (SELECT p.id FROM ${payment}.payments p WHERE p.order_id = ?)`,
      consumers: ["order"],
    },
    {
      // Admissions travel many in one event: those of the sale that name the order.
      owner: "seckill",
      where: `o.aggregate_id = (SELECT a.sale_id FROM ${seckill}.admissions a WHERE a.order_id = ?)
        AND o.payload LIKE CONCAT('%"', ?, '"%')`,
      consumers: ["order", "inventory"],
    },
  ];
  return roads.flatMap((road) => eventSources(schemas, road));
}

function eventSources(schemas: SchemaNames, { owner, where, consumers }: EventRoad): Source[] {
  const eventId = `CONVERT(CONCAT('${owner}.', o.id) USING ascii) COLLATE ascii_bin`;
  const outbox = `${schemas[owner]}.outbox o`;
  const sent = source(
    owner,
    `${owner}_events_sent`,
    `SELECT o.created_at AS at, 'event' AS kind, o.name AS summary,
            CONCAT('${owner}.', o.id) AS event_id, o.aggregate_version, o.published_at,
            o.publish_count, o.request_id, ${TRACE_ID}
     FROM ${outbox} WHERE ${where} ORDER BY o.id`,
  );
  const received = consumers.flatMap((consumer) => [
    source(
      consumer,
      `${owner}_events_received_by_${consumer}`,
      `SELECT i.received_at AS at, 'receipt' AS kind, CONCAT('has applied ', o.name) AS summary,
              i.event_id, o.request_id, ${TRACE_ID}
       FROM ${outbox} JOIN ${schemas[consumer]}.inbox i
         ON i.consumer = '${consumer}' AND i.event_id = ${eventId}
       WHERE ${where} ORDER BY o.id`,
    ),
    source(
      consumer,
      `${owner}_events_failed_at_${consumer}`,
      `SELECT d.created_at AS at, 'dead_letter' AS kind,
              CONCAT(d.event_name, ' failed ', d.tries, ' times, now ', d.status) AS summary,
              d.id, d.event_id, SUBSTRING_INDEX(d.error, CHAR(10), 1) AS error, d.resolved_at
       FROM ${outbox} JOIN ${schemas[consumer]}.dead_letters d
         ON d.consumer = '${consumer}' AND d.event_id = ${eventId}
       WHERE ${where} ORDER BY d.id`,
    ),
  ]);
  return [sent, ...received];
}
