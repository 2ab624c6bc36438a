// The connection to JetStream: publishing with acknowledgement, streams and consumers that come
// back by themselves, and outbox hints. Connects in the background and for ever; a node starts and
// lives without the message server, its outbox only grows.
import {
  type ConnectionOptions,
  connect,
  Events,
  type JetStreamManager,
  type NatsConnection,
  NatsError,
} from "nats";
import { PlatformError } from "../../services/contracts/errors.ts";
import { type EventOwner, eventOwner } from "../../services/contracts/events.ts";
import { must } from "../../services/kernel/assert.ts";
import { SECOND_MS } from "../../services/kernel/clock.ts";
import type { Log } from "../log.ts";
import type { EventMessage } from "./envelope.ts";
import { createOutboxHints, type OutboxHints } from "./outbox-hints.ts";
import { createPull, type Pull } from "./pull.ts";
import { createStreamPublisher, type StreamPublisher } from "./stream-publisher.ts";
import { readStreams, type StreamState } from "./stream-states.ts";
import { pause, within } from "./timing.ts";
import {
  consumerConfigs,
  eventSubject,
  streamConfig,
  streamName,
  type Subscription,
} from "./topology.ts";

const RECONNECT_WAIT_MS = 500;
const RECREATE_DELAY_MS = 500;
const PING_INTERVAL_MS = 10 * SECOND_MS;
const PINGS_OUT_MAX = 2;
const CONNECT_TIMEOUT_MS = 2 * SECOND_MS;
const PUBLISH_TIMEOUT_MS = 2 * SECOND_MS;
const API_TIMEOUT_MS = 3 * SECOND_MS;
const PING_TIMEOUT_MS = SECOND_MS;
const CLOSE_TIMEOUT_MS = 3 * SECOND_MS;
/** The stream exists with another configuration. */
const STREAM_NAME_IN_USE = 10_058;

export interface BusOptions {
  /** nats://user:password@host:port or nats://token@host:port; several hosts with commas. */
  readonly url: string;
  readonly namespace: string;
  /** Shown in the server's list of connections. */
  readonly name: string;
  readonly log: Log;
  /** A delivery that is not settled within it is delivered again; tests shorten it. */
  readonly ackWaitMs?: number;
}

export interface EventBus extends OutboxHints {
  readonly namespace: string;
  /** Rejects with SERVICE_UNAVAILABLE within a second or so when the server does not answer. */
  ping(): Promise<void>;
  /** Makes sure, once per connection, that the owner's stream and all its consumers exist. */
  ensureStream(owner: EventOwner): Promise<void>;
  /** Makes the next ensureStream() look again. */
  doubtStream(owner: EventOwner): void;
  /** Resolves when the stream has stored the message. Rejects when that is not known: publish again
   * with the same message id. */
  publish(message: EventMessage): Promise<void>;
  /** Events of the owner's stream that its slowest consumer has not settled. Rejects when the server does
   * not tell. */
  backlogOf(owner: EventOwner): Promise<number>;
  /** Deliveries of one durable consumer. */
  pull(subscription: Subscription): Pull;
  /** Calls the listener after every (re)connect; returns how to stop that. */
  onConnected(listener: () => void): () => void;
  /** How full the streams of this platform are, and how far their consumers. */
  streams(): Promise<readonly StreamState[]>;
  close(): Promise<void>;
}

interface Link {
  readonly connection: NatsConnection;
  readonly publisher: StreamPublisher;
  readonly manager: JetStreamManager;
}

export function createBus(options: BusOptions): EventBus {
  return new JetStreamBus(options);
}

class JetStreamBus implements EventBus {
  readonly namespace: string;
  readonly #options: BusOptions;
  readonly #hints: OutboxHints & { attach(connection: NatsConnection): void };
  readonly #ensured = new Map<EventOwner, Promise<void>>();
  readonly #doubted = new Set<EventOwner>();
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  #link: Link | undefined;
  #isConnected = false;
  readonly #running: Promise<void>;

  constructor(options: BusOptions) {
    this.#options = options;
    this.namespace = options.namespace;
    this.#hints = createOutboxHints(options.namespace, () => this.#isConnected);
    this.#running = this.#run();
  }

  async ping(): Promise<void> {
    const { connection } = this.#require();
    await within(connection.flush(), PING_TIMEOUT_MS);
  }

