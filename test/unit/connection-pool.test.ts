// How many connections a pool tries to open at once, when they can be opened and when they cannot.
import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { ConnectionPool, type PooledConnection } from "../../mixins/database/connection-pool.ts";

const SIZE = 4;
/** No caller of these tests gives up. */
const ACQUIRE_TIMEOUT_MS = 60_000;

class Attempt {
  readonly connection: PooledConnection = {
    isUsable: true,
    destroy: () => undefined,
    end: () => Promise.resolve(),
  };
  readonly #settled = Promise.withResolvers<PooledConnection>();

  get promise(): Promise<PooledConnection> {
    return this.#settled.promise;
  }

  async succeed(): Promise<void> {
    this.#settled.resolve(this.connection);
    await nextTurn();
  }

  async fail(): Promise<void> {
    this.#settled.reject(new Error("no answer"));
    await nextTurn();
  }
}

const pools: ConnectionPool<PooledConnection>[] = [];

function poolOfAttempts() {
  const attempts: Attempt[] = [];
  const pool = new ConnectionPool<PooledConnection>({
    sizeMax: SIZE,
    queueLengthMax: 100,
    acquireTimeoutMs: ACQUIRE_TIMEOUT_MS,
    open: () => {
      const attempt = new Attempt();
      attempts.push(attempt);
      return attempt.promise;
    },
  });
  pools.push(pool);
  /** So many callers; the answer of each, a connection or an error. */
  const acquire = (count: number): { readonly answers: readonly Promise<unknown>[] } => ({
    answers: Array.from({ length: count }, () =>
      pool.acquire(() => true).catch((error: unknown) => error),
    ),
  });
  return { pool, attempts, acquire };
}

describe("a pool of connections", () => {
  // Who still waits keeps the process alive.
  afterEach(() => Promise.all(pools.splice(0).map((pool) => pool.close(0))));

  it("opens as many at once as callers wait for, up to its size", () => {
    const { attempts, acquire } = poolOfAttempts();
    acquire(2);
    assert.equal(attempts.length, 2);
    acquire(SIZE);
    assert.equal(attempts.length, SIZE);
  });

  it("tries one at a time while none can be opened", async () => {
    const { attempts, acquire } = poolOfAttempts();
    const { answers } = acquire(SIZE);
    for (const attempt of attempts.slice()) await attempt.fail();
    assert.ok((await Promise.all(answers)).every((answer) => answer instanceof Error));
    acquire(SIZE * 2);
    assert.equal(attempts.length, SIZE + 1);
    await attempts.at(-1)?.fail();
    assert.equal(attempts.length, SIZE + 2);
  });

  it("opens what is wanted as soon as one could be opened again", async () => {
    const { pool, attempts, acquire } = poolOfAttempts();
    acquire(1);
    await attempts[0]?.fail();
    const { answers } = acquire(SIZE);
    assert.equal(attempts.length, 2);
    await attempts[1]?.succeed();
    assert.equal(await answers[0], attempts[1]?.connection);
    assert.equal(attempts.length, 1 + SIZE);
    assert.equal(pool.figures.open, SIZE);
  });
});
