// A server of its own, because it is killed and paused here.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import { isPlatformError } from "../../services/contracts/errors.ts";
import type { RunningServers } from "../../scripts/launcher/servers.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { pause } from "../support/pause.ts";
import { startThrowAwayServers } from "../support/servers.ts";

const INSERT = sql("inbox.insert", "INSERT INTO inbox (consumer, event_id) VALUES (?, ?)");
const FIND = sql("inbox.find", "SELECT event_id FROM inbox WHERE consumer = ? AND event_id = ?");
/** Longer than the impatient wait for their answers. */
const PAUSE_MS = 600;
const LOCK = sql("leases.lock", "SELECT fence FROM leases WHERE name = 'row' FOR UPDATE");

describe("the MySQL database when the server fails", function () {
  this.timeout(60_000);
  let servers: RunningServers;
  let schema: TestDatabase;
  let database: Database;

  before(async () => {
    servers = await startThrowAwayServers();
    schema = await testDatabase({ services: ["order"], mysqlUrl: servers.mysqlUrl });
    database = schema.database("order");
    await database.run(
      sql(
        "leases.insert",
        "INSERT INTO leases (name, owner, lease_until, fence) VALUES ('row', 'nobody', NOW(3), 0)",
      ),
    );
  });

  after(async () => {
    await servers.stop();
  });

  afterEach(() => mysql().kill("SIGCONT"));

  const mysql = () => servers.processes.mysql!;

  it("answers SERVICE_UNAVAILABLE at once while it is away, and works again when it is back", async () => {
    await mysql().kill("SIGKILL");
    const startedAt = performance.now();
    await assert.rejects(database.rows(sql("one", "SELECT 1")), (e) =>
      isPlatformError(e, "SERVICE_UNAVAILABLE"),
    );
    await assert.rejects(
      database.transaction("away", (tx) => tx.run(INSERT, ["a", "1"])),
      (e) => isPlatformError(e, "SERVICE_UNAVAILABLE"),
    );
    await assert.rejects(database.ping(), (e) => isPlatformError(e, "SERVICE_UNAVAILABLE"));
    assert.ok(performance.now() - startedAt < 2_000);
    await mysql().restart();
    await database.transaction("back", (tx) => tx.run(INSERT, ["a", "1"]));
    await database.ping();
  });

  it("never hangs on a paused server, and works again when it goes on", async () => {
    await database.rows(sql("one", "SELECT 1"));
    await pause(mysql());
    const startedAt = performance.now();
    await Promise.all(
      [1, 2].map((n) =>
        assert.rejects(
          database.transaction("paused", (tx) => tx.run(INSERT, ["p", `${n}`])),
          (e) => isPlatformError(e, "SERVICE_UNAVAILABLE"),
        ),
      ),
    );
    const waitedMs = performance.now() - startedAt;
    assert.ok(waitedMs < 4_500, `${waitedMs} ms`);
    await mysql().kill("SIGCONT");
    await database.transaction("on", (tx) => tx.run(INSERT, ["p", "3"]));
  });

  /**
   * A transaction whose COMMIT meets a paused server: it may or may not have been done. Resolves when `meanwhile` is
   * over as well, so that it does not reach into the next test.
   */
  async function loseCommit(
    eventId: string,
    resolve: ((tx: Transaction) => Promise<"there" | "missing">) | undefined,
    meanwhile: () => Promise<void>,
  ): Promise<unknown> {
    const impatient = schema.database("order", { poolSize: 2, queryTimeoutMs: 300 });
    const paused = Promise.withResolvers<undefined>();
    let commits = 0;
    const lost = impatient.transaction(
      "lost",
      async (tx) => {
        await tx.row(LOCK);
        await tx.run(INSERT, ["lost", eventId]);
        commits += 1;
        if (commits === 1) await pause(mysql());
        paused.resolve(undefined);
        return commits;
      },
      resolve === undefined
        ? {}
        : {
            resolve: async (tx) =>
              (await resolve(tx)) === "there"
                ? { outcome: "committed", value: -1 }
                : { outcome: "not_committed" },
          },
    );
    const ended = lost.catch((error: unknown) => error);
    const change = Promise.race([paused.promise, ended]).then(() => delay(PAUSE_MS));
    const [outcome] = await Promise.all([ended, change.then(meanwhile)]);
    return outcome;
  }

  const find = async (eventId: string) =>
    (await database.row(FIND, ["lost", eventId])) !== undefined;

  async function lookUp(tx: Transaction, eventId: string): Promise<"there" | "missing"> {
    await tx.row(LOCK);
    return (await tx.row(FIND, ["lost", eventId])) === undefined ? "missing" : "there";
  }

  /** Another one at each try: what the last one has left is in nobody's way. */
  const newEvent = (): string => randomUUID();

  it("looks up a lost COMMIT behind its lock and finds it done", async () => {
    const id = newEvent();
    const value = await loseCommit(
      id,
      (tx) => lookUp(tx, id),
      () => mysql().kill("SIGCONT"),
    );
    // The paused server had the COMMIT in its buffer and ran it when it went on.
    assert.equal(value, -1);
    assert.ok(await find(id));
  });

  it("looks up a lost COMMIT, finds it undone, and runs the work again", async () => {
    const id = newEvent();
    const value = await loseCommit(
      id,
      (tx) => lookUp(tx, id),
      async () => {
        await mysql().kill("SIGKILL");
        await mysql().restart();
      },
    );
    assert.ok(value === 2 || value === -1, `resolved to ${String(value)}`);
    assert.ok(await find(id));
  });

  it("says OUTCOME_UNKNOWN when nobody can look it up", async () => {
    const error = await loseCommit(newEvent(), undefined, () => mysql().kill("SIGCONT"));
    assert.ok(isPlatformError(error, "OUTCOME_UNKNOWN"));
  });
});