  ensureStream(owner: EventOwner): Promise<void> {
    const known = this.#ensured.get(owner);
    if (known !== undefined) return known;
    const attempt = this.#recreateStream(owner);
    this.#ensured.set(owner, attempt);
    attempt.catch(() => {
      if (this.#ensured.get(owner) === attempt) this.#ensured.delete(owner);
    });
    return attempt;
  }

  doubtStream(owner: EventOwner): void {
    this.#ensured.delete(owner);
    this.#doubted.add(owner);
  }

  async publish(message: EventMessage): Promise<void> {
    const owner = eventOwner(message.name);
    await this.ensureStream(owner);
    const { publisher } = this.#require();
    const { data, headers } = message;
    try {
      await publisher.publish(eventSubject(this.namespace, message.name), data, headers);
    } catch (error) {
      this.doubtStream(owner);
      throw error;
    }
  }

  async backlogOf(owner: EventOwner): Promise<number> {
    const { manager } = this.#require();
    const stream = streamName(this.namespace, owner);
    const counts = consumerConfigs(this.namespace, owner).map(async ({ durable_name: name }) => {
      const info = await manager.consumers.info(stream, must(name, "a durable consumer's name"));
      return info.num_pending + info.num_ack_pending;
    });
    return Math.max(0, ...(await Promise.all(counts)));
  }

  pull(subscription: Subscription): Pull {
    const { connection } = this.#require();
    return createPull(connection, subscription);
  }

  hintOutbox(owner: EventOwner): void {
    this.#hints.hintOutbox(owner);
  }

  onOutboxHint(owner: EventOwner, listener: () => void): () => void {
    return this.#hints.onOutboxHint(owner, listener);
  }

  onConnected(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (this.#isConnected) queueMicrotask(listener);
    return () => this.#listeners.delete(listener);
  }

  async streams(): Promise<readonly StreamState[]> {
    return await readStreams(this.#require().manager, this.namespace);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#isConnected = false;
    const connection = this.#link?.connection;
    if (connection !== undefined && !connection.isClosed()) {
      // drain() sends acknowledgements still in the buffer; without a server it never ends.
      await within(connection.drain(), CLOSE_TIMEOUT_MS).catch(() => connection.close());
    }
    await this.#running;
  }

  /** The client reconnects by itself; only the first connect and a connection it gave up are here. */
  async #run(): Promise<void> {
    while (!this.#isClosed()) {
      try {
        const connection = await connect(connectionOptions(this.#options));
        if (this.#isClosed()) await connection.close();
        else await this.#use(connection);
      } catch (error) {
        this.#options.log.warn({ err: error }, "message server is not reachable");
      }
      await pause(RECONNECT_WAIT_MS, this.#stop.signal);
    }
  }

  /** Resolves when the connection is closed for good. */
  async #use(connection: NatsConnection): Promise<void> {
    const manager = await connection.jetstreamManager({ checkAPI: false, timeout: API_TIMEOUT_MS });
    this.#link = {
      connection,
      manager,
      publisher: createStreamPublisher(connection, PUBLISH_TIMEOUT_MS),
    };
    this.#hints.attach(connection);
    void this.#watch(connection);
    this.#connected();
    await connection.closed();
    this.#isConnected = false;
    this.#link.publisher.abandon();
  }

  /** Follows the connection's state; the client reconnects by itself, for ever. */
  async #watch(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type === Events.Disconnect) {
        this.#isConnected = false;
        this.#link?.publisher.abandon();
        this.#options.log.warn({}, "connection to the message server is lost");
      }
      if (type === Events.Reconnect) this.#connected();
    }
  }

  #connected(): void {
    this.#isConnected = true;
    // The server may have come back with an empty store.
    this.#ensured.clear();
    this.#doubted.clear();
    for (const listener of this.#listeners) listener();
  }

  /** nats-server 2.9 removes the folder of a deleted stream after it has let the name go: whoever
   * makes the stream anew at once may find it without its folder, for good. */
  async #recreateStream(owner: EventOwner): Promise<void> {
    if (this.#doubted.has(owner)) await pause(RECREATE_DELAY_MS, this.#stop.signal);
    await this.#createStream(owner);
    this.#doubted.delete(owner);
  }

  async #createStream(owner: EventOwner): Promise<void> {
    const { manager } = this.#require();
    const config = streamConfig(this.namespace, owner);
    try {
      await manager.streams.add(config);
    } catch (error) {
      if (!isApiError(error, STREAM_NAME_IN_USE)) throw error;
      await manager.streams.update(streamName(this.namespace, owner), config);
    }
    const stream = streamName(this.namespace, owner);
    await Promise.all(
      consumerConfigs(this.namespace, owner, this.#options.ackWaitMs).map((consumer) =>
        manager.consumers.add(stream, consumer),
      ),
    );
  }

  #isClosed(): boolean {
    return this.#stop.signal.aborted;
  }

  #require(): Link {
    if (this.#link === undefined || !this.#isConnected) {
      throw new PlatformError("SERVICE_UNAVAILABLE");
    }
    return this.#link;
  }
}

function connectionOptions({ url, name }: BusOptions): ConnectionOptions {
  const hosts = url.split(",").map((part) => new URL(part));
  const { username = "", password = "" } = hosts[0] ?? {};
  const user = decodeURIComponent(username);
  const secret = decodeURIComponent(password);
  const credentials = user === "" ? {} : secret === "" ? { token: user } : { user, pass: secret };
  return {
    servers: hosts.map((host) => host.host),
    ...credentials,
    name,
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: PINGS_OUT_MAX,
    timeout: CONNECT_TIMEOUT_MS,
  };
}

function isApiError(error: unknown, code: number): boolean {
  return error instanceof NatsError && error.api_error?.err_code === code;
}
