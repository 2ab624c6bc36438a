// Which verified tokens have been revoked. The list is polled from the user service; while that is
// away the last one known holds, and tokens end by themselves after 15 minutes.
import type { ServiceBroker } from "moleculer";
import type { Principal } from "../../mixins/auth/tokens.ts";
import { ACCESS_TOKEN_LIFETIME_S } from "../../mixins/auth/tokens.ts";
import { call } from "../contracts/actions.ts";
import type { Revocation } from "../contracts/user.ts";
import type { Log } from "../../mixins/log.ts";
import type { Clock } from "../kernel/clock.ts";

const POLL_INTERVAL_MS = 2_000;
/** Pages fetched in one poll; the rest comes with the next. */
const PAGES_PER_POLL_MAX = 20;
/** How long an entry matters: no token lives longer, give or take two clocks. */
const ENTRY_LIFETIME_MS = (ACCESS_TOKEN_LIFETIME_S + 60) * 1_000;

export interface SessionsParts {
  readonly broker: ServiceBroker;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Sessions {
  isRevoked(principal: Principal): boolean;
  start(): void;
  stop(): void;
  /** Fetches what is new, at once; used after a hint. */
  poll(): Promise<void>;
}

export function createSessions({ broker, clock, log }: SessionsParts): Sessions {
  const families = new Map<string, number>();
  const users = new Map<string, number>();
  let lastSeq = 0;
  let timer: NodeJS.Timeout | undefined;

  function note(revocation: Revocation): void {
    const atMs = Date.parse(revocation.revoked_at);
    if (revocation.family_id !== null) families.set(revocation.family_id, atMs);
    if (revocation.user_id !== null) users.set(revocation.user_id, atMs);
    lastSeq = Math.max(lastSeq, revocation.seq);
  }

  async function poll(): Promise<void> {
    for (let page = 0; page < PAGES_PER_POLL_MAX; page += 1) {
      const { items } = await call(broker, "user.revocations", { after_seq: lastSeq });
      items.forEach(note);
      if (items.length === 0) break;
    }
    forgetOld(families);
    forgetOld(users);
  }

  function forgetOld(entries: Map<string, number>): void {
    const oldest = clock.now() - ENTRY_LIFETIME_MS;
    for (const [key, atMs] of entries) if (atMs < oldest) entries.delete(key);
  }

  return {
    isRevoked(principal) {
      if (families.has(principal.familyId)) return true;
      const revokedAtMs = users.get(principal.userId);
      return revokedAtMs !== undefined && principal.issuedAtS * 1_000 <= revokedAtMs;
    },
    poll,
    start() {
      const run = (): void => {
        poll().catch((error: unknown) => {
          log.debug({ err: error }, "revocations could not be fetched");
        });
      };
      run();
      timer = setInterval(run, POLL_INTERVAL_MS);
    },
    stop: () => clearInterval(timer),
  };
}
