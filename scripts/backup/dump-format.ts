// The form of a backup: gzipped text, one SQL statement a line, with a head that says what it is and an
// end that says how much it was. `gunzip` and any client of the server can read it.
//
//   -- shop backup 1 {"namespace":"shop","made_at":"…","server":"…"}
//   -- schema order
//   CREATE TABLE …;
//   INSERT INTO …;
//   -- end 1234

export const FORMAT = 1;
const HEAD = "-- shop backup ";
const SCHEMA = "-- schema ";
const END = "-- end ";

export interface DumpHead {
  readonly namespace: string;
  readonly made_at: string;
  readonly server: string;
}

export type DumpLine =
  | { readonly kind: "head"; readonly format: number; readonly head: DumpHead }
  | { readonly kind: "schema"; readonly schema: string }
  | { readonly kind: "statement"; readonly sql: string }
  | { readonly kind: "end"; readonly statements: number };

export function headLine(head: DumpHead): string {
  return `${HEAD}${FORMAT} ${JSON.stringify(head)}\n`;
}

export function schemaLine(schema: string): string {
  return `${SCHEMA}${schema}\n`;
}

/** A line break in a value is escaped by the client; one in a table's definition is a space. */
export function statementLine(sql: string): string {
  return `${sql.replaceAll(/\r?\n/g, " ")};\n`;
}

export function endLine(statements: number): string {
  return `${END}${statements}\n`;
}

/** Errors: a sentence, for a line that no backup has. */
export function readLine(line: string): DumpLine {
  if (line.startsWith(SCHEMA)) return { kind: "schema", schema: line.slice(SCHEMA.length) };
  if (line.startsWith(END)) return { kind: "end", statements: Number(line.slice(END.length)) };
  if (line.startsWith(HEAD)) return readHead(line.slice(HEAD.length));
  if (/^(CREATE TABLE|INSERT INTO) .*;$/.test(line)) {
    return { kind: "statement", sql: line.slice(0, -1) };
  }
  throw new Error("This file is no backup, or a damaged one.");
}

function readHead(text: string): DumpLine {
  const at = text.indexOf(" ");
  return {
    kind: "head",
    format: Number(text.slice(0, at)),
    head: JSON.parse(text.slice(at + 1)) as DumpHead,
  };
}
