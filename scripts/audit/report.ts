// An audit and the verification of a certificate as people read them.
import picocolors from "picocolors";
import type { SaleAudit } from "../../services/contracts/sale-audit.ts";
import type { Verification } from "./verify-certificate.ts";

const NAME_WIDTH = 34;

export function describeAudit(audit: SaleAudit): string {
  const { complete, holds, offending } = audit;
  const broken = offending.flatMap(({ rule, rows }) => [
    picocolors.red(`✗ ${rule}`),
    ...rows.map((found) => `    ${found}`),
  ]);
  const unfinished = complete ? [] : [picocolors.yellow("  not all of it was looked at")];
  return ["", ...figuresOf(audit), "", ...broken, ...unfinished, verdict(holds), ""].join("\n");
}

export function describeVerification(verification: Verification): string {
  const { isGenuine, faults, keyId, isKeyKnown, issuedAt, audit } = verification;
  const figures = audit === undefined || !isGenuine ? [] : figuresOf(audit);
  const key = isKeyKnown ? "the shop's" : "not held against the shop's: give --key or --url";
  const whose = isGenuine
    ? [row("issued at", issuedAt ?? ""), row("key", `${keyId} (${key})`)]
    : [];
  const genuine = isGenuine
    ? picocolors.green("✓ genuine")
    : faults.map((fault) => picocolors.red(`✗ ${fault}`)).join("\n");
  const holds = isGenuine && audit?.holds === true;
  return ["", ...figures, ...whose, "", genuine, verdict(holds), ""].join("\n");
}

function figuresOf(audit: SaleAudit): readonly string[] {
  const { money, gate_stock: gateStock, admission_log: log } = audit;
  return [
    row("sale", audit.sale_id),
    row("units of the sale", audit.quantity),
    row("held by a buyer", audit.live),
    row("given back", audit.given_back),
    row("attempts that were given up", audit.void),
    row("returned to the stock", audit.returned),
    row("left", audit.remaining),
    row("left by the gate", gateStock ?? "–"),
    ...Object.entries(audit.orders).map(([status, count]) => row(`orders ${status}`, count)),
    row("price of all orders", money.total_price),
    row("paid", money.paid),
    row("refunded", money.refunded),
    row("admissions in the log", log.entries),
    row("hash of the log", log.sha256),
  ];
}

function row(name: string, value: string | number): string {
  return `  ${name.padEnd(NAME_WIDTH)} ${value}`;
}

function verdict(holds: boolean): string {
  return holds ? picocolors.green("PASS") : picocolors.red("FAIL");
}
