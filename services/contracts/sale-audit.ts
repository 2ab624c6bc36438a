// What an audit of a flash sale found, and the same as a signed statement.
import { type Static, Type } from "@sinclair/typebox";
import { Id, Money, Nullable, Timestamp } from "../kernel/schema.ts";

export const SaleAudit = Type.Object({
  sale_id: Id,
  quantity: Type.Integer(),
  /** Admissions that hold a unit now, that gave theirs back, and that were never let in. */
  live: Type.Integer(),
  given_back: Type.Integer(),
  void: Type.Integer(),
  /** Units booked back into the stock after the end. */
  returned: Type.Integer(),
  remaining: Type.Integer(),
  /** Orders of the sale by status; `queued` = admitted, its row not there yet. */
  orders: Type.Record(Type.String(), Type.Integer()),
  /** What all orders cost, what was paid of it, and what of that was given back; minor units. */
  money: Type.Object({
    total_price: Type.Integer(),
    paid: Type.Integer(),
    refunded: Type.Integer(),
  }),
  /** Units nobody holds by the gate; null when the gate does not decide or buyers are under way. */
  gate_stock: Nullable(Type.Integer()),
  /** All admissions in the order of their numbers, up to `entries`. */
  admission_log: Type.Object({
    entries: Type.Integer(),
    /** See docs/audit.md for what it is made of. */
    sha256: Type.String(),
  }),
  /** False while entries are left for the next call: a large sale is looked at piece by piece. */
  complete: Type.Boolean(),
  holds: Type.Boolean(),
  /** Rules that do not hold; their rows for admins only. */
  offending: Type.Array(Type.Object({ rule: Type.String(), rows: Type.Array(Type.String()) })),
});
export type SaleAudit = Static<typeof SaleAudit>;

/** A signed statement about a sale: what an audit found, when, and by whose key it is said. */
export const SaleCertificate = Type.Object({
  /** Signed as it stands here, by the rules of RFC 8785: sorted names, no white space. */
  certificate: Type.Object({
    format: Type.Literal("flash-sale-certificate.v1"),
    issued_at: Timestamp,
    sku_id: Id,
    price: Money,
    currency: Type.String(),
    start_at: Timestamp,
    end_at: Timestamp,
    /** As a sale shows it. */
    status: Type.String(),
    /** As the public sees it: offending rules without their rows. */
    audit: SaleAudit,
  }),
  signature: Type.Object({
    algorithm: Type.Literal("Ed25519"),
    /** The first 16 hex digits of the SHA-256 of the public key (SPKI, DER). */
    key_id: Type.String(),
    /** SPKI, PEM. */
    public_key: Type.String(),
    /** Base64. */
    value: Type.String(),
  }),
});
export type SaleCertificate = Static<typeof SaleCertificate>;
