// Expressions, by falling precedence of their operators.
import type { Expression, Select } from "./syntax.ts";
import type { Tokens } from "./tokens.ts";

export type SelectReader = (tokens: Tokens) => Select;

const COMPARISONS = ["<=>", "<>", "!=", "<=", ">=", "=", "<", ">"];
/** Words that end an expression and can never be a column. */
const CONSTANTS: ReadonlyMap<string, number | null> = new Map([
  ["NULL", null],
  ["TRUE", 1],
  ["FALSE", 0],
]);

/** Other names of the present time. */
const CLOCKS: ReadonlyMap<string, string> = new Map([["CURRENT_TIMESTAMP", "NOW"]]);

export class ExpressionReader {
  readonly #tokens: Tokens;
  readonly #readSelect: SelectReader;

  constructor(tokens: Tokens, readSelect: SelectReader) {
    this.#tokens = tokens;
    this.#readSelect = readSelect;
  }

  read(): Expression {
    let left = this.#and();
    while (this.#tokens.accept("OR")) {
      left = { kind: "binary", operator: "OR", left, right: this.#and() };
    }
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.#tokens.accept("AND")) {
      left = { kind: "binary", operator: "AND", left, right: this.#not() };
    }
    return left;
  }

  #not(): Expression {
    if (this.#tokens.accept("NOT")) return { kind: "not", operand: this.#not() };
    return this.#comparison();
  }

  #comparison(): Expression {
    const tokens = this.#tokens;
    let left = this.#sum();
    for (;;) {
      if (tokens.accept("IS")) {
        const isNot = tokens.accept("NOT");
        tokens.expect("NULL");
        left = negatedIf(isNot, { kind: "isNull", operand: left });
        continue;
      }
      const isNot = tokens.sees("NOT", "IN") && tokens.accept("NOT");
      if (tokens.accept("IN")) {
        tokens.expect("(");
        const list = tokens.list(() => this.read());
        tokens.expect(")");
        left = negatedIf(isNot, { kind: "in", operand: left, list });
        continue;
      }
      if (tokens.accept("BETWEEN")) {
        const low = this.#sum();
        tokens.expect("AND");
        left = both(
          { kind: "binary", operator: ">=", left, right: low },
          { kind: "binary", operator: "<=", left, right: this.#sum() },
        );
        continue;
      }
      const operator = COMPARISONS.find((sign) => tokens.accept(sign));
      if (operator === undefined) return left;
      left = { kind: "binary", operator, left, right: this.#sum() };
    }
  }

  #sum(): Expression {
    let left = this.#product();
    for (;;) {
      const operator = this.#tokens.accept("+") ? "+" : this.#tokens.accept("-") ? "-" : undefined;
      if (operator === undefined) return left;
      left = { kind: "binary", operator, left, right: this.#product() };
    }
  }

  #product(): Expression {
    let left = this.#unary();
    while (this.#tokens.accept("*")) {
      left = { kind: "binary", operator: "*", left, right: this.#unary() };
    }
    return left;
  }

  #unary(): Expression {
    if (this.#tokens.accept("-")) return { kind: "negate", operand: this.#unary() };
    const value = this.#primary();
    if (this.#tokens.accept("COLLATE")) this.#tokens.name();
    return value;
  }

  #primary(): Expression {
    const tokens = this.#tokens;
    if (tokens.accept("(")) return this.#parenthesised();
    if (tokens.accept("?")) {
      tokens.params += 1;
      return { kind: "param", index: tokens.params - 1 };
    }
    if (tokens.accept("CASE")) return this.#case();
    if (tokens.accept("INTERVAL")) {
      const amount = this.#sum();
      return { kind: "interval", amount, unit: tokens.name().toUpperCase() };
    }
    if (tokens.accept("EXISTS")) {
      tokens.expect("(");
      const select = this.#readSelect(tokens);
      tokens.expect(")");
      return { kind: "exists", select };
    }
    return this.#atom();
  }

  #parenthesised(): Expression {
    const tokens = this.#tokens;
    if (tokens.sees("SELECT")) {
      const select = this.#readSelect(tokens);
      tokens.expect(")");
      return { kind: "scalar", select };
    }
    const items = tokens.list(() => this.read());
    tokens.expect(")");
    const [only] = items;
    return items.length === 1 && only !== undefined ? only : { kind: "row", items };
  }

  #case(): Expression {
    const tokens = this.#tokens;
    const operand = tokens.sees("WHEN") ? undefined : this.read();
    const whens: (readonly [Expression, Expression])[] = [];
    while (tokens.accept("WHEN")) {
      const condition = this.read();
      tokens.expect("THEN");
      whens.push([condition, this.read()]);
    }
    const otherwise = tokens.accept("ELSE") ? this.read() : undefined;
    tokens.expect("END");
    return { kind: "case", operand, whens, otherwise };
  }

  #atom(): Expression {
    const tokens = this.#tokens;
    const token = tokens.peek();
    if (token.kind === "number") {
      tokens.next();
      return { kind: "literal", value: Number(token.text) };
    }
    if (token.kind === "text") {
      tokens.next();
      return { kind: "literal", value: token.text.slice(1, -1).replaceAll("''", "'") };
    }
    const constant = CONSTANTS.get(token.text.toUpperCase());
    if (token.kind === "word" && constant !== undefined) {
      tokens.next();
      return { kind: "literal", value: constant };
    }
    const name = tokens.name();
    if (tokens.accept("(")) return this.#call(CLOCKS.get(name.toUpperCase()) ?? name.toUpperCase());
    if (!tokens.accept(".")) return named(undefined, name);
    return named(name, tokens.name());
  }

  #call(name: string): Expression {
    const tokens = this.#tokens;
    if (name === "CONVERT") {
      const value = this.read();
      tokens.expect("USING");
      tokens.name();
      tokens.expect(")");
      return { kind: "call", name: "TEXT", args: [value] };
    }
    if (name === "TIMESTAMPDIFF") {
      const unit: Expression = { kind: "literal", value: tokens.name().toUpperCase() };
      tokens.expect(",");
      const args = [unit, ...tokens.list(() => this.read())];
      tokens.expect(")");
      return { kind: "call", name, args };
    }
    if (tokens.accept("*", ")")) return { kind: "call", name: `${name}(*)`, args: [] };
    const args = tokens.sees(")") ? [] : tokens.list(() => this.read());
    tokens.expect(")");
    return { kind: "call", name, args };
  }
}

function named(table: string | undefined, name: string): Expression {
  return { kind: "column", table, name };
}

function negatedIf(isNot: boolean, operand: Expression): Expression {
  return isNot ? { kind: "not", operand } : operand;
}

function both(left: Expression, right: Expression): Expression {
  return { kind: "binary", operator: "AND", left, right };
}
