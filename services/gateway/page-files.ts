// Files of the gateway's own pages: served as they are, under a policy that lets a page load nothing but
// its own files and ask nobody but this shop.
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { sendText } from "./http-errors.ts";

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
  "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
};

export type PageHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Reads the file once; throws when there is none, or when its kind is not known. */
export function servePageFile(folder: string, file: string): PageHandler {
  const text = readFileSync(join(folder, file), "utf8");
  const type = TYPES[extname(file)];
  if (type === undefined) throw new Error(`${file} is no file of a page`);
  return (_request, response) => {
    response.setHeader("Content-Security-Policy", POLICY);
    sendText(response, 200, { type, text });
  };
}

/** The style that all pages begin with. */
export function servePageStyle(): PageHandler {
  return servePageFile(import.meta.dirname, "page.css");
}
