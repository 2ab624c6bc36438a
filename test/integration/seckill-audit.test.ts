// The audit of a sale: it holds while everything is right, names the rule that does not, goes on where it
// left off, and can be taken along as a certificate that nobody can change.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { Context } from "moleculer";
import { isSignedBy } from "../../mixins/signing/ed25519.ts";
import { findFreePort } from "../../scripts/launcher/ports.ts";
import { isPlatformError } from "../../services/contracts/errors.ts";
import { STATUS_IDS_MAX } from "../../services/contracts/order.ts";
import type { SaleAudit } from "../../services/contracts/sale-audit.ts";
import { ADMISSION_BATCH_MAX, type Sale } from "../../services/contracts/seckill.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { chainHash, EMPTY_LOG_HASH } from "../../services/kernel/hash-chain.ts";
import { auditSale } from "../../services/seckill/audit.ts";
import { logEntry } from "../../services/seckill/audit-log.ts";
import { AUDIT_RULES, type AuditRule } from "../../services/seckill/domain/audit.ts";
import { createGate } from "../../services/seckill/gate.store.ts";
import { silentLog, testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { assertInvariants } from "../support/invariants.ts";
import { ADMIN, newCustomer, type ShopNode, shopNode } from "../support/order-shop.ts";
import {
  admitAll,
  buyAs,
  buyPatiently,
  customers,
  openSale,
  SALE_SCHEMAS,
  SALE_UNITS,
  saleRows,
  whenQuiet,
} from "../support/sale-shop.ts";
import { runAsAdmin } from "../support/sound-shop.ts";

const SCHEMAS = [...SALE_SCHEMAS, "provider"] as const;
const SETTLE_MS = 15_000;
const UNITS = 6;

/** Damage to a sale of 6 units of which 4 were sold, one of those is paid and one was given back. */
interface Damage {
  readonly rule: AuditRule;
  readonly does: readonly string[];
  /** How it is put right again. */
  readonly cure: readonly string[];
}

const damage = (rule: AuditRule, does: string, cure: string): Damage => ({
  rule,
  does: [does],
  cure: [cure],
});
const SALE = "UPDATE {seckill}.sales SET";
const ADMISSIONS = "UPDATE {seckill}.admissions SET";
const ORDERS = "UPDATE {order}.orders SET";
const OF_SALE = "sale_id = :sale";

const DAMAGES: readonly Damage[] = [
  damage(
    "admittedLive",
    `${SALE} admitted = admitted - 1 WHERE id = :sale`,
    `${SALE} admitted = admitted + 1 WHERE id = :sale`,
  ),
  damage(
    "everCounted",
    `${SALE} granted = granted + 1 WHERE id = :sale`,
    `${SALE} granted = granted - 1 WHERE id = :sale`,
  ),
  damage(
    "admissionsNumbered",
    `${ADMISSIONS} seq = 20 WHERE ${OF_SALE} AND seq = 2`,
    `${ADMISSIONS} seq = 2 WHERE ${OF_SALE} AND seq = 20`,
  ),
  damage(
    "giveBacksNumbered",
    `${ADMISSIONS} end_seq = 6 WHERE ${OF_SALE} AND end_seq = 1`,
    `${ADMISSIONS} end_seq = 1 WHERE ${OF_SALE} AND end_seq = 6`,
  ),
  damage(
    "quantityRunning",
    `${SALE} returned = 1 WHERE id = :sale`,
    `${SALE} returned = 0 WHERE id = :sale`,
  ),
  {
    rule: "oneLivePerBuyer",
    does: [
      `CREATE TABLE {seckill}.kept AS SELECT order_id, user_id FROM {seckill}.admissions`,
      `${ADMISSIONS} live = 2, user_id = 42 WHERE ${OF_SALE} AND state = 'live' AND seq < 3`,
      `${ADMISSIONS} live = 1, user_id = 42 WHERE ${OF_SALE} AND state = 'live' AND seq > 2 LIMIT 1`,
    ],
    cure: [
      `UPDATE {seckill}.admissions a JOIN {seckill}.kept k ON k.order_id = a.order_id
       SET a.live = IF(a.state = 'live', 1, NULL), a.user_id = k.user_id`,
      "DROP TABLE {seckill}.kept",
    ],
  },
  {
    rule: "everyAdmissionOrdered",
    does: [
      `${ORDERS} sale_id = NULL, id = id + 1000000 WHERE ${OF_SALE} AND status = 'cancelled'`,
      `${ADMISSIONS} created_at = created_at - INTERVAL 1 HOUR WHERE ${OF_SALE}`,
    ],
    cure: [
      `${ORDERS} sale_id = :sale, id = id - 1000000 WHERE sale_id IS NULL AND status = 'cancelled'`,
      `${ADMISSIONS} created_at = created_at + INTERVAL 1 HOUR WHERE ${OF_SALE}`,
    ],
  },
  damage(
    "orderAsPromised",
    `${ORDERS} user_id = user_id + 1 WHERE ${OF_SALE}`,
    `${ORDERS} user_id = user_id - 1 WHERE ${OF_SALE}`,
  ),
  damage(
    "givenBackCancelled",
    `${ORDERS} status = 'closing' WHERE ${OF_SALE} AND cancel_reason IS NOT NULL`,
    `${ORDERS} status = 'cancelled' WHERE ${OF_SALE} AND cancel_reason IS NOT NULL`,
  ),
  damage(
    "noStrayOrder",
    `INSERT INTO {order}.orders (id, user_id, status, version, total_price, discount,
       refunded_amount, currency, sale_id, cancel_reason, expires_at)
     VALUES (77, 7, 'cancelled', 1, 99, 0, 0, 'CNY', :sale, 'x', NOW(3))`,
    "DELETE FROM {order}.orders WHERE id = 77",
  ),
  damage(
    "priceCharged",
    `${ORDERS} total_price = total_price + 1 WHERE ${OF_SALE} AND status = 'pending_payment'`,
    `${ORDERS} total_price = total_price - 1 WHERE ${OF_SALE} AND status = 'pending_payment'`,
  ),
  damage(
    "paidPrice",
    `${ORDERS} total_price = total_price + 1 WHERE ${OF_SALE} AND status = 'paid'`,
    `${ORDERS} total_price = total_price - 1 WHERE ${OF_SALE} AND status = 'paid'`,
  ),
  damage(
    "refundedPaid",
    `${ORDERS} refunded_amount = total_price WHERE ${OF_SALE}`,
    `${ORDERS} refunded_amount = 0 WHERE ${OF_SALE}`,
  ),
  damage(
    "refundedWhole",
    `${ORDERS} status = 'refunded', refunded_amount = 1 WHERE ${OF_SALE} AND status = 'paid'`,
    `${ORDERS} status = 'paid', refunded_amount = 0 WHERE ${OF_SALE} AND status = 'refunded'`,
  ),
];

describe("the audit of a sale", function () {
  this.timeout(90_000);
  let schemas: TestDatabase;
  let shop: ShopNode;
  let sale: Sale;
  const { privateKey } = generateKeyPairSync("ed25519");
  const signingKey = privateKey.export({ type: "pkcs8", format: "der" }).toString("base64");

  before(async () => {
    schemas = await testDatabase({ services: SCHEMAS });
    shop = await shopNode(schemas, {
      units: [...SALE_UNITS, "provider"],
      settings: {
        AUDIT_SIGNING_KEY: signingKey,
        PROVIDER_PORT: String(await findFreePort()),
      },
    });
    sale = await soldSale();
  });
  after(async () => {
    await assertInvariants(schemas, { schemas: SCHEMAS });
    await shop.stop();
    await schemas.drop();
  });

  const audit = (id: string, full = false): Promise<SaleAudit> =>
    shop.as(ADMIN, "seckill.audit", { id, full });
  const run = (statements: readonly string[], id: string): Promise<void> =>
    statements.reduce(
      (before, text) => before.then(() => runAsAdmin(schemas, text.replaceAll(":sale", id))),
      Promise.resolve(),
    );
  const rules = ({ offending }: SaleAudit): readonly string[] => offending.map(({ rule }) => rule);

  /** Four of six units sold; one paid, one given back. */
  async function soldSale(): Promise<Sale> {
    const opened = await openSale(shop, { quantity: UNITS, strategy: "database" });
    const [payer, giver, ...others] = customers(4);
    await admitAll(shop, opened.id, [payer!, giver!, ...others]);
    await whenQuiet(shop, opened.id);
    const orderOf = async (user: typeof ADMIN): Promise<string> =>
      (await shop.as(user, "seckill.mine", { id: opened.id })).order_id ?? "";
    await shop.capture(await shop.as(payer!, "order.pay", { id: await orderOf(payer!) }));
    await shop.as(giver!, "order.cancel", { id: await orderOf(giver!) });
    await eventually(
      async () => {
        const { orders, given_back } = await audit(opened.id);
        return orders["paid"] === 1 && given_back === 1;
      },
      { timeoutMs: SETTLE_MS, what: "one is paid and one given back" },
    );
    return opened;
  }

  it("holds, and shows the figures to everybody", async () => {
    const shown = await shop.as(newCustomer(), "seckill.audit", { id: sale.id });
    assert.deepEqual([shown.complete, shown.holds, shown.offending], [true, true, []]);
    assert.deepEqual(
      [shown.quantity, shown.live, shown.given_back, shown.remaining, shown.returned],
      [UNITS, 3, 1, 3, 0],
    );
    assert.deepEqual(shown.orders, { pending_payment: 2, paid: 1, cancelled: 1 });
    assert.deepEqual(shown.money, { total_price: 4 * 99, paid: 99, refunded: 0 });
  });

  for (const { rule, does, cure } of DAMAGES) {
    it(`names what does not hold: ${AUDIT_RULES[rule]}`, async () => {
      await run(does, sale.id);
      try {
        const found = await audit(sale.id, true);
        assert.ok(rules(found).includes(AUDIT_RULES[rule]), JSON.stringify(found));
        assert.equal(found.holds, false);
        assert.ok(found.offending.every(({ rows }) => rows.length > 0));
      } finally {
        await run(cure, sale.id);
      }
      const healed = await audit(sale.id);
      assert.deepEqual([healed.holds, healed.offending], [true, []]);
    });
  }

  it("answers in time on a machine of any speed, and goes on where it left off", async () => {
    const buyers = 2 * STATUS_IDS_MAX + 1;
    const options = { quantity: buyers, stock: buyers, strategy: "database" } as const;
    const large = await openSale(shop, options);
    for (let sold = 0; sold < buyers; sold += ADMISSION_BATCH_MAX) {
      const count = Math.min(ADMISSION_BATCH_MAX, buyers - sold);
      await buyPatiently(shop, large.id, customers(count));
    }
    await eventually(async () => (await audit(large.id, true)).holds, {
      timeoutMs: SETTLE_MS,
      what: "every admission has its order",
    });
    const { node } = shop;
    let nowMs = 0;
    const deps = {
      database: schemas.database("seckill"),
      gate: createGate({
        redis: node.redis(),
        namespace: node.settings.NAMESPACE,
        clock: systemClock,
      }),
      log: silentLog,
      // A minute between any two looks at it.
      clock: { now: () => nowMs, monotonic: () => (nowMs += 60_000) },
    };
    const found: [number, boolean, boolean][] = [];
    for (const isFull of [true, false, false]) {
      const request = { id: large.id, isFull };
      const { audit: one } = await auditSale(deps, new Context(node.broker), request);
      found.push([one.admission_log.entries, one.complete, one.offending.length === 0]);
    }
    assert.deepEqual(found, [
      [STATUS_IDS_MAX, false, true],
      [2 * STATUS_IDS_MAX, false, true],
      [buyers, true, true],
    ]);
  });

  it("names a closed sale that lost a unit", async () => {
    const closing = await openSale(shop, { quantity: 2, strategy: "database" });
    await buyAs(shop, closing.id, newCustomer());
    await whenQuiet(shop, closing.id);
    assert.equal((await shop.as(ADMIN, "seckill.close", { id: closing.id })).status, "closed");
    assert.equal((await audit(closing.id)).holds, true);
    await run([`${SALE} returned = 0 WHERE id = :sale`], closing.id);
    assert.deepEqual(rules(await audit(closing.id)), [AUDIT_RULES.quantityEnded]);
    await run([`${SALE} returned = 1 WHERE id = :sale`], closing.id);
  });

  it("compares the gate with the sale, and says so when they differ", async () => {
    const gated = await openSale(shop, { quantity: 5 });
    const stock = await eventually(async () => (await audit(gated.id)).gate_stock ?? undefined, {
      timeoutMs: SETTLE_MS,
      what: "the gate is open",
    });
    assert.equal(stock, 5);
    const key = `${shop.node.settings.NAMESPACE}:seckill:{${gated.id}}`;
    // The gate's keeper may put it right before the audit looks.
    await eventually(
      async () => {
        for (const name of await shop.node.redis().keys(`${key}:e*:stock`)) {
          await shop.node.redis().decr(name);
        }
        return rules(await audit(gated.id)).includes(AUDIT_RULES.gateStock);
      },
      { timeoutMs: SETTLE_MS, what: "the audit names the gate" },
    );
    await eventually(async () => (await audit(gated.id)).gate_stock === 5, {
      timeoutMs: SETTLE_MS,
      what: "the gate is put right",
    });
  });

  it("shows rows to admins only, and keeps full audits for them", async () => {
    await run([`${SALE} granted = granted + 1 WHERE id = :sale`], sale.id);
    const shown = await eventually(
      async () => {
        const seen = await shop.as(newCustomer(), "seckill.audit", { id: sale.id });
        return seen.holds ? undefined : seen;
      },
      { timeoutMs: SETTLE_MS, what: "the public sees it too" },
    );
    await run([`${SALE} granted = granted - 1 WHERE id = :sale`], sale.id);
    assert.ok(shown.offending.length > 0);
    assert.ok(shown.offending.every(({ rows }) => rows.length === 0));
    await assert.rejects(
      shop.as(newCustomer(), "seckill.audit", { id: sale.id, full: true }),
      (error) => isPlatformError(error, "FORBIDDEN"),
    );
  });

  it("goes on where the last audit left off, and from nothing when asked to", async () => {
    const checkpoint = async (): Promise<object | undefined> =>
      (
        await saleRows(schemas, "SELECT round, seq, ends FROM sale_audits WHERE sale_id = ?", [
          sale.id,
        ])
      )[0];
    await audit(sale.id, true);
    const before = (await checkpoint()) as { round: number; seq: number; ends: number };
    assert.deepEqual([before.seq, before.ends], [4, 1]);
    // What was found to hold is not read again, so a change behind the checkpoint is for full audits.
    const does = `${ORDERS} user_id = user_id + 1 WHERE ${OF_SALE} AND status = 'cancelled'`;
    await run([does], sale.id);
    assert.equal((await audit(sale.id)).holds, true);
    const full = await audit(sale.id, true);
    await run([does.replace("+", "-")], sale.id);
    assert.deepEqual(rules(full), [AUDIT_RULES.orderAsPromised]);
    const stopped = (await checkpoint()) as { round: number; seq: number };
    assert.ok(stopped.seq < 4 && stopped.round > before.round, JSON.stringify(stopped));
    assert.equal((await audit(sale.id)).holds, true);
    assert.deepEqual(await checkpoint(), { ...before, round: stopped.round });
  });

  it("certifies what it found, and a changed certificate is nobody's", async () => {
    const signed = await eventually(
      async () => {
        const made = await shop.as(newCustomer(), "seckill.certify", { id: sale.id });
        return made.certificate.audit.holds ? made : undefined;
      },
      { timeoutMs: SETTLE_MS, what: "the certificate says that the sale holds" },
    );
    const { certificate, signature } = signed;
    assert.ok(isSignedBy(certificate, signature));
    const key = await shop.as(newCustomer(), "seckill.certificateKey", {});
    assert.deepEqual([key.key_id, key.public_key], [signature.key_id, signature.public_key]);
    const { audit: figures } = certificate;
    assert.ok(!isSignedBy({ ...certificate, audit: { ...figures, live: 4 } }, signature));
    assert.ok(!isSignedBy(certificate, { ...signature, key_id: "0".repeat(16) }));
    const other = generateKeyPairSync("ed25519").publicKey;
    const pem = other.export({ type: "spki", format: "pem" }).toString();
    assert.ok(!isSignedBy(certificate, { ...signature, public_key: pem }));
    assert.ok(!isSignedBy(certificate, { ...signature, value: "" }));
  });

  it("hashes the log of admissions in their order", async () => {
    const rows = await saleRows<{
      seq: number;
      orderId: string;
      userId: string;
      epoch: number;
      admittedAt: Date;
    }>(
      schemas,
      `SELECT seq, order_id AS orderId, user_id AS userId, epoch, created_at AS admittedAt
       FROM admissions WHERE sale_id = ? AND seq IS NOT NULL ORDER BY seq`,
      [sale.id],
    );
    const hash = rows.reduce(
      (before, row) => chainHash(before, logEntry(sale.id, row)),
      EMPTY_LOG_HASH,
    );
    const { admission_log: log } = await audit(sale.id);
    assert.deepEqual(log, { entries: 4, sha256: hash });
  });
});
