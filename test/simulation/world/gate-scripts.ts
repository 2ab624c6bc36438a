// What the scripts of lua/seckill do, line by line, on the simulated server. Same keys, arguments and
// replies as in their headers.
import type { RedisServer } from "./redis.ts";

export type GateScript = (
  redis: RedisServer,
  keys: readonly string[],
  args: readonly string[],
) => unknown;

type Five = readonly [string, string, string, string, string];

const JOURNAL_FIELD = "entries";

export const GATE_SCRIPTS: Readonly<Record<string, GateScript>> = {
  admit,
  "begin-load": beginLoad,
  "load-holders": loadHolders,
  open,
  "give-back": giveBack,
  state,
};

function pairsOf(list: readonly string[]): (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  for (let at = 0; at < list.length; at += 2) pairs.push([list[at]!, list[at + 1]!]);
  return pairs;
}

/** The journal, whose entries are only counted here. */
function record(redis: RedisServer, key: string): void {
  const count = redis.hash(key).get(JOURNAL_FIELD);
  if (count !== undefined) redis.write(key, [[JOURNAL_FIELD, String(Number(count) + 1)]]);
}

function admit(redis: RedisServer, keys: readonly string[], args: readonly string[]): unknown {
  const [stockKey, windowKey, usersKey, pendingKey, journalKey] = keys as Five;
  const [runId, owner, , notAfterMs, settledCount] = args as Five;
  const first = 5 + Number(settledCount);
  const candidates = pairsOf(args.slice(first));
  const now = String(redis.wallMs());
  if (redis.wallMs() > Number(notAfterMs)) return ["L".repeat(candidates.length), now];
  const held = new Map(redis.hash(usersKey));
  const [stock, window] = [redis.text(stockKey), redis.text(windowKey)];
  if (held.get("run") !== runId || stock === null || window === null) {
    return ["N".repeat(candidates.length), now];
  }
  redis.erase(pendingKey, args.slice(5, first));
  const closed = closedLetter(redis, window);
  const granted = new Map<string, string>();
  const known: string[] = [];
  const letters = candidates.map(([user, attempt]) => {
    const pend = (order: string): void => redis.write(pendingKey, [[order, `${user}:${owner}`]]);
    const mine = granted.get(user) ?? held.get(user);
    if (mine !== undefined) {
      const isPending = granted.has(user) || redis.hash(pendingKey).has(orderOf(mine));
      known.push(orderOf(mine));
      return knownLetter({ mine, attempt, isPending, pend });
    }
    if (closed !== undefined || granted.size >= Number(stock)) return closed ?? "S";
    granted.set(user, attempt);
    pend(orderOf(attempt));
    return "A";
  });
  if (granted.size > 0) {
    redis.write(usersKey, [...granted]);
    redis.values.set(stockKey, String(Number(stock) - granted.size));
    record(redis, journalKey);
  }
  return [letters.join(""), now, ...known];
}

interface KnownBuyer {
  readonly mine: string;
  readonly attempt: string;
  readonly isPending: boolean;
  readonly pend: (order: string) => void;
}

function knownLetter({ mine, attempt, isPending, pend }: KnownBuyer): string {
  const isSame = orderOf(mine) === orderOf(attempt) || requestOf(mine) === requestOf(attempt);
  if (!isSame) return isPending ? "P" : "D";
  if (isPending) pend(orderOf(mine));
  return "R";
}

function orderOf(attempt: string): string {
  return attempt.slice(0, attempt.indexOf(":"));
}

function requestOf(attempt: string): string {
  return attempt.slice(attempt.indexOf(":") + 1);
}

function closedLetter(redis: RedisServer, window: string): string | undefined {
  const [startsAt, endsAt] = window.split(":").map(Number) as [number, number];
  if (redis.wallMs() < startsAt) return "B";
  return redis.wallMs() >= endsAt ? "E" : undefined;
}

function beginLoad(redis: RedisServer, keys: readonly string[], args: readonly string[]): unknown {
  const [stockKey, usersKey] = keys as [string, string];
  const [runId, expiresAtMs] = args as [string, string];
  if (redis.text(stockKey) !== null) return redis.hash(usersKey).get("run") === runId ? 1 : 2;
  redis.drop(usersKey);
  redis.write(usersKey, [["run", runId]]);
  redis.expire(usersKey, Number(expiresAtMs));
  return 0;
}

function loadHolders(
  redis: RedisServer,
  keys: readonly string[],
  args: readonly string[],
): unknown {
  const [stockKey, usersKey] = keys as [string, string];
  if (redis.text(stockKey) !== null || redis.hash(usersKey).get("run") !== args[0]) return 0;
  redis.write(usersKey, pairsOf(args.slice(1)));
  return 1;
}

function open(redis: RedisServer, keys: readonly string[], args: readonly string[]): unknown {
  const [stockKey, windowKey, usersKey, pendingKey, journalKey] = keys as Five;
  const [runId, window, expiresAtMs, holderCount, stock] = args as Five;
  const isOurs = redis.hash(usersKey).get("run") === runId;
  if (redis.text(stockKey) !== null) return isOurs ? 1 : 0;
  if (!isOurs || redis.hash(usersKey).size !== 1 + Number(holderCount)) return 0;
  redis.drop(pendingKey);
  redis.drop(journalKey);
  redis.write(pendingKey, [["run", runId]]);
  redis.write(journalKey, [[JOURNAL_FIELD, "1"]]);
  redis.set(windowKey, window, Number(expiresAtMs));
  redis.expire(pendingKey, Number(expiresAtMs));
  redis.expire(journalKey, Number(expiresAtMs));
  redis.set(stockKey, stock, Number(expiresAtMs));
  return 1;
}

function giveBack(redis: RedisServer, keys: readonly string[], args: readonly string[]): unknown {
  const [stockKey, usersKey, pendingKey, journalKey] = keys as [string, string, string, string];
  const [runId, userId, orderId] = args as [string, string, string];
  const users = redis.hash(usersKey);
  const stock = redis.text(stockKey);
  if (users.get("run") !== runId || stock === null) return 0;
  redis.erase(pendingKey, [orderId]);
  const held = users.get(userId);
  if (held === undefined || orderOf(held) !== orderId) return 1;
  redis.erase(usersKey, [userId]);
  redis.values.set(stockKey, String(Number(stock) + 1));
  record(redis, journalKey);
  return 2;
}

function state(redis: RedisServer, keys: readonly string[], args: readonly string[]): unknown {
  const [stockKey, usersKey, pendingKey, journalKey] = keys as [string, string, string, string];
  const stock = redis.text(stockKey);
  const runs = [redis.hash(usersKey).get("run"), redis.hash(pendingKey).get("run")];
  if (stock === null || runs.some((run) => run !== args[0])) return null;
  const newest = redis.hash(journalKey).get(JOURNAL_FIELD) ?? "";
  return [Number(stock), redis.hash(pendingKey).size - 1, newest];
}
