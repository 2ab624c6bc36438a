// The tree of the SQL that this product speaks, as far as its statements, its tables and its
// invariants need it. What is not here is refused by the parser: nothing is silently ignored.

export type Expression =
  | { readonly kind: "literal"; readonly value: Value }
  | { readonly kind: "param"; readonly index: number }
  | { readonly kind: "column"; readonly table: string | undefined; readonly name: string }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] }
  | {
      readonly kind: "binary";
      readonly operator: string;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: "not" | "negate"; readonly operand: Expression }
  | { readonly kind: "in"; readonly operand: Expression; readonly list: readonly Expression[] }
  | { readonly kind: "isNull"; readonly operand: Expression }
  | { readonly kind: "row"; readonly items: readonly Expression[] }
  | { readonly kind: "exists" | "scalar"; readonly select: Select }
  | { readonly kind: "interval"; readonly amount: Expression; readonly unit: string }
  | {
      readonly kind: "case";
      readonly operand: Expression | undefined;
      readonly whens: readonly (readonly [Expression, Expression])[];
      readonly otherwise: Expression | undefined;
    };

/** BIGINT is a safe number here, DATETIME(3) milliseconds since the epoch, truth 1 or 0. */
export type Value = number | string | null;

export interface Source {
  /** Undefined for the connection's own schema. */
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly select: Select | undefined;
  readonly alias: string;
  readonly join: "first" | "inner" | "left";
  readonly on: Expression | undefined;
}

export interface SelectItem {
  readonly expression: Expression;
  readonly alias: string;
}

export interface Ordering {
  readonly expression: Expression;
  readonly isDescending: boolean;
}

export interface Select {
  readonly kind: "select";
  readonly isDistinct: boolean;
  readonly items: readonly SelectItem[];
  readonly sources: readonly Source[];
  readonly where: Expression | undefined;
  readonly groupBy: readonly Expression[];
  readonly having: Expression | undefined;
  readonly orderBy: readonly Ordering[];
  readonly limit: Expression | undefined;
  readonly offset: Expression | undefined;
  readonly locks: "none" | "wait" | "skip";
  /** UNION ALL. */
  readonly unions: readonly Select[];
}

export interface Assignment {
  readonly table: string | undefined;
  readonly column: string;
  readonly value: Expression;
}

export interface Insert {
  readonly kind: "insert";
  readonly table: string;
  readonly columns: readonly string[];
  /** Undefined: one parameter with all rows. A row of one parameter alone is a list of values. */
  readonly rows: readonly (readonly Expression[])[] | undefined;
  readonly rowsParam: number;
  readonly onDuplicate: readonly Assignment[] | undefined;
}

export interface Update {
  readonly kind: "update";
  readonly sources: readonly Source[];
  readonly set: readonly Assignment[];
  readonly where: Expression | undefined;
}

export interface Delete {
  readonly kind: "delete";
  readonly table: string;
  readonly where: Expression | undefined;
  readonly orderBy: readonly Ordering[];
  readonly limit: Expression | undefined;
}

export type Command =
  | Select
  | Insert
  | Update
  | Delete
  | { readonly kind: "commit" }
  | { readonly kind: "rollback" }
  | { readonly kind: "autocommit"; readonly isOn: boolean };

export interface Statement {
  readonly command: Command;
  /** Undefined: the session's own. */
  readonly lockWaitS: number | undefined;
}

/** "uint": an INT UNSIGNED or less. */
export type ColumnKind = "int" | "uint" | "bigint" | "datetime" | "text";

export interface Column {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly isUnsigned: boolean;
  readonly isNullable: boolean;
  readonly isAutoIncrement: boolean;
  readonly touchesOnUpdate: boolean;
  readonly defaultValue: Expression | undefined;
}

export interface UniqueKey {
  readonly name: string;
  readonly columns: readonly string[];
}

export interface TableDefinition {
  readonly name: string;
  readonly columns: readonly Column[];
  /** The first is PRIMARY. */
  readonly uniques: readonly UniqueKey[];
  readonly checks: readonly { readonly name: string; readonly condition: Expression }[];
}
