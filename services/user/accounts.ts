// Accounts: registering, the own profile, and every way a password is set. Setting one ends all
// sessions of the account.
import type { Principal } from "../../mixins/auth/tokens.ts";
import type { Database, Transaction } from "../../mixins/database/database.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { User } from "../contracts/user.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import { normaliseEmail } from "./domain/email.ts";
import { resetMail } from "./domain/reset-mail.ts";
import { hashToken, newOpaqueToken } from "./opaque-token.ts";
import type { PasswordHashing } from "./password-hashing.ts";
import {
  countRecentResets,
  insertMail,
  insertReset,
  lockReset,
  RESET_LIFETIME_MS,
  RESETS_PER_WINDOW_MAX,
  useAllResets,
} from "./password-reset.repository.ts";
import { revokeAllOf } from "./session.repository.ts";
import type { Sessions } from "./sessions.ts";
import type { UserRepository } from "./user.repository.ts";

export interface AccountParts {
  readonly database: Database;
  readonly users: UserRepository;
  readonly hashing: PasswordHashing;
  readonly sessions: Pick<Sessions, "checkPassword">;
  readonly ids: IdGenerator;
  /** Called after sessions ended, so that gateways look at once; may be lost. */
  readonly hintRevoked: () => void;
}

export interface Registration {
  readonly email: string;
  readonly password: string;
  readonly nickname?: string | undefined;
}

export interface Accounts {
  /** Errors: USER_EMAIL_TAKEN, OVERLOADED. */
  register(registration: Registration): Promise<User>;
  /** Errors: USER_NOT_FOUND. */
  get(id: string): Promise<User>;
  /** Errors: USER_NOT_FOUND. */
  updateNickname(id: string, nickname: string | null): Promise<User>;
  /** Errors: AUTH_BAD_CREDENTIALS, LOGIN_THROTTLED, OVERLOADED. */
  changePassword(change: {
    readonly principal: Principal;
    readonly address: string;
    readonly current: string;
    readonly next: string;
  }): Promise<void>;
  /** Does the same for an unknown e-mail, but for the mail. */
  requestReset(email: string): Promise<void>;
  /** Errors: AUTH_RESET_INVALID, OVERLOADED. */
  resetPassword(token: string, password: string): Promise<void>;
}

export function createAccounts(parts: AccountParts): Accounts {
  const { users, hashing, ids } = parts;

  async function get(id: string): Promise<User> {
    const user = await users.find(id);
    if (user === undefined) throw new PlatformError("USER_NOT_FOUND");
    return user;
  }

  return {
    get,
    async register({ email, password, nickname }) {
      const normalised = normaliseEmail(email);
      // Spares the hash; the unique key decides.
      const isTaken = (await users.findLogin(normalised)) !== undefined;
      if (isTaken) throw new PlatformError("USER_EMAIL_TAKEN");
      const passwordHash = await hashing.hash(password);
      const id = ids.next();
      await users.insert({
        id,
        email: normalised,
        nickname: nickname ?? null,
        role: "customer",
        passwordHash,
      });
      return get(id);
    },
    async updateNickname(id, nickname) {
      if (!(await users.updateNickname(id, nickname))) throw new PlatformError("USER_NOT_FOUND");
      return get(id);
    },
    changePassword: (change) => changePassword(parts, change),
    requestReset: (email) => requestReset(parts, normaliseEmail(email)),
    resetPassword: (token, password) => resetPassword(parts, token, password),
  };
}

async function changePassword(
  parts: AccountParts,
  { principal, address, current, next }: Parameters<Accounts["changePassword"]>[0],
): Promise<void> {
  const { database, users, hashing, sessions } = parts;
  const { userId } = principal;
  let checkedHash: string | undefined;
  const isRight = await sessions.checkPassword({ account: userId, address }, current, async () => {
    checkedHash = await users.passwordHashOf(userId);
    return checkedHash;
  });
  if (!isRight) throw new PlatformError("AUTH_BAD_CREDENTIALS");
  const passwordHash = await hashing.hash(next);
  await database.transaction("accounts.change_password", async (tx) => {
    // Two changes at once: the second one knew a password that is no longer the current one.
    const stored = await users.lockPassword(tx, userId);
    if (stored !== checkedHash) throw new PlatformError("AUTH_BAD_CREDENTIALS");
    await setPassword(parts, tx, { userId, passwordHash });
  });
  parts.hintRevoked();
}

async function requestReset(parts: AccountParts, email: string): Promise<void> {
  const login = await parts.users.findLogin(email);
  const token = newOpaqueToken();
  const mailId = parts.ids.next();
  await parts.database.transaction("accounts.request_reset", async (tx) => {
    const recent = await countRecentResets(tx, login?.userId);
    const isSent = login !== undefined && recent < RESETS_PER_WINDOW_MAX;
    await insertReset(tx, hashToken(token), isSent ? login.userId : undefined);
    if (!isSent) return;
    await insertMail(tx, { id: mailId, recipient: email, ...resetMail(token, RESET_LIFETIME_MS) });
  });
}

async function resetPassword(parts: AccountParts, token: string, password: string): Promise<void> {
  const { database, users, hashing } = parts;
  const tokenHash = hashToken(token);
  const claim = async (tx: Transaction): Promise<string> => {
    const userId = await lockReset(tx, tokenHash);
    if (userId === undefined) throw new PlatformError("AUTH_RESET_INVALID");
    return userId;
  };
  // A made-up token costs no hash.
  await database.transaction("accounts.check_reset", claim);
  const passwordHash = await hashing.hash(password);
  await database.transaction("accounts.reset_password", async (tx) => {
    const userId = await claim(tx);
    await users.lockPassword(tx, userId);
    await setPassword(parts, tx, { userId, passwordHash });
  });
  parts.hintRevoked();
}

/** The caller holds the user's lock. */
async function setPassword(
  { users }: AccountParts,
  tx: Transaction,
  { userId, passwordHash }: { userId: string; passwordHash: string },
): Promise<void> {
  await users.updatePassword(tx, userId, passwordHash);
  await useAllResets(tx, userId);
  await revokeAllOf(tx, userId, "password");
}
