// Every table either has somebody who deletes what is old in it, or a reason to be kept. A new table that
// is in neither list fails here.
import assert from "node:assert/strict";
import { readRoot, sourceFiles } from "../support/source.ts";

/** Rows are deleted by a statement of the product. */
const PURGED = new Set([
  "outbox",
  "inbox",
  "dead_letters",
  "sagas",
  "idempotency_keys",
  "refresh_families",
  "refresh_tokens",
  "revocations",
  "login_throttles",
  "password_resets",
  "mails",
  "cache_invalidations",
  "give_backs",
  "rules",
  "charges",
  "deliveries",
]);

const KEPT: Readonly<Record<string, string>> = {
  users: "who the shop's customers are",
  addresses: "the customers', bounded for each",
  address_books: "one row for a customer",
  products: "the catalogue",
  skus: "the catalogue",
  categories: "the catalogue",
  stock: "one row for a SKU",
  orders: "what was sold",
  order_items: "what was sold",
  reservations: "what stock was held for",
  reservation_lines: "what stock was held for",
  payments: "money",
  payment_orders: "money: closes an order for payments that come late",
  callbacks: "money: what providers have told",
  refunds: "money",
  reconciliation_differences: "money: what somebody has to look into",
  charge_refunds: "the mock provider's ledger",
  sales: "what was promised",
  admissions: "what was promised",
  allotments: "one row for a sale",
  sale_audits: "one row for a sale",
  stock_movements: "a ledger",
  order_events: "a ledger",
  ledger_entries: "a ledger",
  rule_changes: "a ledger: no service may delete from it",
  revocation_counter: "one row",
  category_tree: "one row",
  rule_clock: "one row",
  leases: "one row for a job",
  worker_leases: "one row for a worker id",
};

function tablesOf(schema: string): readonly string[] {
  return [...new Set([...schema.matchAll(/^CREATE TABLE `(\w+)`/gm)].map(([, name = ""]) => name))];
}

/** What is wrong with the lists, for these tables and this source. */
function faultsOf(tables: readonly string[], source: string): readonly string[] {
  const unknown = tables.filter((name) => !PURGED.has(name) && !(name in KEPT));
  const isDeleted = (name: string): boolean => new RegExp(`DELETE FROM ${name}\\b`).test(source);
  return [
    ...unknown.map((name) => `${name} is neither purged nor kept for a reason`),
    ...[...PURGED].filter((name) => !isDeleted(name)).map((name) => `nobody purges ${name}`),
    ...[...PURGED, ...Object.keys(KEPT)]
      .filter((name) => !tables.includes(name))
      .map((name) => `there is no table ${name}`),
  ];
}

describe("retention", () => {
  const tables = tablesOf(readRoot("migrations/schema.sql"));
  const source = sourceFiles(["services", "mixins"])
    .map(({ text }) => text)
    .join("\n")
    // The one statement that is made of its table's name.
    .concat(
      [...readRoot("services/user/retention.ts").matchAll(/olderThan\("[a-z_.]+", "(\w+)"/g)]
        .map(([, name = ""]) => `DELETE FROM ${name}`)
        .join("\n"),
    );

  it("knows every table", () => {
    assert.deepEqual(faultsOf(tables, source), []);
  });

  it("sees a new table, one that is gone, and one that nobody purges", () => {
    assert.deepEqual(faultsOf([...tables, "wishes"], source), [
      "wishes is neither purged nor kept for a reason",
    ]);
    const without = tables.filter((name) => name !== "mails");
    assert.deepEqual(faultsOf(without, source), ["there is no table mails"]);
    const silent = source.replaceAll("DELETE FROM deliveries", "");
    assert.deepEqual(faultsOf(tables, silent), ["nobody purges deliveries"]);
  });
});
