// Who is told what of an audit: admins everything, at once; everybody else the figures and the rules, as
// often as one look per second allows; and the same signed, as a certificate.
import type { Context } from "moleculer";
import { LRUCache } from "lru-cache";
import {
  createDocumentSigner,
  type DocumentSigner,
  type SignatureKey,
} from "../../mixins/signing/ed25519.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { SaleAudit, SaleCertificate } from "../contracts/sale-audit.ts";
import { SECOND_MS } from "../kernel/clock.ts";
import { type AuditDeps, type AuditedSale, auditSale } from "./audit.ts";
import { shownStatus } from "./domain/sale.ts";

/** What everybody may ask for is worked out at most this often per sale and node. */
const PUBLIC_FRESH_MS = SECOND_MS;
const PUBLIC_SALES_MAX = 1_000;

export interface AuditsDeps extends AuditDeps {
  /** As in the settings; empty: no certificates. */
  readonly signingKey: string;
}

export interface ShowAudit {
  readonly id: string;
  /** From nothing, not from where the last audit left off; for admins. */
  readonly isFull: boolean;
  readonly isAdmin: boolean;
}

export interface Audits {
  /** Errors: FORBIDDEN for a full audit by anybody but an admin, SECKILL_SALE_NOT_FOUND. */
  show(ctx: Context, request: ShowAudit): Promise<SaleAudit>;
  /** Errors: SECKILL_AUDIT_UNFINISHED, SECKILL_NOT_SIGNING, SECKILL_SALE_NOT_FOUND. */
  certify(ctx: Context, id: string): Promise<SaleCertificate>;
  /** Errors: SECKILL_NOT_SIGNING. */
  key(): SignatureKey;
}

/** Throws when the signing key is none. */
export function createAudits(deps: AuditsDeps): Audits {
  const { clock, signingKey } = deps;
  const signer = signingKey === "" ? undefined : createDocumentSigner(signingKey);
  const known = new LRUCache<string, Promise<AuditedSale>>({
    max: PUBLIC_SALES_MAX,
    ttl: PUBLIC_FRESH_MS,
  });

  /** Many who ask at once share one look. */
  const shared = (ctx: Context, id: string): Promise<AuditedSale> => {
    const fresh = known.get(id);
    if (fresh !== undefined) return fresh;
    const started = auditSale(deps, ctx, { id, isFull: false });
    known.set(id, started);
    started.catch(() => known.delete(id));
    return started;
  };
  const signing = (): DocumentSigner => {
    if (signer === undefined) throw new PlatformError("SECKILL_NOT_SIGNING");
    return signer;
  };

  return {
    async show(ctx, { id, isFull, isAdmin }) {
      if (isAdmin) return (await auditSale(deps, ctx, { id, isFull })).audit;
      if (isFull) throw new PlatformError("FORBIDDEN");
      return publicAudit((await shared(ctx, id)).audit);
    },
    async certify(ctx, id) {
      const by = signing();
      const { sale, audit } = await shared(ctx, id);
      if (!audit.complete) throw new PlatformError("SECKILL_AUDIT_UNFINISHED");
      const nowMs = clock.now();
      const certificate: SaleCertificate["certificate"] = {
        format: "flash-sale-certificate.v1",
        issued_at: new Date(nowMs).toISOString(),
        sku_id: sale.skuId,
        price: sale.price,
        currency: sale.currency,
        start_at: sale.startsAt.toISOString(),
        end_at: sale.endsAt.toISOString(),
        status: shownStatus(sale, nowMs),
        audit: publicAudit(audit),
      };
      return { certificate, signature: by.sign(certificate) };
    },
    key: () => signing().key,
  };
}

function publicAudit(audit: SaleAudit): SaleAudit {
  return { ...audit, offending: audit.offending.map(({ rule }) => ({ rule, rows: [] })) };
}
