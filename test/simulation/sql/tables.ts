// Rows with the locks and versions of READ COMMITTED: everybody reads the last committed version and
// his own changes, writers wait for each other row by row, a unique key is a row's property.
import { compare, evaluate, isTrue, type Row, type Scope } from "./evaluate.ts";
import { SqlFailure } from "./failure.ts";
import type { Column, TableDefinition, UniqueKey, Value } from "./syntax.ts";

/** A statement must wait until this transaction has ended; it is then run again from its start. */
export class Blocked extends Error {
  readonly by: LockHolder;

  constructor(by: LockHolder) {
    super("a row is locked");
    this.by = by;
  }
}

export interface Slot {
  committed: Row | undefined;
  pending: { readonly by: LockHolder; readonly row: Row | undefined } | undefined;
  lock: LockHolder | undefined;
}

/** A transaction, as the rows see it. */
export class LockHolder {
  readonly slots = new Set<{ readonly table: Table; readonly key: string; readonly slot: Slot }>();
  readonly #locked = new Set<Slot>();
  /** How to undo the statement under way. */
  undo: (() => void)[] = [];

  take(table: Table, key: string, slot: Slot): void {
    if (slot.lock !== undefined && slot.lock !== this) throw new Blocked(slot.lock);
    slot.lock = this;
    if (this.#locked.has(slot)) return;
    this.#locked.add(slot);
    this.slots.add({ table, key, slot });
  }

  write(slot: Slot, row: Row | undefined): void {
    const before = slot.pending;
    this.undo.push(() => {
      slot.pending = before;
    });
    slot.pending = { by: this, row };
  }

  undoStatement(): void {
    for (const step of this.undo.splice(0).reverse()) step();
  }

  end(isCommit: boolean): void {
    for (const { table, key, slot } of this.slots) {
      if (isCommit && slot.pending?.by === this) slot.committed = slot.pending.row;
      slot.pending = undefined;
      slot.lock = undefined;
      if (slot.committed === undefined) table.forget(key, slot);
    }
    this.slots.clear();
    this.#locked.clear();
    this.undo = [];
  }
}

export interface Conflict {
  readonly slot: Slot;
  readonly key: string;
  readonly unique: UniqueKey;
}

export class Table {
  readonly definition: TableDefinition;
  readonly columns: ReadonlyMap<string, Column>;
  readonly nulls: Row;
  /** Names of columns that hold nothing below zero. */
  readonly unsigned: ReadonlySet<string>;
  readonly #slots = new Map<string, Slot>();
  #lastId = 0;

  constructor(definition: TableDefinition) {
    this.definition = definition;
    this.columns = new Map(definition.columns.map((column) => [column.name, column]));
    const unsigned = definition.columns.filter(({ isUnsigned }) => isUnsigned);
    this.unsigned = new Set(unsigned.map(({ name }) => name));
    this.nulls = Object.fromEntries(definition.columns.map(({ name }) => [name, null]));
  }

  slots(): readonly [string, Slot][] {
    return [...this.#slots];
  }

  forget(key: string, slot: Slot): void {
    if (this.#slots.get(key) === slot) this.#slots.delete(key);
  }

  /** What a read of this transaction sees; undefined: somebody who has written nothing. */
  visible(holder: LockHolder | undefined): readonly Row[] {
    const rows: Row[] = [];
    for (const slot of this.#slots.values()) {
      const row = visibleIn(slot, holder);
      if (row !== undefined) rows.push(row);
    }
    return rows;
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** The slot of the row that has one of this row's unique keys; waits for those in doubt. */
  conflict(row: Row, holder: LockHolder, except?: Slot): Conflict | undefined {
    for (const unique of this.definition.uniques) {
      if (unique.columns.some((column) => row[column] === null)) continue;
      const wanted = keyOf(row, unique);
      for (const [key, slot] of this.#slotsWith(unique, wanted)) {
        if (slot === except) continue;
        if (slot.lock !== undefined && slot.lock !== holder) throw new Blocked(slot.lock);
        const seen = visibleIn(slot, holder);
        if (seen !== undefined && keyOf(seen, unique) === wanted) return { slot, key, unique };
      }
    }
    return undefined;
  }

  /** Those with a committed or a pending row of this key. */
  #slotsWith(unique: UniqueKey, key: string): readonly [string, Slot][] {
    const slots = unique.name === "PRIMARY" ? this.#slotOf(key) : this.slots();
    return slots.filter(([, slot]) => hasKey(slot, unique, key));
  }

  #slotOf(key: string): readonly [string, Slot][] {
    const slot = this.#slots.get(key);
    return slot === undefined ? [] : [[key, slot]];
  }

  insert(row: Row, holder: LockHolder): void {
    const key = keyOf(row, this.definition.uniques[0]!);
    const slot = this.#slots.get(key) ?? {
      committed: undefined,
      pending: undefined,
      lock: undefined,
    };
    this.#slots.set(key, slot);
    holder.take(this, key, slot);
    holder.write(slot, row);
  }

  /** The row as the table keeps it. Errors: a missing value, a broken check. */
  stored(row: Row, scope: Scope): Row {
    const kept: Record<string, Value> = {};
    for (const column of this.definition.columns) {
      const value = coerce(row[column.name] ?? null, column);
      if (value === null && !column.isNullable) {
        throw new SqlFailure(1048, "ER_BAD_NULL_ERROR", `Column '${column.name}' cannot be null`);
      }
      kept[column.name] = value;
    }
    const rows = [{ alias: this.definition.name, row: kept, unsigned: this.unsigned }];
    for (const { name, condition } of this.definition.checks) {
      const holds = evaluate(condition, { ...scope, rows, outer: undefined });
      if (holds === null || isTrue(holds)) continue;
      throw new SqlFailure(4025, "ER_CONSTRAINT_FAILED", `CONSTRAINT \`${name}\` failed`);
    }
    return kept;
  }
}

export function visibleIn(slot: Slot, holder: LockHolder | undefined): Row | undefined {
  const { pending } = slot;
  return pending !== undefined && pending.by === holder ? pending.row : slot.committed;
}

function hasKey({ committed, pending }: Slot, unique: UniqueKey, key: string): boolean {
  const has = (row: Row | undefined): boolean => row !== undefined && keyOf(row, unique) === key;
  return has(committed) || has(pending?.row);
}

function keyOf(row: Row, { columns }: UniqueKey): string {
  return columns.map((column) => String(row[column])).join("\u0000");
}

function coerce(value: Value, { kind, name, isUnsigned }: Column): Value {
  if (value === null) return null;
  if (kind === "text") return String(value);
  const number = Math.round(Number(value));
  if (Number.isSafeInteger(number) && !(isUnsigned && number < 0)) return number;
  throw new SqlFailure(1264, "ER_WARN_DATA_OUT_OF_RANGE", `Out of range value for '${name}'`);
}

export function isSame(left: Row, right: Row): boolean {
  return Object.keys(left).every((name) => {
    const [first, second] = [left[name] ?? null, right[name] ?? null];
    return first === second || compare(first, second) === 0;
  });
}
