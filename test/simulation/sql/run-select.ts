// Reads: joins, groups, orders and locks the rows of a SELECT.
import {
  compare,
  evaluate,
  isAggregate,
  isTrue,
  type NamedRow,
  type Row,
  type Scope,
} from "./evaluate.ts";
import type { ColumnKind, Expression, Ordering, Select, Source, Value } from "./syntax.ts";
import { type LockHolder, type Slot, type Table, visibleIn } from "./tables.ts";

export interface Reader {
  readonly holder: LockHolder;
  readonly params: readonly unknown[];
  readonly now: number;
  table(schema: string | undefined, name: string): Table;
}

type Match = readonly NamedRow[];

export function scopeOf(reader: Reader, rows: readonly NamedRow[], outer?: Scope): Scope {
  const { params, now } = reader;
  return {
    rows,
    params,
    now,
    outer,
    runSelect: (select, from) => runSelect(reader, select, from),
  };
}

export function runSelect(reader: Reader, select: Select, outer?: Scope): readonly Row[] {
  const matches =
    select.locks === "none" ? read(reader, select, outer) : lockMatches(reader, select);
  const groups = groupsOf(reader, select, { matches, outer });
  const rows = groups.map(({ scope }) => project(select, scope));
  const kept = select.isDistinct ? distinct(rows) : rows;
  const limited = limit(reader, select, kept);
  return [...limited, ...select.unions.flatMap((union) => runSelect(reader, union, outer))];
}

function read(
  reader: Reader,
  { sources, where, orderBy }: Select,
  outer?: Scope,
): readonly Match[] {
  let matches: readonly Match[] = [[]];
  for (const source of sources) matches = join(reader, matches, { source, outer });
  const found = matches.filter(
    (rows) => where === undefined || isTrue(evaluate(where, scopeOf(reader, rows, outer))),
  );
  return orderBy.some(({ expression }) => isAggregate(expression))
    ? found
    : sortMatches(reader, found, orderBy);
}

function join(
  reader: Reader,
  matches: readonly Match[],
  { source, outer }: { readonly source: Source; readonly outer: Scope | undefined },
): readonly Match[] {
  const { alias, on, join: kind } = source;
  const rows = rowsOf(reader, source, outer);
  const unsigned = unsignedOf(reader, source);
  return matches.flatMap((match) => {
    const joined = rows
      .map((row): Match => [...match, { alias, row, unsigned }])
      .filter((one) => on === undefined || isTrue(evaluate(on, scopeOf(reader, one, outer))));
    if (joined.length > 0 || kind !== "left") return joined;
    return [[...match, { alias, row: nullsOf(reader, source) }]];
  });
}

function rowsOf(reader: Reader, source: Source, outer?: Scope): readonly Row[] {
  if (source.select !== undefined) return runSelect(reader, source.select, outer);
  return reader.table(source.schema, source.table ?? "").visible(reader.holder);
}

/** Of a derived table nothing is known: what the product selects there are sums, and signed. */
function unsignedOf(reader: Reader, source: Source): ReadonlySet<string> | undefined {
  if (source.select !== undefined) return undefined;
  return reader.table(source.schema, source.table ?? "").unsigned;
}

function nullsOf(reader: Reader, { select, schema, table }: Source): Row {
  if (select === undefined) return reader.table(schema, table ?? "").nulls;
  return Object.fromEntries(select.items.map(({ alias }) => [alias, null]));
}

function sortMatches(
  reader: Reader,
  matches: readonly Match[],
  orderBy: readonly Ordering[],
): readonly Match[] {
  if (orderBy.length === 0) return matches;
  return matches
    .map((match) => ({
      match,
      keys: orderBy.map(({ expression }) => evaluate(expression, scopeOf(reader, match))),
    }))
    .sort((left, right) => compareKeys(left.keys, right.keys, orderBy))
    .map(({ match }) => match);
}

function compareKeys(
  left: readonly Value[],
  right: readonly Value[],
  orderBy: readonly Ordering[],
): number {
  for (const [index, { isDescending }] of orderBy.entries()) {
    const [first, second] = [left[index] ?? null, right[index] ?? null];
    // NULL comes first.
    const order = compare(first, second) ?? Number(second === null) - Number(first === null);
    if (order !== 0) return isDescending ? -order : order;
  }
  return 0;
}

interface Group {
  readonly scope: Scope;
}

