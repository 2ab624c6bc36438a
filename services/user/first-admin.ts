// The first admin, from the settings. Its id is fixed, so that any number of nodes that start at
// once make one; afterwards the settings change nothing about it.
import { isDuplicateKey } from "../../mixins/database/database-error.ts";
import type { Log } from "../../mixins/log.ts";
import { isPlatformError } from "../contracts/errors.ts";
import { type Backoff, backoffDelayMs } from "../kernel/backoff.ts";
import { normaliseEmail } from "./domain/email.ts";
import type { PasswordHashing } from "./password-hashing.ts";
import type { UserRepository } from "./user.repository.ts";

/** Below every id that is minted. */
export const FIRST_ADMIN_ID = "1";

const RETRY: Backoff = { baseMs: 100, maxMs: 5_000 };

export interface FirstAdminParts {
  readonly users: UserRepository;
  readonly hashing: PasswordHashing;
  readonly log: Log;
}

/** Makes the admin unless there is one. An account that a customer has under this e-mail is left
 * alone: it would become an admin's with the customer's password. */
export async function ensureFirstAdmin(
  { users, hashing, log }: FirstAdminParts,
  { email, password }: { readonly email: string; readonly password: string },
): Promise<void> {
  if ((await users.find(FIRST_ADMIN_ID)) !== undefined) return;
  const passwordHash = await hashing.hash(password);
  try {
    await users.insert({
      id: FIRST_ADMIN_ID,
      email: normaliseEmail(email),
      nickname: null,
      role: "admin",
      passwordHash,
    });
  } catch (error) {
    if (isDuplicateKey(error, "PRIMARY")) return;
    if (!isPlatformError(error, "USER_EMAIL_TAKEN")) throw error;
    // Another node may have been first; which of the two keys it broke is the server's choice.
    if ((await users.find(FIRST_ADMIN_ID)) !== undefined) return;
    log.error({}, "no first admin: ADMIN_EMAIL belongs to another account");
  }
}

export interface UntilDone {
  /** Resolves after the first try; goes on trying in the background while the database is away. */
  start(): Promise<void>;
  stop(): void;
}

/** A node starts also while the database is away, and has its admin once it is back. */
export function untilDone(
  work: () => Promise<void>,
  { log, random }: { readonly log: Log; readonly random: () => number },
): UntilDone {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  async function attempt(tries: number): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isPlatformError(error)) throw error;
      log.warn({ err: error }, "the first admin could not be looked up");
      if (isStopped) return;
      timer = setTimeout(
        () => {
          void attempt(tries + 1);
        },
        backoffDelayMs(RETRY, tries, random),
      );
    }
  }
  return {
    start: () => attempt(1),
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
