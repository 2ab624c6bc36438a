// Writes: INSERT with its duplicates, UPDATE, DELETE. Assignments are made from left to right.
import { evaluate, type Row, type Scope, valueOfParam } from "./evaluate.ts";
import { SqlFailure } from "./failure.ts";
import { lockFound, type Reader, scopeOf } from "./run-select.ts";
import type { Assignment, Delete, Insert, Select, Source, Update, Value } from "./syntax.ts";
import { isSame, type Slot, type Table } from "./tables.ts";

export interface Written {
  readonly affectedRows: number;
  readonly insertId: number;
}

/** What a row counts that was there and became another one. */
const CHANGED_DUPLICATE = 2;

const LOCKING: Omit<Select, "items" | "kind" | "sources" | "where"> = {
  isDistinct: false,
  groupBy: [],
  having: undefined,
  orderBy: [],
  limit: undefined,
  offset: undefined,
  locks: "wait",
  unions: [],
};

export function runInsert(reader: Reader, insert: Insert): Written {
  const table = reader.table(undefined, insert.table);
  const scope = scopeOf(reader, []);
  let affectedRows = 0;
  let insertId = 0;
  for (const values of rowsOf(insert, scope)) {
    const { row, id } = completed(table, { columns: insert.columns, values, scope });
    const clash = table.conflict(row, reader.holder);
    if (clash === undefined) {
      if (insertId === 0) insertId = id;
      table.insert(table.stored(row, scope), reader.holder);
      affectedRows += 1;
    } else if (insert.onDuplicate === undefined) {
      throw new SqlFailure(1062, "ER_DUP_ENTRY", `Duplicate entry for key '${clash.unique.name}'`);
    } else {
      reader.holder.take(table, clash.key, clash.slot);
      const alias = insert.table;
      const set = insert.onDuplicate;
      const isChanged = update(reader, { table, alias, slot: clash.slot, set, values: row });
      affectedRows += isChanged ? CHANGED_DUPLICATE : 1;
    }
  }
  return { affectedRows, insertId };
}

function rowsOf({ rows, rowsParam }: Insert, scope: Scope): readonly (readonly Value[])[] {
  const values = (list: unknown): readonly Value[] =>
    (list as readonly unknown[]).map((one) => valueOfParam(one, scope));
  if (rows === undefined) return (scope.params[rowsParam] as readonly unknown[]).map(values);
  return rows.map((row) => {
    const [only] = row;
    const param = row.length === 1 && only?.kind === "param" ? scope.params[only.index] : undefined;
    return Array.isArray(param) ? values(param) : row.map((one) => evaluate(one, scope));
  });
}

function completed(
  table: Table,
  {
    columns,
    values,
    scope,
  }: {
    readonly columns: readonly string[];
    readonly values: readonly Value[];
    readonly scope: Scope;
  },
): { readonly row: Row; readonly id: number } {
  if (columns.length !== values.length) {
    throw new SqlFailure(1136, "ER_WRONG_VALUE_COUNT_ON_ROW", "Column count does not match");
  }
  const given = new Map(columns.map((column, index) => [column, values[index] ?? null]));
  let id = 0;
  const row: Record<string, Value> = {};
  for (const { name, defaultValue, isAutoIncrement } of table.definition.columns) {
    if (isAutoIncrement && !given.has(name)) {
      id = table.nextId();
      row[name] = id;
    } else if (given.has(name)) row[name] = given.get(name) ?? null;
    else row[name] = defaultValue === undefined ? null : evaluate(defaultValue, scope);
  }
  return { row: keyed(row, table), id };
}

/** Keys are compared as they are stored. */
function keyed(row: Record<string, Value>, { definition }: Table): Row {
  for (const { name, kind } of definition.columns) {
    const value = row[name] ?? null;
    if (value !== null && kind !== "text") row[name] = Math.round(Number(value));
  }
  return row;
}

interface Change {
  readonly table: Table;
  readonly alias: string;
  readonly slot: Slot;
  readonly set: readonly Assignment[];
  /** VALUES() of an insert. */
  readonly values?: Row;
  /** Other rows of the join. */
  readonly beside?: Scope["rows"];
}

/** Whether the row is another one now. */
function update(reader: Reader, change: Change): boolean {
  const { table, alias, slot, set, values, beside = [] } = change;
  const before = (slot.pending?.by === reader.holder ? slot.pending.row : slot.committed)!;
  const row: Record<string, Value> = { ...before };
  const { unsigned } = table;
  const rows = [{ alias, row, unsigned }, ...beside.filter((one) => one.alias !== alias)];
  const scope: Scope = { ...scopeOf(reader, rows), values };
  for (const { column, value } of set) row[column] = evaluate(value, scope);
  const isChanged = !isSame(before, row);
  if (isChanged) {
    const touched = table.definition.columns.filter(({ touchesOnUpdate }) => touchesOnUpdate);
    for (const { name } of touched) row[name] = reader.now;
  }
  const stored = table.stored(row, scope);
  const clash = table.conflict(stored, reader.holder, slot);
  if (clash !== undefined) {
    throw new SqlFailure(1062, "ER_DUP_ENTRY", `Duplicate entry for key '${clash.unique.name}'`);
  }
  reader.holder.write(slot, stored);
  return isChanged;
}

export function runUpdate(reader: Reader, { sources, set, where }: Update): Written {
  const found = lockFound(reader, { ...LOCKING, sources, where });
  const alias = set[0]?.table ?? sources[0]!.alias;
  const at = sources.findIndex((source) => source.alias === alias);
  const table = reader.table(undefined, sources[at]!.table ?? "");
  for (const { rows, slots } of found) {
    update(reader, { table, alias, slot: slots[at]!, set, beside: rows });
  }
  return { affectedRows: found.length, insertId: 0 };
}

export function runDelete(reader: Reader, { table, where, orderBy, limit }: Delete): Written {
  const source: Source = {
    schema: undefined,
    table,
    select: undefined,
    alias: table,
    join: "first",
    on: undefined,
  };
  const found = lockFound(reader, { ...LOCKING, sources: [source], where, orderBy, limit });
  for (const { slots } of found) reader.holder.write(slots[0]!, undefined);
  return { affectedRows: found.length, insertId: 0 };
}
