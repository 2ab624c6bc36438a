// What must be true of durable messages and ids. Who consumes what comes from the event catalogue.
import {
  EVENT_CATALOGUE,
  EVENT_OWNERS,
  type EventName,
  eventOwner,
  type EventOwner,
} from "../../services/contracts/events.ts";
import type { Invariant } from "./invariant.ts";

/** Events of one owner that one service consumes. */
export interface EventRoute {
  readonly owner: EventOwner;
  readonly consumer: EventOwner;
  readonly events: readonly EventName[];
}

export const EVENT_ROUTES: readonly EventRoute[] = EVENT_OWNERS.flatMap((owner) =>
  EVENT_OWNERS.map((consumer) => ({
    owner,
    consumer,
    events: (Object.keys(EVENT_CATALOGUE) as EventName[]).filter((name) => {
      const consumers: readonly EventOwner[] = EVENT_CATALOGUE[name].consumers;
      return eventOwner(name) === owner && consumers.includes(consumer);
    }),
  })),
).filter(({ events }) => events.length > 0);

/** FROM and WHERE of the events on a route without a receipt and without an open dead letter; `o`
 * is the outbox row. The key is converted so that the inbox is read by its primary key. */
export function missingReceipts({ owner, consumer, events }: EventRoute): string {
  const key = `CONVERT(CONCAT('${owner}.', o.id) USING ascii) COLLATE ascii_bin`;
  return `
      FROM {${owner}}.outbox o
      LEFT JOIN {${consumer}}.inbox i ON i.consumer = '${consumer}' AND i.event_id = ${key}
      LEFT JOIN {${consumer}}.dead_letters d
        ON d.consumer = '${consumer}' AND d.event_id = ${key} AND d.status = 'open'
      WHERE o.name IN (${events.map((name) => `'${name}'`).join(", ")})
        AND i.event_id IS NULL AND d.id IS NULL`;
}

const SHARED_IDS = [
  ["{order}.orders", "{payment}.payments"],
  ["{order}.orders", "{payment}.refunds"],
  ["{payment}.payments", "{payment}.refunds"],
  ["{user}.users", "{order}.orders"],
  ["{product}.products", "{order}.orders"],
  ["{seckill}.sales", "{order}.orders"],
] as const;

const unionOf = (selects: readonly string[]): string => selects.join("\n      UNION ALL");

export const MESSAGE_INVARIANTS: readonly Invariant[] = [
  ...EVENT_ROUTES.map((route): Invariant => ({
    name: `messages.${route.owner}_to_${route.consumer}_arrive`,
    checks: `Every event of ${route.owner} has reached ${route.consumer} or is an open dead letter.`,
    params: ["graceS"],
    query: `
      SELECT CONCAT('${route.owner}.', o.id) AS offender ${missingReceipts(route)}
        AND o.created_at < NOW(3) - INTERVAL ? SECOND`,
  })),
  ...EVENT_OWNERS.map((owner): Invariant => ({
    name: `messages.${owner}_outbox_drains`,
    checks: `The events of ${owner} are published.`,
    params: ["graceS"],
    query: `
      SELECT CONCAT('${owner}.', id) AS offender
      FROM {${owner}}.outbox
      WHERE published_at IS NULL AND created_at < NOW(3) - INTERVAL ? SECOND`,
  })),
  ...EVENT_OWNERS.map((owner): Invariant => ({
    name: `messages.${owner}_dead_letters_unapplied`,
    checks: `No event that ${owner} has applied is an open dead letter as well.`,
    query: `
      SELECT CONCAT('dead letter ', d.id) AS offender
      FROM {${owner}}.dead_letters d
      JOIN {${owner}}.inbox i ON i.consumer = d.consumer AND i.event_id = d.event_id
      WHERE d.status = 'open'`,
  })),
  {
    name: "ids.unique",
    checks: "No id was minted twice, in whatever service.",
    query: unionOf(
      SHARED_IDS.map(
        ([left, right]) => `
      SELECT CONCAT('id ', a.id) AS offender FROM ${left} a JOIN ${right} b ON b.id = a.id`,
      ),
    ),
  },
];
