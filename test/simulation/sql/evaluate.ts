// What an expression is worth for given rows and parameters, with SQL's three-valued truth.
import { SqlFailure } from "./failure.ts";
import type { Expression, Select, Value } from "./syntax.ts";
import { parseExpression } from "./parse.ts";

export type Row = Readonly<Record<string, Value>>;

export interface NamedRow {
  readonly alias: string;
  readonly row: Row;
  /** Its columns that hold nothing below zero. */
  readonly unsigned?: ReadonlySet<string> | undefined;
}

export interface Scope {
  readonly rows: readonly NamedRow[];
  readonly params: readonly unknown[];
  /** When the statement began, in whole milliseconds. */
  readonly now: number;
  /** Rows of one group, for aggregates. */
  readonly group?: readonly (readonly NamedRow[])[] | undefined;
  /** The row that was to be inserted, for VALUES(). */
  readonly values?: Row | undefined;
  readonly outer?: Scope | undefined;
  readonly runSelect: (select: Select, outer: Scope) => readonly Row[];
}

const US_PER_MS = 1_000;
const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ["MICROSECOND", 1 / US_PER_MS],
  ["SECOND", 1_000],
]);

export function isTrue(value: Value): boolean {
  return value !== null && Number(value) !== 0;
}

export function valueOfParam(param: unknown, scope: Scope): Value {
  if (param === null || param === undefined) return null;
  if (typeof param === "number" || typeof param === "string") return param;
  if (typeof param === "bigint" || typeof param === "boolean") return Number(param);
  if (param instanceof Date) return param.getTime();
  const raw = param as { toSqlString?: () => string };
  if (raw.toSqlString !== undefined) return evaluate(parseExpression(raw.toSqlString()), scope);
  throw new Error("a parameter is of no kind that a statement takes here");
}

type Evaluators = {
  readonly [Kind in Expression["kind"]]: (
    expression: Extract<Expression, { kind: Kind }>,
    scope: Scope,
  ) => Value;
};

const noValue = ({ kind }: Expression): never => {
  throw new Error(`a ${kind} has no value here`);
};

const EVALUATORS: Evaluators = {
  literal: ({ value }) => value,
  param: ({ index }, scope) => valueOfParam(scope.params[index], scope),
  column: ({ table, name }, scope) => columnOf(table, name, scope),
  binary,
  not: ({ operand }, scope) => not(evaluate(operand, scope)),
  negate: ({ operand }, scope) => arithmetic("-", 0, evaluate(operand, scope)),
  isNull: ({ operand }, scope) => truth(evaluate(operand, scope) === null),
  in: isIn,
  case: caseOf,
  call: ({ name, args }, scope) => callOf(name, args, scope),
  exists: ({ select }, scope) => truth(scope.runSelect(select, scope).length > 0),
  scalar: ({ select }, scope) => Object.values(scope.runSelect(select, scope)[0] ?? {})[0] ?? null,
  row: noValue,
  interval: noValue,
};

export function evaluate(expression: Expression, scope: Scope): Value {
  const evaluator = EVALUATORS[expression.kind] as (one: Expression, scope: Scope) => Value;
  return evaluator(expression, scope);
}

function truth(is: boolean): number {
  return is ? 1 : 0;
}

function not(value: Value): Value {
  return value === null ? null : truth(!isTrue(value));
}

function columnOf(table: string | undefined, name: string, scope: Scope): Value {
  for (const { alias, row } of scope.rows) {
    if (table !== undefined && table !== alias) continue;
    const value = row[name];
    if (value !== undefined) return value;
  }
  if (scope.outer !== undefined) return columnOf(table, name, scope.outer);
  throw new Error(`there is no column ${table ?? ""}.${name}`);
}

export function compare(left: Value, right: Value): number | null {
  if (left === null || right === null) return null;
  if (typeof left === "string" && typeof right === "string") {
    return left < right ? -1 : truth(left > right);
  }
  return Math.sign(Number(left) - Number(right));
}

const ARITHMETIC: ReadonlySet<string> = new Set(["+", "-", "*"]);

