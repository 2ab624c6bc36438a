// Reads tables as the migrations make and change them: columns with their defaults, unique keys and
// checks. Other keys and the engine's options say nothing about what a statement does.
import { readExpression } from "./parse.ts";
import type { Column, ColumnKind, Expression, TableDefinition, UniqueKey } from "./syntax.ts";
import { Tokens } from "./tokens.ts";

const KINDS: ReadonlyMap<string, ColumnKind> = new Map([
  ["BIGINT", "bigint"],
  ["INT", "int"],
  ["TINYINT", "int"],
  ["DATETIME", "datetime"],
]);

interface Parts {
  readonly columns: Column[];
  readonly uniques: UniqueKey[];
  readonly checks: { name: string; condition: Expression }[];
}

/** The tables that these statements leave behind, in order of their creation. */
export function parseTables(statements: readonly string[]): readonly TableDefinition[] {
  const tables = new Map<string, Parts>();
  for (const sql of statements) {
    const tokens = new Tokens(sql.replace(/^UPDATE[^]*/, ""));
    if (tokens.accept("CREATE", "TABLE")) create(tokens, tables);
    else if (tokens.accept("ALTER", "TABLE")) alter(tokens, tables);
    else if (tokens.accept("CREATE", "UNIQUE", "INDEX")) {
      const name = tokens.name();
      tokens.expect("ON");
      partsOf(tables, tokens.name()).uniques.push({ name, columns: readNames(tokens) });
    }
  }
  return [...tables].map(([name, parts]) => ({ name, ...parts }));
}

function partsOf(tables: ReadonlyMap<string, Parts>, name: string): Parts {
  const parts = tables.get(name);
  if (parts === undefined) throw new Error(`there is no table ${name}`);
  return parts;
}

function create(tokens: Tokens, tables: Map<string, Parts>): void {
  tokens.accept("IF", "NOT", "EXISTS");
  const name = tokens.name();
  tokens.expect("(");
  const parts: Parts = { columns: [], uniques: [], checks: [] };
  tokens.list(() => readPart(tokens, parts));
  tokens.expect(")");
  parts.uniques.sort((left, right) => rank(left) - rank(right));
  tables.set(name, parts);
}

function alter(tokens: Tokens, tables: ReadonlyMap<string, Parts>): void {
  const parts = partsOf(tables, tokens.name());
  tokens.expect("ADD");
  if (tokens.accept("COLUMN")) parts.columns.push(readColumn(tokens));
  else readPart(tokens, parts);
}

function rank({ name }: UniqueKey): number {
  return name === "PRIMARY" ? 0 : 1;
}

function readPart(tokens: Tokens, { columns, uniques, checks }: Parts): void {
  if (tokens.accept("PRIMARY", "KEY")) {
    uniques.push({ name: "PRIMARY", columns: readNames(tokens) });
  } else if (tokens.accept("UNIQUE", "KEY")) {
    uniques.push({ name: tokens.name(), columns: readNames(tokens) });
  } else if (tokens.accept("KEY")) {
    tokens.name();
    readNames(tokens);
  } else if (tokens.accept("CONSTRAINT")) {
    const name = tokens.name();
    tokens.expect("CHECK", "(");
    checks.push({ name, condition: readExpression(tokens) });
    tokens.expect(")");
  } else columns.push(readColumn(tokens));
}

function readNames(tokens: Tokens): readonly string[] {
  tokens.expect("(");
  const names = tokens.list(() => tokens.name());
  tokens.expect(")");
  return names;
}

function readColumn(tokens: Tokens): Column {
  const name = tokens.name();
  const signedKind = KINDS.get(tokens.name().toUpperCase()) ?? "text";
  if (tokens.accept("(")) {
    tokens.next();
    tokens.expect(")");
  }
  const isUnsigned = tokens.accept("UNSIGNED");
  const kind = isUnsigned && signedKind === "int" ? "uint" : signedKind;
  if (tokens.accept("CHARACTER", "SET")) tokens.name();
  if (tokens.accept("COLLATE")) tokens.name();
  const isNullable = !tokens.accept("NOT", "NULL");
  if (isNullable) tokens.accept("NULL");
  const isAutoIncrement = tokens.accept("AUTO_INCREMENT");
  const defaultValue = tokens.accept("DEFAULT") ? readExpression(tokens) : undefined;
  const touchesOnUpdate = tokens.accept("ON", "UPDATE");
  if (touchesOnUpdate) readExpression(tokens);
  return {
    name,
    kind,
    isUnsigned,
    isNullable,
    isAutoIncrement,
    touchesOnUpdate,
    defaultValue,
  };
}
