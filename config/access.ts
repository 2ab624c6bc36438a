// What the process of some services may do on Redis and on the message server: the keys of its own
// services, the events of its own services, and nothing an operator does. The launcher gives these
// rights to its private servers' users; deploy/ repeats them for containers, held to it by a test.
import { hintSubject, streamName } from "../mixins/channels/topology.ts";
import { EVENT_OWNERS, type EventOwner } from "../services/contracts/events.ts";
import type { ServiceUnit } from "./roles.ts";

interface Reach {
  /** Owner of the Redis keys it reads and writes. */
  readonly keys?: "gateway" | "product" | "inventory" | "seckill";
  /** Whether it takes part in streams: makes them, reads them, settles what it took. */
  readonly usesStreams?: boolean;
  /** Whose events it publishes. */
  readonly publishes?: EventOwner;
}

const worker = (owner: EventOwner): Reach => ({ usesStreams: true, publishes: owner });

const REACH: Readonly<Record<ServiceUnit, Reach>> = {
  gateway: { keys: "gateway" },
  user: {},
  product: { keys: "product" },
  inventory: { keys: "inventory" },
  order: {},
  payment: {},
  seckill: { keys: "seckill" },
  operations: {},
  "user-worker": worker("user"),
  "product-worker": { ...worker("product"), keys: "product" },
  "inventory-worker": { ...worker("inventory"), keys: "inventory" },
  "order-worker": worker("order"),
  "payment-worker": worker("payment"),
  "seckill-worker": { ...worker("seckill"), keys: "seckill" },
  auditor: { usesStreams: true },
  provider: {},
};

export interface Access {
  /** Rules of a Redis ACL, after name and password. */
  readonly redis: readonly string[];
  /** Subjects. */
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** What scripts and clients of ours call; nothing that empties, stops, lists or reconfigures a server. */
const REDIS_COMMANDS = [
  "-@all",
  "+@read",
  "+@write",
  "+@connection",
  "-@dangerous",
  "+eval",
  "+evalsha",
  "+time",
  "+info",
] as const;

/** Requests to JetStream about one stream: none deletes, empties or reads past the consumers. */
const STREAM_REQUESTS = ["STREAM.CREATE.", "STREAM.UPDATE.", "STREAM.INFO."] as const;
const CONSUMER_REQUESTS = [
  "CONSUMER.CREATE.",
  "CONSUMER.DURABLE.CREATE.",
  "CONSUMER.INFO.",
  "CONSUMER.MSG.NEXT.",
] as const;

export function accessOf(units: readonly ServiceUnit[], namespace: string): Access {
  const reach = units.map((unit) => REACH[unit]);
  const keys = distinct(reach.map((one) => one.keys));
  const published = distinct(reach.map((one) => one.publishes));
  const usesStreams = reach.some((one) => one.usesStreams === true);
  // Moleculer's packets; hints to relays.
  const packets = `MOL-${namespace}.>`;
  const hints = hintSubject(namespace, "*" as EventOwner);
  return {
    redis: [
      "resetkeys",
      "resetchannels",
      ...REDIS_COMMANDS,
      ...keys.map((owner) => `~${namespace}:${owner}:*`),
    ],
    publish: [
      packets,
      hints,
      ...published.map((owner) => `${namespace}.events.${owner}.>`),
      ...(usesStreams ? EVENT_OWNERS.flatMap((owner) => streamRequests(namespace, owner)) : []),
    ],
    subscribe: usesStreams ? [packets, hints, "_INBOX.>"] : [packets],
  };
}

function streamRequests(namespace: string, owner: EventOwner): readonly string[] {
  const stream = streamName(namespace, owner);
  return [
    ...STREAM_REQUESTS.map((request) => `$JS.API.${request}${stream}`),
    ...CONSUMER_REQUESTS.map((request) => `$JS.API.${request}${stream}.>`),
    `$JS.ACK.${stream}.>`,
  ];
}

function distinct<T>(values: readonly (T | undefined)[]): readonly T[] {
  return [...new Set(values)].filter((value) => value !== undefined);
}