function inRange(result: Value, expression: Binary, scope: Scope): Value {
  if (result === null || Number(result) >= 0 || !isUnsigned(expression, scope)) return result;
  throw new SqlFailure(1690, "ER_DATA_OUT_OF_RANGE", "BIGINT UNSIGNED value is out of range");
}

/** One unsigned operand makes a calculation unsigned, and its result must be. */
function isUnsigned(expression: Expression, scope: Scope): boolean {
  if (expression.kind === "binary") {
    const { operator, left, right } = expression;
    return ARITHMETIC.has(operator) && (isUnsigned(left, scope) || isUnsigned(right, scope));
  }
  if (expression.kind === "call" && expression.name === "VALUES") {
    return expression.args.some((column) => isUnsigned(column, scope));
  }
  if (expression.kind !== "column") return false;
  const { table, name } = expression;
  const source = scope.rows.find(
    ({ alias, row }) => (table ?? alias) === alias && row[name] !== undefined,
  );
  return source?.unsigned?.has(name) ?? false;
}

type Binary = Extract<Expression, { kind: "binary" }>;

function binary(expression: Binary, scope: Scope): Value {
  const { operator, left, right } = expression;
  if (operator === "AND" || operator === "OR") return connected(expression, scope);
  if (right.kind === "interval") return shifted(expression, right, scope);
  const [first, second] = [evaluate(left, scope), evaluate(right, scope)];
  if (ARITHMETIC.has(operator)) {
    return inRange(arithmetic(operator, first, second), expression, scope);
  }
  if (operator === "<=>" && (first === null || second === null)) return truth(first === second);
  const order = compare(first, second);
  return order === null ? null : truth(holds(operator, order));
}

function connected({ operator, left, right }: Binary, scope: Scope): Value {
  const decisive = operator === "AND" ? 0 : 1;
  const first = evaluate(left, scope);
  if (first !== null && truth(isTrue(first)) === decisive) return decisive;
  const second = evaluate(right, scope);
  if (second !== null && truth(isTrue(second)) === decisive) return decisive;
  return first === null || second === null ? null : 1 - decisive;
}

function shifted(
  { operator, left }: Binary,
  interval: Extract<Expression, { kind: "interval" }>,
  scope: Scope,
): Value {
  const unit = UNIT_MS.get(interval.unit);
  if (unit === undefined) throw new Error(`no interval of ${interval.unit}`);
  const amount = evaluate(interval.amount, scope);
  const ms = amount === null ? null : Number(amount) * unit;
  return arithmetic(operator, evaluate(left, scope), ms);
}

function holds(operator: string, order: number): boolean {
  switch (operator) {
    case "=":
    case "<=>":
      return order === 0;
    case "<>":
    case "!=":
      return order !== 0;
    case "<":
      return order < 0;
    case ">":
      return order > 0;
    case "<=":
      return order <= 0;
    default:
      return order >= 0;
  }
}

function arithmetic(operator: string, left: Value, right: Value): Value {
  if (left === null || right === null) return null;
  const [first, second] = [Number(left), Number(right)];
  if (operator === "+") return first + second;
  return operator === "-" ? first - second : first * second;
}

/** A parameter that is a list stands for its items; a list in it for a row of values. */
function isIn({ operand, list }: Extract<Expression, { kind: "in" }>, scope: Scope): Value {
  const sought = operand.kind === "row" ? operand.items : [operand];
  const found = sought.map((one) => evaluate(one, scope));
  const candidates = list.flatMap((item): readonly (readonly Value[])[] => {
    const param = item.kind === "param" ? scope.params[item.index] : undefined;
    if (!Array.isArray(param)) return [[evaluate(item, scope)]];
    return param.map((one: unknown) =>
      (Array.isArray(one) ? one : [one]).map((part: unknown) => valueOfParam(part, scope)),
    );
  });
  let hasUnknown = false;
  for (const candidate of candidates) {
    const orders = found.map((value, index) => compare(value, candidate[index] ?? null));
    if (orders.every((order) => order === 0)) return 1;
    hasUnknown ||= orders.includes(null);
  }
  return hasUnknown ? null : 0;
}

