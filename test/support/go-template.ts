// Go's templates as far as the Helm chart uses them: if, else, range, define, template, printf, eq, not.
// Whatever else a template says is an error here, and so is a value that is not there: the chart must
// stay within what this can judge. It renders the chart for tests and is no part of the product.
import assert from "node:assert/strict";

type Tree = readonly Part[];
type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly words: Words }
  | { readonly kind: "template"; readonly name: string; readonly words: Words }
  | { readonly kind: "if"; readonly words: Words; readonly body: Tree; readonly otherwise: Tree }
  | { readonly kind: "range"; readonly names: Words; readonly words: Words; readonly body: Tree };
type Words = readonly string[];

interface Scope {
  readonly dot: unknown;
  readonly variables: ReadonlyMap<string, unknown>;
}

const WORD = /"(?:\\.|[^"\\])*"|[$\w.]+|:=|,/g;

export class GoTemplates {
  readonly #defined = new Map<string, Tree>();
  #tokens: string[] = [];

  /** @param data what `.` and `$` are at the top. Throws when the text is not understood. */
  render(text: string, data: unknown): string {
    const tree = this.#parse(text);
    return this.#run(tree, { dot: data, variables: new Map([["$", data]]) });
  }

  #parse(text: string): Tree {
    const trimmed = text.replaceAll(/\s*\{\{- /g, "{{ ").replaceAll(/ -\}\}\s*/g, " }}");
    this.#tokens = trimmed.split(/(\{\{[\s\S]*?\}\})/);
    for (const token of this.#tokens) {
      assert.ok(token.startsWith("{{") || !/\{\{|\}\}/.test(token), `unbalanced: ${token}`);
    }
    const { tree, end } = this.#body();
    assert.equal(end, "", "an end without a beginning");
    return tree;
  }

  /** Up to the `else` or `end` that belongs to it, or the end of the file. */
  #body(): { readonly tree: Tree; readonly end: string } {
    const tree: Part[] = [];
    for (let token = this.#tokens.shift(); token !== undefined; token = this.#tokens.shift()) {
      if (!token.startsWith("{{")) {
        tree.push({ kind: "text", text: token });
        continue;
      }
      const action = token.slice(2, -2).trim();
      if (action === "end" || action === "else") return { tree, end: action };
      if (action.startsWith("/*")) continue;
      const part = this.#action(action);
      if (part !== undefined) tree.push(part);
    }
    return { tree, end: "" };
  }

  #action(action: string): Part | undefined {
    assert.equal(action.replaceAll(WORD, "").trim(), "", `not understood: ${action}`);
    const [verb = "", ...words] = action.match(WORD) ?? [];
    if (verb === "if") return this.#condition(words);
    if (verb === "template") {
      return { kind: "template", name: unquoted(words[0]), words: words.slice(1) };
    }
    if (verb === "range") {
      const at = words.indexOf(":=");
      const names = words.slice(0, Math.max(at, 0)).filter((word) => word !== ",");
      return { kind: "range", names, words: words.slice(at + 1), body: this.#closed() };
    }
    if (verb === "define") {
      this.#defined.set(unquoted(words[0]), this.#closed());
      return undefined;
    }
    return { kind: "print", words: [verb, ...words] };
  }

  #condition(words: Words): Part {
    const { tree: body, end } = this.#body();
    assert.notEqual(end, "", "an if without an end");
    return { kind: "if", words, body, otherwise: end === "else" ? this.#closed() : [] };
  }

  #closed(): Tree {
    const { tree, end } = this.#body();
    assert.equal(end, "end");
    return tree;
  }

  #run(tree: Tree, scope: Scope): string {
    return tree.map((part) => this.#one(part, scope)).join("");
  }

  #one(part: Part, scope: Scope): string {
    switch (part.kind) {
      case "text":
        return part.text;
      case "print":
        return printed(evaluate(part.words, scope));
      case "template": {
        const dot = evaluate(part.words, scope);
        const body = this.#defined.get(part.name);
        assert.ok(body !== undefined, `no template ${part.name}`);
        return this.#run(body, { dot, variables: new Map([["$", dot]]) });
      }
      case "if":
        return this.#run(isTrue(evaluate(part.words, scope)) ? part.body : part.otherwise, scope);
      case "range":
        return this.#range(part, scope);
    }
  }

  #range(part: Extract<Part, { kind: "range" }>, scope: Scope): string {
    const over = evaluate(part.words, scope) as Readonly<Record<string, unknown>>;
    const entries = Object.entries(over).sort(([one], [other]) => (one < other ? -1 : 1));
    return entries
      .map(([key, value]) => {
        const variables = new Map(scope.variables);
        const values = part.names.length === 2 ? [key, value] : [value];
        part.names.forEach((name, at) => variables.set(name, values[at]));
        return this.#run(part.body, { dot: value, variables });
      })
      .join("");
  }
}

function evaluate([first = "", ...rest]: Words, scope: Scope): unknown {
  const args = rest.map((word) => operand(word, scope));
  if (first === "printf") return formatted(String(operand(rest[0] ?? "", scope)), args.slice(1));
  if (first === "eq") return args[0] === args[1];
  if (first === "not") return !isTrue(args[0]);
  assert.deepEqual(rest, [], `not understood: ${first} ${rest.join(" ")}`);
  return operand(first, scope);
}

function operand(word: string, { dot, variables }: Scope): unknown {
  if (/^["\d]/.test(word)) return JSON.parse(word);
  const [start = "", ...path] = word.split(".");
  const from = start === "" ? dot : variables.get(start);
  assert.ok(start === "" || variables.has(start), `not understood: ${word}`);
  return path.filter(Boolean).reduce<unknown>((value, name) => {
    const found = (value as Readonly<Record<string, unknown>> | undefined)?.[name];
    assert.notEqual(found, undefined, `there is no ${word}`);
    return found;
  }, from);
}

function formatted(format: string, values: readonly unknown[]): string {
  const left = [...values];
  return format.replaceAll(/%([qv])/g, (_match, verb: string) => {
    const value = left.shift();
    if (verb === "v") return printed(value);
    assert.equal(typeof value, "string", "%q quotes text only");
    return JSON.stringify(value);
  });
}

function printed(value: unknown): string {
  assert.ok(
    ["string", "number", "boolean"].includes(typeof value),
    "only plain values are printed",
  );
  return String(value);
}

/** As Go has it: an empty list or map is false. */
function isTrue(value: unknown): boolean {
  return typeof value === "object" && value !== null
    ? Object.keys(value).length > 0
    : Boolean(value);
}

function unquoted(word = ""): string {
  return String(JSON.parse(word));
}
