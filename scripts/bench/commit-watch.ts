// Tells when inventory has committed an order's stock, by looking into its schema: asking over HTTP
// would cost more than what is measured. One small query for all orders that are waited for.
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { mysqlLogin } from "./mysql-login.ts";

const LOOK_INTERVAL_MS = 20;
const WAIT_MS_MAX = 20_000;

interface Waiting {
  readonly sinceMs: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class CommitWatch {
  readonly #connection: Connection;
  readonly #waiting = new Map<string, Waiting>();
  #timer: NodeJS.Timeout | undefined;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async open(mysqlUrl: string, schema: string): Promise<CommitWatch> {
    return new CommitWatch(
      await createConnection({
        ...mysqlLogin(mysqlUrl),
        database: schema,
        supportBigNumbers: true,
        bigNumberStrings: true,
      }),
    );
  }

  /** Resolves when the order's reservation is committed, LOOK_INTERVAL_MS late at most. */
  committed(orderId: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(orderId, { sinceMs: performance.now(), resolve, reject });
      this.#timer ??= setTimeout(() => void this.#look(), LOOK_INTERVAL_MS);
    });
  }

  async #look(): Promise<void> {
    try {
      await this.#settle();
    } catch (error) {
      for (const { reject } of this.#waiting.values()) reject(error as Error);
      this.#waiting.clear();
    }
    this.#timer = undefined;
    if (this.#waiting.size > 0) {
      this.#timer = setTimeout(() => void this.#look(), LOOK_INTERVAL_MS);
    }
  }

  async #settle(): Promise<void> {
    const [rows] = await this.#connection.query<(RowDataPacket & { order_id: string })[]>(
      "SELECT order_id FROM reservations WHERE order_id IN (?) AND status = 'committed'",
      [[...this.#waiting.keys()]],
    );
    for (const { order_id: orderId } of rows) {
      this.#waiting.get(orderId)?.resolve();
      this.#waiting.delete(orderId);
    }
    const oldestMs = performance.now() - WAIT_MS_MAX;
    for (const [orderId, { sinceMs, reject }] of this.#waiting) {
      if (sinceMs > oldestMs) continue;
      reject(new Error("paid, but its stock was not committed in time"));
      this.#waiting.delete(orderId);
    }
  }
}