function caseOf(
  { operand, whens, otherwise }: Extract<Expression, { kind: "case" }>,
  scope: Scope,
): Value {
  const subject = operand && evaluate(operand, scope);
  for (const [condition, result] of whens) {
    const value = evaluate(condition, scope);
    const isIt = subject === undefined ? isTrue(value) : compare(subject, value) === 0;
    if (isIt) return evaluate(result, scope);
  }
  return otherwise === undefined ? null : evaluate(otherwise, scope);
}

type Aggregate = (values: readonly Value[]) => Value;

const AGGREGATES: ReadonlyMap<string, Aggregate> = new Map<string, Aggregate>([
  ["SUM", (values) => (values.length === 0 ? null : values.reduce(add, 0))],
  ["COUNT", (values) => values.length],
  ["MIN", (values) => extreme(values, -1)],
  ["MAX", (values) => extreme(values, 1)],
]);

function add(sum: Value, value: Value): Value {
  return Number(sum) + Number(value);
}

function extreme(values: readonly Value[], sign: number): Value {
  return values.reduce<Value>(
    (best, value) => (best === null || compare(value, best) === sign ? value : best),
    null,
  );
}

export function isAggregate(expression: Expression): boolean {
  if (expression.kind === "call") {
    if (expression.name === "COUNT(*)" || AGGREGATES.has(expression.name)) return true;
    return expression.args.some(isAggregate);
  }
  return (
    expression.kind === "binary" && (isAggregate(expression.left) || isAggregate(expression.right))
  );
}

type Scalar = (args: readonly Value[]) => Value;

function unlessNull(work: (args: readonly (number | string)[]) => Value): Scalar {
  return (args) => {
    const known = args.filter((arg) => arg !== null);
    return known.length < args.length ? null : work(known);
  };
}

const numbers = (args: readonly (number | string)[]): number[] => args.map(Number);

const SCALARS: ReadonlyMap<string, Scalar> = new Map<string, Scalar>([
  ["CONCAT", unlessNull((args) => args.join(""))],
  ["COALESCE", (args) => args.find((arg) => arg !== null) ?? null],
  ["TEXT", unlessNull(([only]) => String(only))],
  ["ABS", unlessNull((args) => Math.abs(numbers(args)[0] ?? 0))],
  ["LEAST", unlessNull((args) => Math.min(...numbers(args)))],
  ["GREATEST", unlessNull((args) => Math.max(...numbers(args)))],
  ["POW", unlessNull((args) => (numbers(args)[0] ?? 0) ** (numbers(args)[1] ?? 0))],
  [
    "TIMESTAMPDIFF",
    unlessNull(([, from, to]) => Math.round((Number(to) - Number(from)) * US_PER_MS)),
  ],
]);

type Special = (args: readonly Expression[], scope: Scope) => Value;

/** Functions that are more than their arguments' values. */
const SPECIALS: ReadonlyMap<string, Special> = new Map<string, Special>([
  ["NOW", (_args, { now }) => now],
  [
    "IF",
    ([condition, yes, no], scope) =>
      evaluate((isTrue(evaluate(condition!, scope)) ? yes : no)!, scope),
  ],
  [
    "VALUES",
    ([column], { values }) => (column?.kind === "column" ? (values?.[column.name] ?? null) : null),
  ],
  ["COUNT(*)", (_args, { group }) => group?.length ?? 0],
]);

function callOf(name: string, args: readonly Expression[], scope: Scope): Value {
  const special = SPECIALS.get(name);
  if (special !== undefined) return special(args, scope);
  const aggregate = AGGREGATES.get(name);
  if (aggregate !== undefined) {
    const values = (scope.group ?? []).map((rows) => evaluate(args[0]!, { ...scope, rows }));
    return aggregate(values.filter((value) => value !== null));
  }
  const scalar = SCALARS.get(name);
  if (scalar === undefined) throw new Error(`no function ${name} here`);
  return scalar(args.map((arg) => evaluate(arg, scope)));
}
