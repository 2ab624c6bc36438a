// Cuts SQL text into tokens and hands them out one by one.

const TOKEN =
  /\s+|(`[^`]*`)|('(?:[^'\\]|\\.|'')*')|([A-Za-z_][A-Za-z0-9_]*)|(\d+(?:\.\d+)?)|(<=>|<>|<=|>=|!=|[=<>+\-*/(),.?])/y;

export interface Token {
  readonly kind: "word" | "name" | "text" | "number" | "sign" | "end";
  readonly text: string;
}

const KINDS = ["name", "text", "word", "number", "sign"] as const;

function tokenize(sql: string): readonly Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < sql.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(sql);
    if (match === null) throw new Error(`no SQL this engine knows: ${sql.slice(at, at + 40)}`);
    const index = match.slice(1).findIndex((part) => (part as string | undefined) !== undefined);
    const kind = KINDS[index];
    if (kind !== undefined) tokens.push({ kind, text: match[0] });
  }
  return tokens;
}

const END: Token = { kind: "end", text: "" };

export class Tokens {
  readonly #sql: string;
  readonly #tokens: readonly Token[];
  #at = 0;
  /** Question marks read so far. */
  params = 0;

  constructor(sql: string) {
    this.#sql = sql;
    this.#tokens = tokenize(sql);
  }

  peek(ahead = 0): Token {
    return this.#tokens[this.#at + ahead] ?? END;
  }

  next(): Token {
    const token = this.peek();
    this.#at += 1;
    return token;
  }

  /** Whether these words or signs come next; they stay. */
  sees(...texts: readonly string[]): boolean {
    return texts.every((text, index) => {
      const token = this.peek(index);
      return (token.kind === "word" || token.kind === "sign") && token.text.toUpperCase() === text;
    });
  }

  /** Takes these words or signs when they come next. */
  accept(...texts: readonly string[]): boolean {
    if (!this.sees(...texts)) return false;
    this.#at += texts.length;
    return true;
  }

  expect(...texts: readonly string[]): void {
    if (!this.accept(...texts)) this.fail(`${texts.join(" ")} was expected`);
  }

  name(): string {
    const token = this.next();
    if (token.kind === "word") return token.text;
    if (token.kind === "name") return token.text.slice(1, -1);
    return this.fail("a name was expected");
  }

  end(): void {
    if (this.peek().kind !== "end") this.fail("the end was expected");
  }

  fail(why: string): never {
    throw new Error(`${why} before "${this.peek().text}" in: ${this.#sql}`);
  }

  /** What one or more readings give, separated by commas. */
  list<T>(read: () => T): T[] {
    const items = [read()];
    while (this.accept(",")) items.push(read());
    return items;
  }
}
