// A bounded pool of connections with a bounded queue in front. A caller waits a known time at most
// and is then told OVERLOADED; a connection in doubt is destroyed and never handed out again.
//
// While connections cannot be opened one is tried at a time. A server that was frozen finds every
// attempt of that time in its queue and works them all off, those given up long ago first: pools that
// went on trying with all they have would keep it at that for ever.
import { PlatformError } from "../../services/contracts/errors.ts";
import { assert } from "../../services/kernel/assert.ts";

export interface PooledConnection {
  readonly isUsable: boolean;
  destroy(): void;
  /** Says goodbye to the server and closes. */
  end(): Promise<void>;
}

export interface PoolOptions<C extends PooledConnection> {
  readonly sizeMax: number;
  /** Callers that may wait; the next one is refused at once. */
  readonly queueLengthMax: number;
  readonly acquireTimeoutMs: number;
  readonly open: () => Promise<C>;
}

export interface PoolFigures {
  /** Connections that are open or being opened. */
  readonly open: number;
  /** Of those, how many nobody uses. */
  readonly idle: number;
  /** Callers that wait for one. */
  readonly waiting: number;
  readonly sizeMax: number;
}

interface Waiter<C> {
  readonly resolve: (connection: C) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

export class ConnectionPool<C extends PooledConnection> {
  readonly #options: PoolOptions<C>;
  readonly #idle: C[] = [];
  readonly #waiters: Waiter<C>[] = [];
  /** Connections that are open or being opened. */
  #size = 0;
  #opening = 0;
  /** The last attempt to open one has failed. */
  #isFailing = false;
  #isClosed = false;
  #drained: (() => void) | undefined;

  constructor(options: PoolOptions<C>) {
    this.#options = options;
  }

  get figures(): PoolFigures {
    const { sizeMax } = this.#options;
    return { open: this.#size, idle: this.#idle.length, waiting: this.#waiters.length, sizeMax };
  }

  /**
   * @param isPreferred chooses among idle connections; none of them suits, any will do.
   * Errors: OVERLOADED, SHUTTING_DOWN, or what `open` rejects with.
   */
  acquire(isPreferred: (connection: C) => boolean): Promise<C> {
    if (this.#isClosed) return Promise.reject(new PlatformError("SHUTTING_DOWN"));
    const connection = this.#takeIdle(isPreferred);
    if (connection !== undefined) return Promise.resolve(connection);
    if (this.#waiters.length >= this.#options.queueLengthMax) {
      return Promise.reject(new PlatformError("OVERLOADED"));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#giveUp(waiter), this.#options.acquireTimeoutMs);
      const waiter: Waiter<C> = { resolve, reject, timer };
      this.#waiters.push(waiter);
      this.#grow();
    });
  }

  /** Gives a connection back. One that is no longer usable is destroyed instead. */
  release(connection: C): void {
    if (!connection.isUsable || this.#isClosed) {
      this.discard(connection);
      return;
    }
    const waiter = this.#nextWaiter();
    if (waiter === undefined) this.#idle.push(connection);
    else waiter.resolve(connection);
  }

  /** Destroys a connection in doubt. */
  discard(connection: C): void {
    connection.destroy();
    this.#shrink();
    this.#grow();
  }

  /** Closes idle connections, waits for those at work up to `graceMs`, refuses everybody else. */
  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    for (let waiter = this.#nextWaiter(); waiter !== undefined; waiter = this.#nextWaiter()) {
      waiter.reject(new PlatformError("SHUTTING_DOWN"));
    }
    const idle = this.#idle.splice(0);
    await Promise.allSettled(idle.map((connection) => connection.end()));
    for (let ended = 0; ended < idle.length; ended += 1) this.#shrink();
    if (this.#size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#drained = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #takeIdle(isPreferred: (connection: C) => boolean): C | undefined {
    while (this.#idle.length > 0) {
      const index = Math.max(this.#idle.findLastIndex(isPreferred), 0);
      const [connection] = this.#idle.splice(index, 1);
      if (connection?.isUsable === true) return connection;
      this.#shrink();
    }
    return undefined;
  }

  #grow(): void {
    while (this.#mayOpen()) this.#open();
  }

  #mayOpen(): boolean {
    const openingMax = this.#isFailing ? 1 : this.#waiters.length;
    const isWanted = this.#opening < Math.min(openingMax, this.#waiters.length);
    return isWanted && this.#size < this.#options.sizeMax && !this.#isClosed;
  }

  #open(): void {
    this.#size += 1;
    this.#opening += 1;
    this.#options.open().then(
      (connection) => {
        this.#opening -= 1;
        this.#isFailing = false;
        this.release(connection);
        this.#grow();
      },
      (error: unknown) => {
        this.#opening -= 1;
        this.#isFailing = true;
        this.#shrink();
        this.#nextWaiter()?.reject(error);
        this.#grow();
      },
    );
  }

  #shrink(): void {
    this.#size -= 1;
    assert(this.#size >= 0, "a pool cannot give up more connections than it had");
    if (this.#size === 0) this.#drained?.();
  }

  #nextWaiter(): Waiter<C> | undefined {
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) clearTimeout(waiter.timer);
    return waiter;
  }

  #giveUp(waiter: Waiter<C>): void {
    const index = this.#waiters.indexOf(waiter);
    if (index < 0) return;
    this.#waiters.splice(index, 1);
    // A connection that takes this long to open means a server that does not answer.
    waiter.reject(new PlatformError(this.#opening > 0 ? "SERVICE_UNAVAILABLE" : "OVERLOADED"));
  }
}
