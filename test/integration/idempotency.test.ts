import assert from "node:assert/strict";
import type { Database } from "../../mixins/database/database.ts";
import { sql } from "../../mixins/database/database.ts";
import {
  beginIdempotent,
  completeIdempotent,
  purgeIdempotencyKeys,
  refusalOf,
  runIdempotent,
  valueOf,
} from "../../mixins/idempotency/idempotency.repository.ts";
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import { errorDetails, isPlatformError, PlatformError } from "../../services/contracts/errors.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

const EFFECT = sql("effect", "INSERT INTO inbox (consumer, event_id) VALUES ('effect', UUID())");
const EFFECTS = sql("effects", "SELECT COUNT(*) AS n FROM inbox WHERE consumer = 'effect'");

describe("idempotency keys", () => {
  let schema: TestDatabase;
  let database: Database;
  let claim: IdempotencyClaim;
  let number = 0;

  before(async function () {
    this.timeout(60_000);
    schema = await testDatabase({ services: ["order"] });
    database = schema.database("order");
  });

  beforeEach(async () => {
    await database.run(sql("clear", "DELETE FROM inbox"));
    number += 1;
    claim = {
      userId: "7",
      route: "POST /orders",
      key: `key-${number}`,
      fingerprint: "a".repeat(64),
    };
  });

  after(async () => schema.drop());

  const effects = async () => Number((await database.row<{ n: string }>(EFFECTS))?.n);

  function create(by: IdempotencyClaim | undefined, value: unknown = { id: "1" }) {
    return database.transaction("create", (tx) =>
      runIdempotent(tx, by, async () => {
        await tx.run(EFFECT);
        return value;
      }),
    );
  }

  it("work every time without a key", async () => {
    await create(undefined);
    assert.equal((await create(undefined)).isReplay, false);
    assert.equal(await effects(), 2);
  });

  it("give the first answer again for the same key and body", async () => {
    const value = { id: "12345678901234567890", lines: [{ price: 1 }], note: null };
    assert.deepEqual(await create(claim, value), { value, isReplay: false });
    assert.deepEqual(await create(claim, { other: true }), { value, isReplay: true });
    assert.equal(await effects(), 1);
  });

  it("refuse another body", async () => {
    await create(claim);
    await assert.rejects(create({ ...claim, fingerprint: "b".repeat(64) }), (e) =>
      isPlatformError(e, "IDEMPOTENCY_KEY_REUSED"),
    );
    assert.equal(await effects(), 1);
  });

  it("are apart for users, routes, and upper and lower case", async () => {
    await create(claim);
    for (const other of [
      { ...claim, userId: "8" },
      { ...claim, route: "POST /payments" },
      { ...claim, key: claim.key.toUpperCase() },
    ]) {
      assert.equal((await create(other)).isReplay, false);
    }
    assert.equal(await effects(), 4);
  });

  it("have one effect when many come at once", async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => create(claim)));
    assert.equal(answers.filter(({ isReplay }) => !isReplay).length, 1);
    assert.equal(await effects(), 1);
  });

  it("may be tried again after the work has failed", async () => {
    await assert.rejects(
      database.transaction("fail", (tx) =>
        runIdempotent(tx, claim, async () => {
          await tx.run(EFFECT);
          throw new PlatformError("SKU_UNAVAILABLE");
        }),
      ),
      (e) => isPlatformError(e, "SKU_UNAVAILABLE"),
    );
    assert.equal((await create(claim)).isReplay, false);
    assert.equal(await effects(), 1);
  });

  it("say IN_PROGRESS after about a second while another transaction holds them", async () => {
    let letGo: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    let begun: () => void = () => undefined;
    const hasBegun = new Promise<void>((resolve) => (begun = resolve));
    const first = database.transaction("slow", (tx) =>
      runIdempotent(tx, claim, async () => {
        begun();
        await gate;
        return { id: "1" };
      }),
    );
    await hasBegun;
    const startedAt = performance.now();
    await assert.rejects(create(claim), (e) => isPlatformError(e, "IDEMPOTENCY_IN_PROGRESS"));
    const waitedMs = performance.now() - startedAt;
    letGo();
    await first;
    assert.ok(waitedMs < 1_900, `${waitedMs} ms`);
    assert.equal(await effects(), 0);
  });

  it("tell the reference of an operation that still runs, then its answer", async () => {
    const begin = (reference: string) =>
      database.transaction("begin", (tx) => beginIdempotent(tx, claim, reference));
    assert.deepEqual(await begin("order-1"), { kind: "fresh" });
    assert.deepEqual(await begin("order-2"), { kind: "running", reference: "order-1" });
    await database.transaction("complete", (tx) =>
      completeIdempotent(tx, claim, { ok: { id: "order-1" } }),
    );
    assert.deepEqual(await begin("order-3"), {
      kind: "replay",
      answer: { ok: { id: "order-1" } },
    });
  });

  it("replay a refusal with its details, and keep the first of two answers", async () => {
    const refusal = refusalOf(new PlatformError("INVENTORY_OUT_OF_STOCK", { sku_ids: ["9"] }));
    await database.transaction("refuse", async (tx) => {
      await beginIdempotent(tx, claim, "order-1");
      await completeIdempotent(tx, claim, refusal!);
      await completeIdempotent(tx, claim, { ok: 1 });
    });
    const start = await database.transaction("begin", (tx) => beginIdempotent(tx, claim, "x"));
    assert.ok(start.kind === "replay");
    assert.throws(
      () => valueOf(start.answer),
      (e) =>
        isPlatformError(e, "INVENTORY_OUT_OF_STOCK") &&
        JSON.stringify(errorDetails(e)) === '{"sku_ids":["9"]}',
    );
  });

  it("never store a failure of ours as the final answer", async () => {
    assert.equal(refusalOf(new PlatformError("SERVICE_UNAVAILABLE")), undefined);
    assert.equal(refusalOf(new Error("bug")), undefined);
    await assert.rejects(
      database.transaction("store", async (tx) => {
        await beginIdempotent(tx, claim, "x");
        await completeIdempotent(tx, claim, { error: "OVERLOADED" });
      }),
      /never a final answer/,
    );
    assert.equal((await create(claim)).isReplay, false);
  });

  it("are free again after their time, purged or not", async () => {
    await create(claim);
    await schema.admin.query(
      "UPDATE ??.idempotency_keys SET expires_at = NOW(3) - INTERVAL 1 SECOND",
      [schema.nameOf("order")],
    );
    const other = { ...claim, fingerprint: "c".repeat(64) };
    assert.equal((await create(other)).isReplay, false);
    assert.equal((await create(other)).isReplay, true);
  });

  it("are purged when their time is over, and only then", async () => {
    await create(claim);
    await create({ ...claim, key: `${claim.key}-old` });
    await schema.admin.query(
      "UPDATE ??.idempotency_keys SET expires_at = NOW(3) - INTERVAL 1 SECOND WHERE idempotency_key <> ?",
      [schema.nameOf("order"), claim.key],
    );
    assert.ok((await purgeIdempotencyKeys(database)) >= 1);
    assert.equal(await purgeIdempotencyKeys(database), 0);
    assert.equal((await create(claim)).isReplay, true);
  });
});