function groupsOf(
  reader: Reader,
  { items, groupBy, having }: Select,
  { matches, outer }: { readonly matches: readonly Match[]; readonly outer: Scope | undefined },
): readonly Group[] {
  const isGrouped = groupBy.length > 0 || items.some(({ expression }) => isAggregate(expression));
  if (!isGrouped) return matches.map((rows) => ({ scope: scopeOf(reader, rows, outer) }));
  const groups = new Map<string, Match[]>(groupBy.length === 0 ? [["", []]] : []);
  for (const rows of matches) {
    const key = groupBy
      .map((one) => String(evaluate(one, scopeOf(reader, rows, outer))))
      .join("\u0000");
    groups.set(key, [...(groups.get(key) ?? []), rows]);
  }
  return [...groups.values()]
    .map((group) => ({ scope: { ...scopeOf(reader, group[0] ?? [], outer), group } }))
    .filter(({ scope }) => having === undefined || isTrue(evaluate(having, scope)));
}

function project({ items }: Select, scope: Scope): Row {
  return Object.fromEntries(
    items.map(({ alias, expression }, index) => [
      alias === "?" ? `?${index}` : alias,
      evaluate(expression, scope),
    ]),
  );
}

function distinct(rows: readonly Row[]): readonly Row[] {
  return [...new Map(rows.map((row) => [JSON.stringify(row), row])).values()];
}

function limit(
  reader: Reader,
  { limit: most, offset }: Select,
  rows: readonly Row[],
): readonly Row[] {
  const scope = scopeOf(reader, []);
  const first = offset === undefined ? 0 : Number(evaluate(offset, scope));
  if (most === undefined) return rows.slice(first);
  return rows.slice(first, first + Number(evaluate(most, scope)));
}

export interface LockedMatch {
  readonly rows: Match;
  readonly slots: readonly Slot[];
}

interface Candidate {
  readonly match: Match;
  readonly slots: readonly { readonly table: Table; readonly key: string; readonly slot: Slot }[];
}

/**
 * Locks what the condition finds, in order, and looks again under the lock. A row that another
 * transaction changes counts as found when its condition holds before or after that change.
 */
export function lockFound(
  reader: Reader,
  { sources, where, orderBy, limit: most, locks }: Omit<Select, "items" | "kind">,
): readonly LockedMatch[] {
  const scope = scopeOf(reader, []);
  const max = most === undefined ? Number.POSITIVE_INFINITY : Number(evaluate(most, scope));
  const found: LockedMatch[] = [];
  for (const { slots } of sortCandidates(reader, candidatesOf(reader, sources, where), orderBy)) {
    if (found.length >= max) break;
    const isTaken = slots.some(
      ({ slot }) => slot.lock !== undefined && slot.lock !== reader.holder,
    );
    if (isTaken && locks === "skip") continue;
    for (const { table, key, slot } of slots) reader.holder.take(table, key, slot);
    const rows = slots.flatMap(({ table, slot }, index) => {
      const row = visibleIn(slot, reader.holder);
      return row === undefined
        ? []
        : [{ alias: sources[index]!.alias, row, unsigned: table.unsigned }];
    });
    const isGone = rows.length < slots.length;
    if (isGone || !meets(reader, sources, where, rows)) continue;
    found.push({ rows, slots: slots.map(({ slot }) => slot) });
  }
  return found;
}

function lockMatches(reader: Reader, select: Select): readonly Match[] {
  return lockFound(reader, select).map(({ rows }) => rows);
}

function candidatesOf(
  reader: Reader,
  sources: readonly Source[],
  where: Expression | undefined,
): readonly Candidate[] {
  let candidates: readonly Candidate[] = [{ match: [], slots: [] }];
  for (const { schema, table: name, alias } of sources) {
    const table = reader.table(schema, name ?? "");
    const versions = table
      .slots()
      .flatMap(([key, slot]) =>
        versionsOf(slot, reader.holder).map((row) => ({ row, at: { table, key, slot } })),
      );
    candidates = candidates.flatMap(({ match, slots }) =>
      versions.map(({ row, at }) => ({
        match: [...match, { alias, row, unsigned: at.table.unsigned }],
        slots: [...slots, at],
      })),
    );
  }
  const met = candidates.filter(({ match }) => meets(reader, sources, where, match));
  const bySlots = new Map<string, Candidate>();
  for (const one of met) bySlots.set(one.slots.map(({ key }) => key).join("\u0001"), one);
  return [...bySlots.values()];
}

