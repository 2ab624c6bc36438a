// Signing in and staying signed in: throttled login, single-use refresh tokens, logout.
import type { AccessTokens, Principal } from "../../mixins/auth/tokens.ts";
import { ACCESS_TOKEN_LIFETIME_S } from "../../mixins/auth/tokens.ts";
import type { Database } from "../../mixins/database/database.ts";
import type { Role } from "../contracts/contract.ts";
import { type ErrorSlug, PlatformError } from "../contracts/errors.ts";
import type { TokenPair } from "../contracts/user.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import { normaliseEmail } from "./domain/email.ts";
import { decideRefresh } from "./domain/refresh.ts";
import { type LoginThrottle, loginScope } from "./login-throttle.repository.ts";
import { createOneAtATime } from "./one-at-a-time.ts";
import { hashToken, newOpaqueToken } from "./opaque-token.ts";
import type { PasswordHashing } from "./password-hashing.ts";
import { insertFamily, lockToken, revokeFamily, rotateToken } from "./session.repository.ts";
import type { Login, UserRepository } from "./user.repository.ts";

export interface SessionParts {
  readonly database: Database;
  readonly users: UserRepository;
  readonly throttle: LoginThrottle;
  readonly hashing: PasswordHashing;
  readonly tokens: AccessTokens;
  readonly ids: IdGenerator;
  /** Called after sessions ended, so that gateways look at once; may be lost. */
  readonly hintRevoked: () => void;
}

export interface Sessions {
  /** Errors: AUTH_BAD_CREDENTIALS, LOGIN_THROTTLED, OVERLOADED. */
  login(credentials: { email: string; password: string }, address: string): Promise<TokenPair>;
  /** Whether `password` is the one of `login`; failures count against `scope`'s account.
   * Errors: LOGIN_THROTTLED, OVERLOADED. */
  checkPassword(
    who: { account: string; address: string },
    password: string,
    findHash: () => Promise<string | undefined>,
  ): Promise<boolean>;
  /** Errors: AUTH_REFRESH_INVALID, AUTH_TOKEN_REUSED. */
  refresh(refreshToken: string): Promise<TokenPair>;
  /** Ends the caller's session, and that of `refreshToken` when it is the caller's own. */
  logout(principal: Principal, refreshToken: string | undefined): Promise<void>;
}

export function createSessions(parts: SessionParts): Sessions {
  const checkPassword = createPasswordCheck(parts);
  return {
    checkPassword,
    async login({ email, password }, address) {
      const account = normaliseEmail(email);
      let login: Login | undefined;
      const isRight = await checkPassword({ account, address }, password, async () => {
        login = await parts.users.findLogin(account);
        return login?.passwordHash;
      });
      if (!isRight || login === undefined) throw new PlatformError("AUTH_BAD_CREDENTIALS");
      return openSession(parts, login);
    },
    refresh: (refreshToken) => refresh(parts, refreshToken),
    logout: (principal, refreshToken) => logout(parts, principal, refreshToken),
  };
}

/** The same statements and the same hash for a known and an unknown account. */
function createPasswordCheck({ throttle, hashing }: SessionParts): Sessions["checkPassword"] {
  const oneAtATime = createOneAtATime();
  return ({ account, address }, password, findHash) => {
    const scope = loginScope(account, address);
    return oneAtATime.run(scope.accountAndAddress, async () => {
      const failures = await throttle.check(scope);
      const isRight = await hashing.verify(password, await findHash());
      if (!isRight) await throttle.countFailure(scope);
      else if (failures > 0) await throttle.forget(scope);
      return isRight;
    });
  };
}

async function openSession(parts: SessionParts, login: Login): Promise<TokenPair> {
  const { database, users, ids } = parts;
  const familyId = ids.next();
  const refreshToken = newOpaqueToken();
  await database.transaction("sessions.open", async (tx) => {
    // The password may have been changed since it was checked; then this login came too late.
    const current = await users.lockPassword(tx, login.userId);
    if (current !== login.passwordHash) throw new PlatformError("AUTH_BAD_CREDENTIALS");
    const tokenHash = hashToken(refreshToken);
    await insertFamily(tx, { id: familyId, userId: login.userId, tokenHash });
  });
  return pair(parts.tokens, { userId: login.userId, role: login.role, familyId }, refreshToken);
}

async function refresh(parts: SessionParts, refreshToken: string): Promise<TokenPair> {
  const presentedHash = hashToken(refreshToken);
  const successor = newOpaqueToken();
  const result = await parts.database.transaction("sessions.refresh", async (tx) => {
    const token = await lockToken(tx, presentedHash);
    const decision = decideRefresh(token);
    if (token === undefined) return refused("AUTH_REFRESH_INVALID");
    if (decision.outcome === "refuse") {
      // Returned, not thrown: the revocation has to be committed.
      if (decision.revokeFamily) await revokeFamily(tx, token.familyId, "reuse");
      return { ...refused(decision.error), isRevoked: decision.revokeFamily };
    }
    const role = await parts.users.roleOf(tx, token.userId);
    if (role === undefined) return refused("AUTH_REFRESH_INVALID");
    await rotateToken(tx, token, { presentedHash, successorHash: hashToken(successor) });
    return { session: { userId: token.userId, role, familyId: token.familyId } };
  });
  if ("error" in result) {
    if (result.isRevoked) parts.hintRevoked();
    throw new PlatformError(result.error);
  }
  return pair(parts.tokens, result.session, successor);
}

function refused(error: ErrorSlug): { readonly error: ErrorSlug; readonly isRevoked: boolean } {
  return { error, isRevoked: false };
}

async function logout(
  parts: SessionParts,
  principal: Principal,
  refreshToken: string | undefined,
): Promise<void> {
  await parts.database.transaction("sessions.logout", async (tx) => {
    const families = new Set([principal.familyId]);
    if (refreshToken !== undefined) {
      const token = await lockToken(tx, hashToken(refreshToken));
      if (token?.userId === principal.userId) families.add(token.familyId);
    }
    for (const familyId of [...families].sort()) await revokeFamily(tx, familyId, "logout");
  });
  parts.hintRevoked();
}

function pair(
  tokens: AccessTokens,
  session: { userId: string; role: Role; familyId: string },
  refreshToken: string,
): TokenPair {
  return {
    access_token: tokens.sign(session),
    refresh_token: refreshToken,
    token_type: "Bearer",
    expires_in: ACCESS_TOKEN_LIFETIME_S,
  };
}
