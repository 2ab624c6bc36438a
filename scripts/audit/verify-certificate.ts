// Tells whether a certificate is what the shop signed, without asking the shop for anything but its key.
import { createPublicKey } from "node:crypto";
import { faultsOf } from "../../mixins/validation/ajv.ts";
import { isSignedBy } from "../../mixins/signing/ed25519.ts";
import { type SaleAudit, SaleCertificate } from "../../services/contracts/sale-audit.ts";

export interface Verification {
  /** Signed by the key in the file, which is the shop's where that is known, and sound in itself. */
  readonly isGenuine: boolean;
  /** What is wrong with it. */
  readonly faults: readonly string[];
  readonly keyId: string | undefined;
  /** Whether the key was held against the shop's. */
  readonly isKeyKnown: boolean;
  readonly issuedAt: string | undefined;
  readonly audit: SaleAudit | undefined;
}

/** @param publicKey the shop's, PEM; without it the one in the file is taken at its word. */
export function verifyCertificate(text: string, publicKey: string | undefined): Verification {
  const parsed = parse(text);
  const isKeyKnown = publicKey !== undefined;
  if (parsed === undefined) {
    const faults = ["it is no certificate of a sale"];
    return { isGenuine: false, faults, isKeyKnown, ...NOTHING };
  }
  const { certificate, signature } = parsed;
  const isOther = isKeyKnown && !isSameKey(signature.public_key, publicKey);
  const faults = [
    ...(isSignedBy(certificate, signature) ? [] : ["the signature is not that of what it says"]),
    ...(isOther ? ["the key is not the shop's"] : []),
    ...figureFaults(certificate.audit),
  ];
  return {
    isGenuine: faults.length === 0,
    faults,
    keyId: signature.key_id,
    isKeyKnown,
    issuedAt: certificate.issued_at,
    audit: certificate.audit,
  };
}

const NOTHING = { keyId: undefined, issuedAt: undefined, audit: undefined };

function parse(text: string): SaleCertificate | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    const isOne = faultsOf(SaleCertificate, parsed).length === 0;
    return isOne ? (parsed as SaleCertificate) : undefined;
  } catch {
    return undefined;
  }
}

function isSameKey(left: string, right: string): boolean {
  try {
    return createPublicKey(left).equals(createPublicKey(right));
  } catch {
    return false;
  }
}

/** The equations that everybody can work out again from the figures alone. */
function figureFaults(audit: SaleAudit): readonly string[] {
  const { quantity, live, remaining, returned, money, holds, offending } = audit;
  const equations: readonly (readonly [string, boolean])[] = [
    ["quantity = live + remaining + returned", quantity === live + remaining + returned],
    ["refunded <= paid <= total price", isRising(money.refunded, money.paid, money.total_price)],
    ["it holds when no rule is broken", holds === (offending.length === 0)],
  ];
  const isBroken = holds ? equations.filter(([, isTrue]) => !isTrue) : [];
  return isBroken.map(([rule]) => `its figures contradict each other: ${rule}`);
}

function isRising(...values: readonly number[]): boolean {
  return values.every((value, at) => at === 0 || (values[at - 1] ?? 0) <= value);
}