/** The committed row and what somebody is making of it; one's own only as it is. */
function versionsOf(slot: Slot, holder: LockHolder): readonly Row[] {
  if (slot.pending === undefined || slot.pending.by === holder) {
    return [visibleIn(slot, holder)].filter((row) => row !== undefined);
  }
  return [slot.committed, slot.pending.row].filter((row) => row !== undefined);
}

function meets(
  reader: Reader,
  sources: readonly Source[],
  where: Expression | undefined,
  rows: Match,
): boolean {
  const scope = scopeOf(reader, rows);
  const conditions = [...sources.map(({ on }) => on), where];
  return conditions.every((one) => one === undefined || isTrue(evaluate(one, scope)));
}

function sortCandidates(
  reader: Reader,
  candidates: readonly Candidate[],
  orderBy: readonly Ordering[],
): readonly Candidate[] {
  const order = new Map(candidates.map((candidate) => [candidate.match, candidate]));
  return sortMatches(reader, [...order.keys()], orderBy).map((match) => order.get(match)!);
}

/** Expressions whose values are truth; of parameters and the rest nothing is known but text. */
const TRUTHS: ReadonlySet<Expression["kind"]> = new Set(["not", "isNull", "in", "exists"]);

/** Of what kind a selected value is, for the driver's conversion. */
export function kindOf(reader: Reader, select: Select, expression: Expression): ColumnKind {
  if (expression.kind === "column") return kindOfColumn(reader, select, expression);
  if (expression.kind === "binary") return kindOfBinary(reader, select, expression);
  if (expression.kind === "call") return kindOfCall(reader, select, expression);
  if (expression.kind === "negate") return "bigint";
  if (expression.kind === "scalar") {
    return kindOf(reader, expression.select, expression.select.items[0]!.expression);
  }
  const isNumber = expression.kind === "literal" && typeof expression.value === "number";
  return isNumber || TRUTHS.has(expression.kind) ? "int" : "text";
}

function kindOfColumn(
  reader: Reader,
  { sources }: Select,
  { table, name }: Extract<Expression, { kind: "column" }>,
): ColumnKind {
  for (const source of sources) {
    if (table !== undefined && source.alias !== table) continue;
    const { select } = source;
    if (select === undefined) {
      const column = reader.table(source.schema, source.table ?? "").columns.get(name);
      if (column !== undefined) return column.kind;
      continue;
    }
    const item = select.items.find(({ alias }) => alias === name);
    if (item !== undefined) return kindOf(reader, select, item.expression);
  }
  return "text";
}

function kindOfBinary(
  reader: Reader,
  select: Select,
  { operator, left }: Extract<Expression, { kind: "binary" }>,
): ColumnKind {
  if (!["+", "-", "*"].includes(operator)) return "int";
  return kindOf(reader, select, left) === "datetime" ? "datetime" : "bigint";
}

function kindOfCall(
  reader: Reader,
  select: Select,
  { name, args }: Extract<Expression, { kind: "call" }>,
): ColumnKind {
  if (name === "NOW") return "datetime";
  if (name === "CONCAT" || name === "TEXT") return "text";
  const [first] = args;
  if ((name === "MIN" || name === "MAX") && first !== undefined) {
    return kindOf(reader, select, first);
  }
  const alternatives = ALTERNATIVES.get(name)?.(args);
  if (alternatives === undefined) return "bigint";
  const known = alternatives.filter((one) => one.kind !== "param" && !isNull(one));
  return commonKind(new Set(known.map((one) => kindOf(reader, select, one))));
}

/** Functions whose value is one of these arguments'. */
const ALTERNATIVES: ReadonlyMap<string, (args: readonly Expression[]) => readonly Expression[]> =
  new Map([
    ["COALESCE", (args) => args],
    ["GREATEST", (args) => args],
    ["LEAST", (args) => args],
    ["IF", (args) => args.slice(1)],
  ]);

function isNull(expression: Expression): boolean {
  return expression.kind === "literal" && expression.value === null;
}

/** Signed and unsigned together need more bits. */
function commonKind(kinds: ReadonlySet<ColumnKind>): ColumnKind {
  if (kinds.size === 0 || kinds.has("text")) return "text";
  const [only] = kinds;
  return kinds.size === 1 && only !== undefined ? only : "bigint";
}
