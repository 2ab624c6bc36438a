// The rules and the record of their changes. Every change takes its number under the lock of one row,
// so that numbers appear in the order they were given; rules are few and change rarely.
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import { PlatformError } from "../contracts/errors.ts";
import {
  API_CLIENTS_MAX,
  BUYER_LISTS,
  LISTED_USERS_MAX,
  type Rule,
  type RuleKind,
  RULES_PAGE_MAX,
  SWITCHES,
  type SwitchName,
} from "../contracts/operations.ts";
import { decideTrip } from "./domain/rule.ts";

const COLUMNS = `kind, target, user_id, is_on, value, reason, source, changed_by, changed_at, expires_at,
  seq`;

const LOCK_CLOCK = sql(
  "rules.lock_clock",
  "SELECT seq, NOW(3) AS now FROM rule_clock WHERE id = 1 FOR UPDATE",
);
const SET_CLOCK = sql("rules.set_clock", "UPDATE rule_clock SET seq = ? WHERE id = 1");
const PUT = sql(
  "rules.put",
  `INSERT INTO rules (${COLUMNS}) VALUES ?
   ON DUPLICATE KEY UPDATE is_on = VALUES(is_on), value = VALUES(value), reason = VALUES(reason),
     source = VALUES(source), changed_by = VALUES(changed_by), changed_at = VALUES(changed_at),
     expires_at = VALUES(expires_at), seq = VALUES(seq)`,
);
const RECORD = sql(
  "rules.record",
  `INSERT INTO rule_changes
     (seq, kind, target, user_id, is_on, value, reason, source, changed_by, changed_at) VALUES ?`,
);
const FIND = sql(
  "rules.find",
  `SELECT ${COLUMNS}, TIMESTAMPDIFF(MICROSECOND, changed_at, NOW(3)) AS age_us FROM rules
   WHERE kind = ? AND target = ? AND user_id = ?`,
);
const RENEW = sql(
  "rules.renew",
  `UPDATE rules SET expires_at = NOW(3) + INTERVAL ? SECOND
   WHERE kind = ? AND target = ? AND user_id = ''`,
);
const EXPIRED = sql(
  "rules.expired",
  `SELECT ${COLUMNS} FROM rules WHERE is_on = 1 AND expires_at <= NOW(3) ORDER BY seq LIMIT ?`,
);
const AFTER = sql(
  "rules.after",
  "SELECT seq, kind, target, user_id, is_on, value FROM rules WHERE seq > ? ORDER BY seq LIMIT ?",
);
const COUNT_LISTED = sql(
  "rules.count_listed",
  "SELECT COUNT(*) AS total FROM rules WHERE kind IN (?) AND is_on = 1",
);
const OF_SWITCHES = sql(
  "rules.of_switches",
  `SELECT ${COLUMNS} FROM rules WHERE kind IN (?) ORDER BY kind, changed_at DESC LIMIT ?`,
);
const SHOWN_SWITCHES_MAX = 500;
/** Switches that go off in one turn. */
const EXPIRED_MAX = 100;

export interface RuleRow {
  readonly kind: RuleKind;
  readonly target: string;
  readonly user_id: string;
  readonly is_on: number;
  readonly value: number | null;
  readonly reason: string;
  readonly source: "admin" | "trigger" | "expiry";
  readonly changed_by: string | null;
  readonly changed_at: Date;
  readonly expires_at: Date | null;
  readonly seq: string;
}

export interface RuleChange {
  readonly kind: RuleKind;
  readonly target: string;
  readonly userIds: readonly string[];
  readonly isOn: boolean;
  readonly value?: number | null;
  readonly reason: string;
  readonly source: RuleRow["source"];
  readonly changedBy: string | null;
  /** Seconds until it goes off by itself. */
  readonly expiresInS?: number;
}

export interface RuleRepository {
  /** Errors: BUYER_LIST_FULL, API_CLIENT_LIST_FULL. */
  change(change: RuleChange): Promise<void>;
  find(kind: RuleKind, target: string): Promise<RuleRow | undefined>;
  switches(): Promise<readonly RuleRow[]>;
  /** True when the switch is on through a threshold now. */
  trip(name: SwitchName, target: string, trip: { reason: string; forS: number }): Promise<boolean>;
  /** Turns off what has come to the end of its time; answers how many. */
  expire(): Promise<number>;
  after(seq: number): Promise<Rule[]>;
}

interface ClockRow {
  readonly seq: string;
  readonly now: Date;
}

