// Purchase passes: the right to try in one sale, for one user, until a time. Nothing is stored: a pass
// is its own proof (HMAC over sale, user and expiry), with a key of its own made from the tokens'.
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Clock } from "../../services/kernel/clock.ts";
import type { TokenKeys } from "./tokens.ts";

const FORM = /^(\d{10,16})\.([A-Za-z0-9_-]{43})$/;

export interface PassSubject {
  readonly saleId: string;
  readonly userId: string;
}

export interface PurchasePasses {
  /** @param expiresAtMs milliseconds since the Unix epoch. */
  issue(subject: PassSubject, expiresAtMs: number): string;
  /** Never throws. */
  isValid(pass: string | undefined, subject: PassSubject): boolean;
}

export function createPurchasePasses(
  { current, previous }: TokenKeys,
  clock: Clock,
): PurchasePasses {
  const currentKey = keyOf(current);
  const keys = previous === undefined ? [currentKey] : [currentKey, keyOf(previous)];
  return {
    issue: (subject, expiresAtMs) =>
      `${expiresAtMs}.${sign(currentKey, subject, expiresAtMs).toString("base64url")}`,
    isValid(pass, subject) {
      const [, expiry = "", signature = ""] = FORM.exec(pass ?? "") ?? [];
      const expiresAtMs = Number(expiry);
      if (expiry === "" || expiresAtMs <= clock.now()) return false;
      const given = Buffer.from(signature, "base64url");
      return keys.some((key) => {
        const wanted = sign(key, subject, expiresAtMs);
        return given.length === wanted.length && timingSafeEqual(given, wanted);
      });
    },
  };
}

function keyOf(secret: string): Buffer {
  return createHmac("sha256", secret).update("seckill-purchase-pass").digest();
}

function sign(key: Buffer, { saleId, userId }: PassSubject, expiresAtMs: number): Buffer {
  return createHmac("sha256", key).update(`${saleId}.${userId}.${expiresAtMs}`).digest();
}
