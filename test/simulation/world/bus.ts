// The message server in memory: streams under interest retention, durable consumers with explicit
// acknowledgement, redelivery of what is not settled in time, a duplicate window by message id.
import { PlatformError } from "../../../services/contracts/errors.ts";
import type { EventName, EventOwner } from "../../../services/contracts/events.ts";
import type { ConsumerBus } from "../../../mixins/channels/consumer-runner.ts";
import type { EventMessage } from "../../../mixins/channels/envelope.ts";
import type { Pull, PullResult } from "../../../mixins/channels/pull.ts";
import type { StreamMessage } from "../../../mixins/channels/stream-message.ts";
import {
  consumersOf,
  type Subscription,
  subscriptionOf,
} from "../../../mixins/channels/topology.ts";
import type { RelayBus } from "../../../mixins/outbox/outbox-relay.ts";
import { type Fault, FAULTS } from "../kernel/fault-plan.ts";
import type { Network } from "../kernel/remote.ts";
import type { Process } from "../kernel/simulation.ts";

const NAMESPACE = "sim";
const PUBLISH_TIMEOUT_MS = 2_000;
const ACK_WAIT_MS = 30_000;
const MESSAGE_ID = "Nats-Msg-Id";
const ACK_FAULTS: readonly Fault[] = ["crash_before", "crash_after", "lost_request"];
const DELIVERY_FAULTS: readonly Fault[] = ["crash_before", "lost_reply"];

interface Stored {
  readonly message: EventMessage;
  readonly sequence: number;
  deliveries: number;
}

interface Durable {
  readonly waiting: Stored[];
  readonly unsettled: Set<Stored>;
  readonly pulls: Set<() => void>;
}

type Bus = RelayBus & ConsumerBus & { hintOutbox(owner: EventOwner): void };

export class MessageServer {
  readonly #network: Network;
  readonly #durables = new Map<string, Durable>();
  readonly #messageIds = new Set<string>();
  readonly #hints = new Map<EventOwner, Set<() => void>>();
  #sequence = 0;

  constructor(network: Network) {
    this.#network = network;
  }

  /** Whether anything is on its way. */
  get isIdle(): boolean {
    return [...this.#durables.values()].every(
      ({ waiting, unsettled }) => waiting.length + unsettled.size === 0,
    );
  }

  /** The bus as one process sees it. */
  connect(process: Process): Bus {
    return {
      namespace: NAMESPACE,
      ensureStream: () => Promise.resolve(),
      doubtStream: () => undefined,
      onConnected: () => () => undefined,
      publish: (message) =>
        this.#network.call({
          label: `bus publish ${message.name}`,
          faults: FAULTS,
          effect: () => this.#store(message),
          timeoutMs: PUBLISH_TIMEOUT_MS,
          timedOut: () => new PlatformError("SERVICE_UNAVAILABLE"),
        }),
      pull: (subscription) => this.#pull(subscription, process),
      hintOutbox: (owner) => this.#hint(owner),
      onOutboxHint: (owner, listener) => this.#onHint(owner, listener, process),
    };
  }

  #onHint(owner: EventOwner, listener: () => void, process: Process): () => void {
    const { simulation } = this.#network;
    const listeners = this.#hints.get(owner) ?? new Set();
    this.#hints.set(owner, listeners);
    const wake = (): void => {
      simulation.schedule(simulation.latency(), process, () => simulation.as(process, listener));
    };
    listeners.add(wake);
    const forget = (): void => void listeners.delete(wake);
    process.onDeath(forget);
    return forget;
  }

  /** A hint may be lost without harm. */
  #hint(owner: EventOwner): void {
    if (this.#network.boundary(`bus hint ${owner}`, ["lost_request"]) !== undefined) return;
    for (const wake of this.#hints.get(owner) ?? []) wake();
  }

  #store(message: EventMessage): void {
    const id = message.headers.get(MESSAGE_ID);
    if (this.#messageIds.has(id)) return;
    this.#messageIds.add(id);
    this.#sequence += 1;
    for (const consumer of consumersOf(message.name)) {
      const durable = this.#durable(durableOf(message.name, consumer));
      durable.waiting.push({ message, sequence: this.#sequence, deliveries: 0 });
      for (const wake of [...durable.pulls]) wake();
    }
  }

  #durable(name: string): Durable {
    const known = this.#durables.get(name);
    if (known !== undefined) return known;
    const durable: Durable = { waiting: [], unsettled: new Set(), pulls: new Set() };
    this.#durables.set(name, durable);
    return durable;
  }

  #pull({ durable: name, stream }: Subscription, process: Process): Pull {
    const durable = this.#durable(name);
    const { simulation } = this.#network;
    let isStopped = false;
    let finish: ((result: PullResult) => void) | undefined;
    let most = 0;
    const deliver = (): void => {
      if (finish === undefined || durable.waiting.length === 0) return;
      const resolve = finish;
      finish = undefined;
      const taken = durable.waiting.splice(0, most);
      const messages = taken.map((stored) => this.#deliver(stored, durable, stream));
      const fault = simulation.as(process, () =>
        this.#network.boundary(`bus deliver ${name}`, DELIVERY_FAULTS),
      );
      // Lost on their way: they come again when the time to settle them is over.
      const result = { messages: fault === "lost_reply" ? [] : messages, isLost: false };
      simulation.schedule(simulation.latency(), process, () => resolve(result));
    };
    durable.pulls.add(deliver);
    process.onDeath(() => durable.pulls.delete(deliver));
    return {
      next: (batchSize) =>
        new Promise((resolve) => {
          if (isStopped) {
            resolve({ messages: [], isLost: true });
            return;
          }
          finish = resolve;
          most = batchSize;
          deliver();
        }),
      stop() {
        isStopped = true;
        durable.pulls.delete(deliver);
        finish?.({ messages: [], isLost: true });
        finish = undefined;
      },
    };
  }

  #deliver(stored: Stored, durable: Durable, stream: string): StreamMessage {
    const { simulation } = this.#network;
    stored.deliveries += 1;
    durable.unsettled.add(stored);
    const again = (delayMs: number): void => {
      simulation.schedule(delayMs, undefined, () => {
        if (!durable.unsettled.delete(stored)) return;
        durable.waiting.push(stored);
        for (const wake of [...durable.pulls]) wake();
      });
    };
    again(ACK_WAIT_MS);
    let isSettled = false;
    const settle = (how: string, effect: () => void): void => {
      if (isSettled) return;
      isSettled = true;
      const fault = this.#network.boundary(`bus ${how} ${stored.message.name}`, ACK_FAULTS);
      const owner = simulation.current();
      if (fault === "crash_before" || fault === "lost_request") return;
      simulation.schedule(simulation.latency(), undefined, effect);
      if (fault === "crash_after") owner?.die();
    };
    return {
      stream,
      sequence: stored.sequence,
      deliveryCount: stored.deliveries,
      text: () => stored.message.data,
      header: (name) => {
        const value = stored.message.headers.get(name);
        return value === "" ? undefined : value;
      },
      ack: () => settle("ack", () => durable.unsettled.delete(stored)),
      nak: (delayMs = 0) => settle("nak", () => again(delayMs)),
      term: () => settle("term", () => durable.unsettled.delete(stored)),
      working: () => undefined,
    };
  }
}

function durableOf(event: EventName, consumer: EventOwner): string {
  return subscriptionOf(NAMESPACE, event, consumer).durable;
}