export function createRuleRepository(database: Database): RuleRepository {
  return {
    change: (change) => database.transaction("rules.change", (tx) => changeInside(tx, change)),
    find: (kind, target) => database.row<RuleRow>(FIND, [kind, target, ""]),
    switches: () => database.rows<RuleRow>(OF_SWITCHES, [SWITCHES, SHOWN_SWITCHES_MAX]),
    trip: (name, target, trip) =>
      database.transaction("rules.trip", (tx) => tripInside(tx, { name, target, ...trip })),
    async expire() {
      // Read without the lock first: twice a second there is nothing to do.
      if ((await database.row(EXPIRED, [1])) === undefined) return 0;
      return await database.transaction("rules.expire", expireInside);
    },
    async after(seq) {
      const rows = await database.rows<RuleRow>(AFTER, [seq, RULES_PAGE_MAX]);
      return rows.map((row) => ({
        seq: Number(row.seq),
        kind: row.kind,
        target: row.target,
        user_id: row.user_id,
        is_on: row.is_on === 1,
        value: row.value,
      }));
    },
  };
}

async function changeInside(tx: Transaction, change: RuleChange): Promise<void> {
  const clock = await lockClock(tx);
  if (change.isOn) await refuseBeyondBounds(tx, change);
  await put(tx, clock, change);
}

/** Every node keeps these in memory. */
async function refuseBeyondBounds(
  tx: Transaction,
  { kind, userIds }: Pick<RuleChange, "kind" | "userIds">,
): Promise<void> {
  const totalWith = async (kinds: readonly RuleKind[]): Promise<number> => {
    const counted = await tx.row<{ total: string }>(COUNT_LISTED, [kinds]);
    return Number(counted?.total ?? 0) + userIds.length;
  };
  if (kind === "api_client" && (await totalWith([kind])) > API_CLIENTS_MAX) {
    throw new PlatformError("API_CLIENT_LIST_FULL");
  }
  const isListed = (BUYER_LISTS as readonly string[]).includes(kind);
  if (isListed && (await totalWith(BUYER_LISTS)) > LISTED_USERS_MAX) {
    throw new PlatformError("BUYER_LIST_FULL");
  }
}

async function lockClock(tx: Transaction): Promise<ClockRow> {
  const clock = await tx.row<ClockRow>(LOCK_CLOCK);
  if (clock === undefined) throw new PlatformError("SERVICE_UNAVAILABLE");
  return clock;
}

async function put(tx: Transaction, { seq, now }: ClockRow, change: RuleChange): Promise<void> {
  const { kind, target, userIds, isOn, value = null, reason, source, changedBy } = change;
  const { expiresInS } = change;
  const expiresAt = expiresInS === undefined ? null : new Date(now.getTime() + expiresInS * 1_000);
  const first = BigInt(seq) + 1n;
  const rows = userIds.map((userId, at) => {
    const number = String(first + BigInt(at));
    const state = [kind, target, userId, isOn ? 1 : 0, value, reason, source, changedBy, now];
    return { put: [...state, expiresAt, number], record: [number, ...state] };
  });
  await tx.run(PUT, [rows.map((row) => row.put)]);
  await tx.run(RECORD, [rows.map((row) => row.record)]);
  await tx.run(SET_CLOCK, [String(first + BigInt(userIds.length) - 1n)]);
}

interface Trip {
  readonly name: SwitchName;
  readonly target: string;
  readonly reason: string;
  readonly forS: number;
}

async function tripInside(tx: Transaction, { name, target, reason, forS }: Trip): Promise<boolean> {
  const clock = await lockClock(tx);
  const row = await tx.row<RuleRow & { age_us: string }>(FIND, [name, target, ""]);
  const state = row && {
    isOn: row.is_on === 1,
    source: row.source,
    ageMs: Number(row.age_us) / 1_000,
  };
  const decision = decideTrip(state);
  if (decision === "leave") return false;
  if (decision === "renew") await tx.run(RENEW, [forS, name, target]);
  else {
    await put(tx, clock, {
      kind: name,
      target,
      userIds: [""],
      isOn: true,
      reason,
      source: "trigger",
      changedBy: null,
      expiresInS: forS,
    });
  }
  return true;
}

async function expireInside(tx: Transaction): Promise<number> {
  const clock = await lockClock(tx);
  const rows = await tx.rows<RuleRow>(EXPIRED, [EXPIRED_MAX]);
  let seq = BigInt(clock.seq);
  for (const { kind, target } of rows) {
    await put(
      tx,
      { seq: String(seq), now: clock.now },
      {
        kind,
        target,
        userIds: [""],
        isOn: false,
        reason: "its time was over",
        source: "expiry",
        changedBy: null,
      },
    );
    seq += 1n;
  }
  return rows.length;
}
