// Tells relays that an outbox has new rows, so that they need not poll often. Hints may be lost:
// the relay's poll is what is relied on. Many hints of one moment become one.
import type { NatsConnection } from "nats";
import { EVENT_OWNERS, type EventOwner } from "../../services/contracts/events.ts";
import { hintSubject } from "./topology.ts";

/** At most one hint per owner goes out in this time. */
const COALESCE_MS = 5;

export interface OutboxHints {
  /** To be called after the commit of a transaction that appended events. Never fails. */
  hintOutbox(owner: EventOwner): void;
  /** Listens to hints of this and of other processes; returns how to stop that. */
  onOutboxHint(owner: EventOwner, listener: () => void): () => void;
}

interface AttachableHints extends OutboxHints {
  attach(connection: NatsConnection): void;
}

export function createOutboxHints(namespace: string, isConnected: () => boolean): AttachableHints {
  const listeners = new Map<EventOwner, Set<() => void>>(
    EVENT_OWNERS.map((owner) => [owner, new Set()]),
  );
  const resting = new Map<EventOwner, { isAskedAgain: boolean }>();
  let connection: NatsConnection | undefined;

  const wake = (owner: EventOwner): void => {
    for (const listener of listeners.get(owner) ?? []) listener();
  };

  const send = (owner: EventOwner): void => {
    wake(owner);
    if (isConnected()) connection?.publish(hintSubject(namespace, owner));
    const rest = { isAskedAgain: false };
    resting.set(owner, rest);
    setTimeout(() => {
      resting.delete(owner);
      if (rest.isAskedAgain) send(owner);
    }, COALESCE_MS).unref();
  };

  const subscribed = new Set<EventOwner>();
  const subscribe = (owner: EventOwner): void => {
    if (connection === undefined || subscribed.has(owner)) return;
    subscribed.add(owner);
    connection.subscribe(hintSubject(namespace, owner), { callback: () => wake(owner) });
  };

  return {
    hintOutbox(owner) {
      const rest = resting.get(owner);
      if (rest === undefined) send(owner);
      else rest.isAskedAgain = true;
    },
    onOutboxHint(owner, listener) {
      const set = listeners.get(owner);
      set?.add(listener);
      subscribe(owner);
      return () => set?.delete(listener);
    },
    attach(opened) {
      connection = opened;
      subscribed.clear();
      for (const [owner, set] of listeners) if (set.size > 0) subscribe(owner);
    },
  };
}
