// Small scripts of SQL for one or two sessions, told as what each statement was answered. The real and
// the simulated server must tell every one of them alike; nothing here knows on which it runs.
import { DatabaseError } from "../../mixins/database/database-error.ts";
import { withLockWait } from "../../mixins/database/lock-wait.ts";
import type { DatabaseConnection } from "../../mixins/database/mysql-connection.ts";
import { must } from "../../services/kernel/assert.ts";

/** A server under a script. */
export interface ScriptServer {
  /** A session on the schema of flash sales. */
  open(): Promise<DatabaseConnection>;
  /** Resolves when the session's statement waits for a lock, or `isOver` says that it has ended. */
  untilBlocked(session: DatabaseConnection, isOver: () => boolean): Promise<void>;
}

export interface Script {
  readonly name: string;
  /** @param key unlike every other script's, to make ids from. */
  readonly play: (at: Actors, key: number) => Promise<void>;
}

/** Plays the script; returns its answers in order. */
export async function told(server: ScriptServer, script: Script, key: number): Promise<unknown[]> {
  const log: unknown[] = [];
  const [one, two] = [await server.open(), await server.open()];
  const first = new Actor("first", one, { server, log });
  const second = new Actor("second", two, { server, log });
  try {
    await script.play({ first, second, note: (what) => log.push(what) }, key);
  } finally {
    await Promise.all([one.end(), two.end()]);
  }
  return log;
}

interface Actors {
  readonly first: Actor;
  readonly second: Actor;
  readonly note: (what: unknown) => void;
}

interface ScriptWorld {
  readonly server: ScriptServer;
  readonly log: unknown[];
}

class Actor {
  readonly #name: string;
  readonly #connection: DatabaseConnection;
  readonly #world: ScriptWorld;
  #started: Promise<unknown> | undefined;

  constructor(name: string, connection: DatabaseConnection, world: ScriptWorld) {
    this.#name = name;
    this.#connection = connection;
    this.#world = world;
  }

  async begin(): Promise<void> {
    await this.#connection.setTransactional(true);
  }

  async does(sql: string, ...params: readonly unknown[]): Promise<void> {
    this.#note(await this.asks(sql, params));
  }

  /** Sends a statement that has to wait, and tells whether it does. */
  async waits(sql: string, ...params: readonly unknown[]): Promise<void> {
    const end = { isOver: false };
    this.#started = this.asks(sql, params).finally(() => {
      end.isOver = true;
    });
    await this.#world.server.untilBlocked(this.#connection, () => end.isOver);
    this.#note(end.isOver ? "did not wait" : "waits");
  }

  async gets(): Promise<void> {
    this.#note(await this.started());
  }

  /** The answer to the statement that waited. */
  started(): Promise<unknown> {
    return must(this.#started, "a statement that waits");
  }

  #note(outcome: unknown): void {
    this.#world.log.push([this.#name, outcome]);
  }

  /** The answer, not told. */
  async asks(sql: string, params: readonly unknown[]): Promise<unknown> {
    try {
      return plain(await this.#connection.query({ name: "script", sql }, params));
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      const check = /^script:.*CONSTRAINT `(\w+)`/i.exec(error.message)?.[1];
      return { refused: error.number, key: error.constraint, check };
    }
  }
}

/** Of a write's header only what the product reads. */
function plain(result: unknown): unknown {
  if (Array.isArray(result)) return result.map((row: object) => ({ ...row }));
  const { affectedRows, insertId } = result as { affectedRows: number; insertId: number | string };
  return { affectedRows, insertId: String(insertId) };
}

const LEASES = "INSERT INTO leases (name, owner, lease_until, fence) VALUES ?";
const FENCES = "SELECT name, owner, fence FROM leases WHERE name IN (?) ORDER BY name";
const LOCK = "SELECT fence FROM leases WHERE name = ? FOR UPDATE";
const BUMP = "UPDATE leases SET fence = fence + 1 WHERE name = ?";
const FREE =
  "SELECT name FROM leases WHERE name IN (?) ORDER BY name LIMIT ? FOR UPDATE SKIP LOCKED";
const ADMIT =
  "INSERT INTO admissions (order_id, sale_id, user_id, live, state, seq, epoch, request_id) VALUES ?";
const SALE = `INSERT INTO sales (id, sku_id, product_id, name, title, price, currency, quantity,
  starts_at, ends_at, created_by) VALUES ?`;
