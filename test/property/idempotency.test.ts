// Random requests with few keys and few bodies, some failing, several at once, against the rule a
// client may rely on: per key one effect at most, and every answer is that effect's own.
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Database, sql } from "../../mixins/database/database.ts";
import { runIdempotent } from "../../mixins/idempotency/idempotency.repository.ts";
import { errorSlug, PlatformError } from "../../services/contracts/errors.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

const RUNS = 40;
const EFFECT = sql("effect", "INSERT INTO inbox (consumer, event_id) VALUES (?, ?)");
const EFFECTS = sql("effects", "SELECT event_id AS id FROM inbox WHERE consumer = ?");

const request = fc.record({
  key: fc.constantFrom("k", "K", "other"),
  body: fc.constantFrom("1", "2"),
  isRefused: fc.boolean(),
});
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;
/** Requests of one wave come at once; waves come one after the other. */
const waves = fc.array(fc.array(request, { minLength: 1, maxLength: 5 }), { maxLength: 4 });

interface Told {
  readonly request: Request;
  readonly own: string;
  readonly answer: { readonly value: string; readonly isReplay: boolean } | string | undefined;
}

describe("idempotency keys under random requests", function () {
  this.timeout(180_000);
  let schema: TestDatabase;
  let database: Database;
  let run = 0;

  before(async () => {
    schema = await testDatabase({ services: ["order"] });
    database = schema.database("order", { poolSize: 6 });
  });

  after(async () => schema.drop());

  async function send(request: Request, route: string, own: string): Promise<Told> {
    const { key, body, isRefused } = request;
    const claim = { userId: "1", route, key, fingerprint: body.repeat(64) };
    try {
      const answer = await database.transaction("property", (tx) =>
        runIdempotent(tx, claim, async () => {
          await tx.run(EFFECT, [`${route}:${key}`, own]);
          if (isRefused) throw new PlatformError("SKU_UNAVAILABLE");
          return own;
        }),
      );
      return { request, own, answer };
    } catch (error) {
      return { request, own, answer: errorSlug(error) };
    }
  }

  /** The effects of a key, and what those who used it were told. */
  async function checkKey(route: string, key: string, told: readonly Told[]): Promise<void> {
    const effects = await database.rows<{ id: string }>(EFFECTS, [`${route}:${key}`]);
    assert.ok(effects.length <= 1, `${effects.length} effects of one key`);
    const effect = told.find(({ own }) => own === effects[0]?.id);
    for (const { request, own, answer } of told) {
      if (typeof answer === "object") {
        assert.equal(answer.value, effect?.own);
        assert.equal(answer.isReplay, own !== effect?.own);
        assert.equal(request.body, effect?.request.body);
      } else if (answer === "IDEMPOTENCY_KEY_REUSED") {
        assert.notEqual(request.body, effect?.request.body);
      } else {
        assert.ok(answer === "SKU_UNAVAILABLE" && request.isRefused, String(answer));
      }
    }
  }

  it("have one effect each, and every answer is that effect's", async () => {
    await fc.assert(
      fc.asyncProperty(waves, async (all) => {
        run += 1;
        const route = `POST /run/${run}`;
        const told: Told[] = [];
        for (const [index, wave] of all.entries()) {
          const sent = wave.map((one, place) => send(one, route, `${index}-${place}`));
          told.push(...(await Promise.all(sent)));
        }
        for (const key of ["k", "K", "other"]) {
          await checkKey(
            route,
            key,
            told.filter(({ request: { key: used } }) => used === key),
          );
        }
      }),
      { numRuns: RUNS },
    );
  });
});
