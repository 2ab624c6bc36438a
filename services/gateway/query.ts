// A flat query string: no nesting, no prototype, a bounded number of keys. A key given twice is an
// array, which no schema of ours takes.
import { PlatformError } from "../contracts/errors.ts";
import { QUERY_KEYS_MAX } from "./limits.ts";

export type Query = Record<string, string | string[]>;

export function parseQuery(url: string): { readonly url: string; readonly query: Query } {
  const mark = url.indexOf("?");
  if (mark === -1) return { url, query: {} };
  const entries = new Map<string, string | string[]>();
  let count = 0;
  for (const [name, value] of new URLSearchParams(url.slice(mark + 1))) {
    count += 1;
    if (count > QUERY_KEYS_MAX || (name + value).includes("\0")) {
      throw new PlatformError("REQUEST_MALFORMED");
    }
    const known = entries.get(name);
    if (known === undefined) entries.set(name, value);
    else entries.set(name, Array.isArray(known) ? [...known, value] : [known, value]);
  }
  return { url: url.slice(0, mark), query: Object.fromEntries(entries) };
}
