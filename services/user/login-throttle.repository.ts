// Failed logins, counted for an account at an address and for an address. In the database and not
// in Redis: a throttle that fails open when a cache is away is none.
import { createHash } from "node:crypto";
import { type Database, sql } from "../../mixins/database/database.ts";
import { PlatformError } from "../contracts/errors.ts";
import {
  FAILURES_PER_ACCOUNT_AND_ADDRESS_MAX,
  FAILURES_PER_ADDRESS_MAX,
  LOGIN_FAILURE_WINDOW_MS,
  throttledForS,
} from "./domain/login-throttle.ts";

const US_PER_MS = 1_000;

const FIND = sql(
  "login_throttles.find",
  `SELECT scope, failures, TIMESTAMPDIFF(MICROSECOND, NOW(3), window_ends_at) AS window_left_us
   FROM login_throttles WHERE scope IN (?)`,
);
// failures is set first: the assignments of an UPDATE see those to their left.
const COUNT = sql(
  "login_throttles.count",
  `INSERT INTO login_throttles (scope, failures, window_ends_at)
   VALUES (?, 1, NOW(3) + INTERVAL ? MICROSECOND)
   ON DUPLICATE KEY UPDATE
     failures = IF(window_ends_at <= NOW(3), 1, failures + 1),
     window_ends_at = IF(window_ends_at <= NOW(3), VALUES(window_ends_at), window_ends_at)`,
);
const FORGET = sql("login_throttles.forget", "DELETE FROM login_throttles WHERE scope = ?");

export interface LoginScope {
  readonly accountAndAddress: string;
  readonly address: string;
}

/** @param account whatever names it, an e-mail or a user id; @param address the client's. */
export function loginScope(account: string, address: string): LoginScope {
  return {
    accountAndAddress: scopeHash(["account", account, address]),
    address: scopeHash(["address", address]),
  };
}

function scopeHash(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

export interface LoginThrottle {
  /** How many failures the account has had at this address.
   * Errors: LOGIN_THROTTLED with details.retry_after_s. */
  check(scope: LoginScope): Promise<number>;
  countFailure(scope: LoginScope): Promise<void>;
  /** A success clears the account at this address, never the address. */
  forget(scope: LoginScope): Promise<void>;
}

interface CountRow {
  readonly scope: string;
  readonly failures: number;
  readonly window_left_us: string | number;
}

export function createLoginThrottle(database: Database): LoginThrottle {
  return {
    async check({ accountAndAddress, address }) {
      const rows = await database.rows<CountRow>(FIND, [[accountAndAddress, address]]);
      const count = (scope: string) => {
        const row = rows.find((candidate) => candidate.scope === scope);
        if (row === undefined) return undefined;
        return { failures: row.failures, windowLeftMs: Number(row.window_left_us) / US_PER_MS };
      };
      const account = count(accountAndAddress);
      const retryAfterS =
        throttledForS(account, FAILURES_PER_ACCOUNT_AND_ADDRESS_MAX) ??
        throttledForS(count(address), FAILURES_PER_ADDRESS_MAX);
      if (retryAfterS !== undefined) {
        throw new PlatformError("LOGIN_THROTTLED", { retry_after_s: retryAfterS });
      }
      return account?.failures ?? 0;
    },
    async countFailure({ accountAndAddress, address }) {
      const windowUs = LOGIN_FAILURE_WINDOW_MS * US_PER_MS;
      const inLockOrder = [accountAndAddress, address].sort();
      await database.transaction("login_throttles.count", async (tx) => {
        for (const scope of inLockOrder) await tx.run(COUNT, [scope, windowUs]);
      });
    },
    async forget({ accountAndAddress }) {
      await database.run(FORGET, [accountAndAddress]);
    },
  };
}