const OUTBOX = "INSERT INTO outbox (name, aggregate_id, aggregate_version, payload) VALUES ?";
const LONG_AGO = new Date(0);

/** Two or more rows of this script's own, locked and counted by the others' rules. */
async function leases({ first }: Actors, names: readonly string[]): Promise<void> {
  await first.does(LEASES, [...names.map((name) => [name, "nobody", LONG_AGO, 0])]);
}

const namesOf = (key: number) => [`${key}a`, `${key}b`, `${key}c`] as const;

function sale(key: number, quantity = 5, endsAt = new Date(60_000)): unknown[] {
  return [key, 1, 1, "{}", "A sale", "900", "EUR", quantity, LONG_AGO, endsAt, 1];
}

export const SCRIPTS: readonly Script[] = [
  {
    name: "a unique key refuses, names itself, undoes its whole statement, and takes any NULL",
    async play({ first }, key) {
      const live = (order: number, user: number, seq: number) => [
        [key + order, key, user, 1, "live", seq, 1, "r"],
      ];
      await first.begin();
      await first.does(ADMIT, live(1, 1, 1));
      await first.does(ADMIT, live(1, 2, 2));
      await first.does(ADMIT, live(2, 1, 2));
      await first.does(ADMIT, live(2, 2, 1));
      await first.does(ADMIT, [...live(3, 3, 3), ...live(1, 4, 4)]);
      await first.does("SELECT order_id FROM admissions WHERE sale_id = ?", key);
      await first.does("COMMIT");
      await first.does("SELECT order_id, user_id, live FROM admissions WHERE sale_id = ?", key);

      const ended = (order: number) => [
        key + 10 + order,
        key,
        1,
        null,
        "void",
        null,
        1,
        "r",
        LONG_AGO,
      ];
      const columns = ADMIT.replace("request_id)", "request_id, ended_at)");
      await first.does(columns, [ended(1), ended(2)]);
      await first.does("SELECT COUNT(*) AS n FROM admissions WHERE sale_id = ?", key);
    },
  },
  {
    name: "ON DUPLICATE KEY UPDATE counts inserted, changed and unchanged rows",
    async play({ first }, key) {
      const insert = "INSERT INTO sale_audits (sale_id, seq, log_hash) VALUES ? ";
      const newer = "ON DUPLICATE KEY UPDATE seq = GREATEST(seq, VALUES(seq))";
      const asIs = "ON DUPLICATE KEY UPDATE sale_id = sale_id";
      await first.does(insert + newer, [[key, 5, "h"]]);
      await first.does(insert + newer, [[key, 7, "h"]]);
      await first.does(insert + newer, [[key, 3, "h"]]);
      await first.does(insert + asIs, [[key, 9, "other"]]);
      await first.does(
        insert + newer,
        [0, 1, 1].map((next) => [key + next, 8 + next, "h"]),
      );
      await first.does("SELECT sale_id, seq, log_hash FROM sale_audits WHERE sale_id >= ?", key);
    },
  },
  {
    name: "IF in ON DUPLICATE KEY UPDATE sees what is assigned to its left",
    async play({ first }, key) {
      const write = `INSERT INTO sale_audits (sale_id, seq, ends, log_hash) VALUES ?
        ON DUPLICATE KEY UPDATE
          log_hash = IF(seq < VALUES(seq), VALUES(log_hash), log_hash),
          seq = GREATEST(seq, VALUES(seq)),
          ends = IF(seq = VALUES(seq), VALUES(ends), ends)`;
      await first.does(write, [[key, 1, 1, "one"]]);
      await first.does(write, [[key, 4, 2, "four"]]);
      await first.does(write, [[key, 2, 9, "two"]]);
      await first.does("SELECT seq, ends, log_hash FROM sale_audits WHERE sale_id = ?", key);
    },
  },
  {
    name: "rows of one INSERT are numbered from its id",
    async play({ first }, key) {
      const row = (version: number) => ["n", key, version, "{}"];
      await first.does(OUTBOX, [row(1)]);
      await first.does(OUTBOX, [row(2), row(3), row(4)]);
      await first.does(OUTBOX, [row(5)]);
      await first.does("SELECT id, aggregate_version FROM outbox WHERE aggregate_id = ?", key);
    },
  },
  {
    name: "a CHECK refuses inserts, updates and duplicates, and names itself",
    async play({ first }, key) {
      await first.does(SALE, [sale(key)]);
      await first.does(SALE, [sale(key + 1, 0)]);
      await first.does(SALE, [sale(key + 1, 1, LONG_AGO)]);
      await first.does("UPDATE sales SET granted = granted + 6 WHERE id = ?", key);
      await first.does("UPDATE sales SET admitted = admitted + 6 WHERE id = ?", key);
      await first.does("UPDATE sales SET admitted = admitted + 7 WHERE id = ?", key);
      await first.does(`${SALE} ON DUPLICATE KEY UPDATE status = 'conflict'`, [sale(key)]);
      await first.does("UPDATE sales SET status = NULL WHERE id = ?", key);
      await first.does("SELECT admitted, granted, status FROM sales WHERE id = ?", key);
    },
  },
  {
    name: "an unsigned column takes nothing below zero",
    async play({ first }, key) {
      const insert = "INSERT INTO sale_audits (sale_id, seq, log_hash) VALUES ?";
      await first.does(insert, [[key, -1, "h"]]);
      await first.does(insert, [[key, 1, "h"]]);
      await first.does("UPDATE sale_audits SET seq = ? WHERE sale_id = ?", -1, key);
      await first.does("UPDATE sale_audits SET seq = seq - 2 WHERE sale_id = ?", key);
      await first.does("SELECT seq - 2 AS less FROM sale_audits WHERE sale_id = ?", key);
      await first.does("SELECT seq FROM sale_audits WHERE seq - 2 < 0 AND sale_id = ?", key);
      await first.does(
        "SELECT 2 - seq AS more, -seq AS negative FROM sale_audits WHERE sale_id = ?",
        key,
      );
      await first.does("SELECT seq FROM sale_audits WHERE sale_id = ?", key);
      await first.does(
        `${insert} ON DUPLICATE KEY UPDATE
           log_hash = IF(VALUES(seq) - sale_audits.seq IN (0, 1), 'next', 'other')`,
        [[key, 0, "h"]],
      );
    },
  },
  {
    name: "UPDATE and DELETE count the rows that are found, changed or not",
    async play(at, key) {
      const names = namesOf(key);
      await leases(at, names);
      await at.first.does("UPDATE leases SET fence = 0 WHERE name IN (?)", names);
      await at.first.does("UPDATE leases SET fence = 2 WHERE name = ? AND fence = 0", names[0]);
      await at.first.does("UPDATE leases SET fence = 3 WHERE name = ? AND fence = 0", names[0]);
      await at.first.does("UPDATE leases SET fence = 3, owner = fence WHERE name = ?", names[1]);
      await at.first.does("DELETE FROM leases WHERE name IN (?) AND fence < 3", names);
      await at.first.does(FENCES, names);
    },
  },
  {
    name: "expressions, order and limits",
    async play({ first }, key) {
      const rows = [3, 1, 2, 4].map((seq) => [key + seq, seq, "h"]);
      await first.does("INSERT INTO sale_audits (sale_id, seq, log_hash) VALUES ?", rows);
      const range = [key, key + 9];
      const where = "FROM sale_audits WHERE sale_id BETWEEN ? AND ?";
      await first.does(`SELECT seq ${where} ORDER BY seq DESC LIMIT 2 OFFSET 1`, ...range);
      await first.does(`SELECT sale_id AS id ${where} ORDER BY ends, seq LIMIT ?`, ...range, 3);
      await first.does(`SELECT COALESCE(MAX(seq), 0) AS last, COUNT(*) AS n ${where}`, ...range);
      await first.does(`SELECT COALESCE(MAX(seq), 0) AS last, COUNT(*) AS n ${where}`, 1, 2);
      await first.does(`SELECT MAX(seq) AS last, SUM(seq) AS sum ${where}`, ...range);
      await first.does(
        `SELECT seq, IF(seq > 2, 1, 0) AS big, GREATEST(seq, 3) AS atLeast, LEAST(seq, 3) AS atMost,
           seq - 1 AS less, seq > 1 AS isMore, (seq, ends) IN (?) AS isOne
         ${where} ORDER BY seq`,
        [[1, 0]],
        ...range,
      );
      await first.does(SALE, [sale(key)]);
      await first.does(
        `SELECT quantity - admitted - 6 AS open, price * quantity AS worth,
           COALESCE(admitted, 0) AS most, IF(quantity > 2, quantity, 2) AS two,
           GREATEST(quantity, 9) AS nine, LEAST(price, quantity) AS least,
           COALESCE(gate_after, starts_at) AS at, COALESCE(gate_run_id, '-') AS run,
           COALESCE(pass_required, 1) AS pass, status = 'draft' AS isDraft
         FROM sales WHERE id = ?`,
        key,
      );
    },
  },
  {
    name: "a rollback undoes all; each statement reads what is committed when it begins",
    async play(at, key) {
      const names = namesOf(key);
      await leases(at, names);
      await at.first.begin();
      await at.first.does(BUMP, names[0]);
      await at.first.does("DELETE FROM leases WHERE name = ?", names[1]);
      await at.first.does(LEASES, [[`${key}d`, "me", LONG_AGO, 1]]);
      await at.first.does(FENCES, [...names, `${key}d`]);
      await at.second.does(FENCES, [...names, `${key}d`]);
      await at.first.does("ROLLBACK");
      await at.first.does(FENCES, [...names, `${key}d`]);
      await at.second.begin();
      await at.second.does(FENCES, names);
      await at.first.does(BUMP, names[0]);
      await at.second.does(FENCES, names);
      await at.first.does("COMMIT");
      await at.second.does(FENCES, names);
    },
  },
  {
    name: "FOR UPDATE waits for the owner's commit and reads what it left",
    async play(at, key) {
      const [name] = namesOf(key);
      await leases(at, [name]);
      await at.first.begin();
      await at.second.begin();
      await at.first.does(LOCK, name);
      await at.second.does("SELECT fence FROM leases WHERE name = ?", name);
      await at.second.waits(LOCK, name);
      await at.first.does(BUMP, name);
      await at.first.does("COMMIT");
      await at.second.gets();
    },
  },
  {
    name: "an UPDATE behind a rolled back one counts from what was there before",
    async play(at, key) {
      const [name] = namesOf(key);
      await leases(at, [name]);
      await at.first.begin();
      await at.first.does(BUMP, name);
      await at.second.waits(BUMP, name);
      await at.first.does("ROLLBACK");
      await at.second.gets();
      await at.first.does(FENCES, [name]);
    },
  },
  {
    name: "an INSERT waits for the same key's owner, and is a duplicate when that commits",
    async play(at, key) {
      const [one, other] = namesOf(key);
      const row = (name: string) => [[name, "me", LONG_AGO, 1]];
      await at.first.begin();
      await at.first.does(LEASES, row(one));
      await at.second.waits(LEASES, row(one));
      await at.first.does("COMMIT");
      await at.second.gets();
      await at.first.does(LEASES, row(other));
      await at.second.waits(LEASES, row(other));
      await at.first.does("ROLLBACK");
      await at.second.gets();
      await at.first.does(FENCES, [one, other]);
    },
  },
  {
    name: "a lock that is not free in time refuses the statement and keeps the transaction",
    async play(at, key) {
      const [one, other] = namesOf(key);
      await leases(at, [one, other]);
      await at.first.begin();
      await at.second.begin();
      await at.first.does(LOCK, one);
      await at.second.does(BUMP, other);
      await at.second.does(withLockWait(0, LOCK), one);
      await at.second.does("COMMIT");
      await at.first.does(FENCES, [one, other]);
    },
  },
  {
    name: "SKIP LOCKED takes the first rows that nobody holds",
    async play(at, key) {
      const names = namesOf(key);
      await leases(at, names);
      await at.first.begin();
      await at.second.begin();
      await at.first.does(FREE, names, 1);
      await at.second.does(FREE, names, 1);
      await at.first.does(FREE, names, 3);
      await at.first.does("COMMIT");
      await at.second.does(FREE, names, 3);
    },
  },
  {
    name: "a deadlock ends one of two transactions, wholly, and lets the other through",
    async play(at, key) {
      const [one, other] = namesOf(key);
      await leases(at, [one, other]);
      await at.first.begin();
      await at.second.begin();
      await at.first.does(BUMP, one);
      await at.second.does(BUMP, other);
      await at.first.waits(BUMP, other);
      const answers = await Promise.all([at.second.asks(BUMP, [one]), at.first.started()]);
      at.note(answers.map((answer) => JSON.stringify(answer)).sort());
      await at.first.does("COMMIT");
      await at.second.does("COMMIT");
      await at.first.does(FENCES, [one, other]);
    },
  },
];
