// Statements and table definitions. A statement is read once and kept.
import { ExpressionReader } from "./parse-expression.ts";
import type {
  Assignment,
  Command,
  Delete,
  Expression,
  Insert,
  Ordering,
  Select,
  SelectItem,
  Source,
  Statement,
  Update,
} from "./syntax.ts";
import { Tokens } from "./tokens.ts";

const statements = new Map<string, Statement>();
const expressions = new Map<string, Expression>();
const LOCK_WAIT = /^\s*\/\*M! SET STATEMENT innodb_lock_wait_timeout = (\d+) FOR \*\//;
/** Words that may follow a table and are no alias. */
const AFTER_TABLE: ReadonlySet<string> = new Set(
  "ON JOIN LEFT INNER WHERE GROUP HAVING ORDER LIMIT FOR SET UNION FORCE".split(" "),
);

export function parseStatement(sql: string): Statement {
  const known = statements.get(sql);
  if (known !== undefined) return known;
  const wait = LOCK_WAIT.exec(sql);
  const tokens = new Tokens(wait === null ? sql : sql.slice(wait[0].length));
  const command = readCommand(tokens);
  tokens.end();
  const statement = { command, lockWaitS: wait === null ? undefined : Number(wait[1]) };
  statements.set(sql, statement);
  return statement;
}

export function parseExpression(sql: string): Expression {
  const known = expressions.get(sql);
  if (known !== undefined) return known;
  const tokens = new Tokens(sql);
  const expression = readExpression(tokens);
  tokens.end();
  expressions.set(sql, expression);
  return expression;
}

export function readExpression(tokens: Tokens): Expression {
  return new ExpressionReader(tokens, readSelect).read();
}

function readCommand(tokens: Tokens): Command {
  if (tokens.sees("SELECT")) return readSelect(tokens);
  if (tokens.accept("INSERT", "INTO")) return readInsert(tokens);
  if (tokens.accept("UPDATE")) return readUpdate(tokens);
  if (tokens.accept("DELETE", "FROM")) return readDelete(tokens);
  if (tokens.accept("COMMIT")) return { kind: "commit" };
  if (tokens.accept("ROLLBACK")) return { kind: "rollback" };
  tokens.expect("SET", "SESSION", "AUTOCOMMIT", "=");
  return { kind: "autocommit", isOn: tokens.next().text === "1" };
}

function readSelect(tokens: Tokens): Select {
  tokens.expect("SELECT");
  const isDistinct = tokens.accept("DISTINCT");
  const items = tokens.list(() => readItem(tokens));
  const sources = tokens.accept("FROM") ? readSources(tokens) : [];
  const where = tokens.accept("WHERE") ? readExpression(tokens) : undefined;
  const groupBy = tokens.accept("GROUP", "BY") ? tokens.list(() => readExpression(tokens)) : [];
  const having = tokens.accept("HAVING") ? readExpression(tokens) : undefined;
  const orderBy = readOrder(tokens);
  const limit = tokens.accept("LIMIT") ? readExpression(tokens) : undefined;
  const offset = tokens.accept("OFFSET") ? readExpression(tokens) : undefined;
  const locks = readLocks(tokens);
  const unions: Select[] = [];
  while (tokens.accept("UNION", "ALL")) unions.push(readSelect(tokens));
  return {
    kind: "select",
    isDistinct,
    items,
    sources,
    where,
    groupBy,
    having,
    orderBy,
    limit,
    offset,
    locks,
    unions,
  };
}

function readLocks(tokens: Tokens): Select["locks"] {
  if (!tokens.accept("FOR", "UPDATE")) return "none";
  return tokens.accept("SKIP", "LOCKED") ? "skip" : "wait";
}

function readItem(tokens: Tokens): SelectItem {
  const expression = readExpression(tokens);
  if (tokens.accept("AS")) return { expression, alias: tokens.name() };
  return { expression, alias: expression.kind === "column" ? expression.name : "?" };
}

function readSources(tokens: Tokens): readonly Source[] {
  const sources = [readSource(tokens, "first")];
  for (;;) {
    const join = tokens.accept("LEFT", "JOIN")
      ? "left"
      : tokens.accept("JOIN")
        ? "inner"
        : undefined;
    if (join === undefined) return sources;
    sources.push(readSource(tokens, join));
  }
}

function readSource(tokens: Tokens, join: Source["join"]): Source {
  let select: Select | undefined;
  let schema: string | undefined;
  let table: string | undefined;
  if (tokens.accept("(")) {
    select = readSelect(tokens);
    tokens.expect(")");
  } else {
    table = tokens.name();
    if (tokens.accept(".")) {
      schema = table;
      table = tokens.name();
    }
  }
  const alias = readAlias(tokens) ?? table ?? tokens.fail("an alias was expected");
  if (tokens.accept("FORCE", "INDEX", "(")) {
    tokens.name();
    tokens.expect(")");
  }
  const on = tokens.accept("ON") ? readExpression(tokens) : undefined;
  return { schema, table, select, alias, join, on };
}

function readAlias(tokens: Tokens): string | undefined {
  if (tokens.accept("AS")) return tokens.name();
  const { kind, text } = tokens.peek();
  return kind === "word" && !AFTER_TABLE.has(text.toUpperCase()) ? tokens.name() : undefined;
}

function readOrder(tokens: Tokens): readonly Ordering[] {
  if (!tokens.accept("ORDER", "BY")) return [];
  return tokens.list(() => {
    const expression = readExpression(tokens);
    const isDescending = tokens.accept("DESC");
    if (!isDescending) tokens.accept("ASC");
    return { expression, isDescending };
  });
}

function readInsert(tokens: Tokens): Insert {
  const table = tokens.name();
  tokens.expect("(");
  const columns = tokens.list(() => tokens.name());
  tokens.expect(")", "VALUES");
  let rows: Insert["rows"];
  let rowsParam = 0;
  if (tokens.accept("?")) {
    rowsParam = tokens.params;
    tokens.params += 1;
  } else {
    rows = tokens.list(() => {
      tokens.expect("(");
      const row = tokens.list(() => readExpression(tokens));
      tokens.expect(")");
      return row;
    });
  }
  const onDuplicate = tokens.accept("ON", "DUPLICATE", "KEY", "UPDATE")
    ? readAssignments(tokens)
    : undefined;
  return { kind: "insert", table, columns, rows, rowsParam, onDuplicate };
}

function readAssignments(tokens: Tokens): readonly Assignment[] {
  return tokens.list(() => {
    let table: string | undefined;
    let column = tokens.name();
    if (tokens.accept(".")) {
      table = column;
      column = tokens.name();
    }
    tokens.expect("=");
    return { table, column, value: readExpression(tokens) };
  });
}

function readUpdate(tokens: Tokens): Update {
  const sources = readSources(tokens);
  tokens.expect("SET");
  const set = readAssignments(tokens);
  const where = tokens.accept("WHERE") ? readExpression(tokens) : undefined;
  return { kind: "update", sources, set, where };
}

function readDelete(tokens: Tokens): Delete {
  const table = tokens.name();
  const where = tokens.accept("WHERE") ? readExpression(tokens) : undefined;
  const orderBy = readOrder(tokens);
  const limit = tokens.accept("LIMIT") ? readExpression(tokens) : undefined;
  return { kind: "delete", table, where, orderBy, limit };
}
