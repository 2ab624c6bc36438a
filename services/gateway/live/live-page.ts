// The page at /live/{sale_id}: files of this folder, served as they are, under a policy that lets them load
// nothing but each other. The page reads the sale's event stream like any other client.
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { PlatformError } from "../../contracts/errors.ts";
import { sendError, sendText } from "../http-errors.ts";

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
  "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const PAGE_PATH = /^\/live\/[1-9][0-9]{0,18}$/;

type PageHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Handlers by route, in the form of the root's. */
export function livePageHandlers(): Readonly<Record<string, PageHandler>> {
  const page = serve("live.html", "text/html; charset=utf-8");
  return {
    "GET /live/assets/live.css": serve("live.css", "text/css; charset=utf-8"),
    "GET /live/assets/live.js": serve("live.js", "text/javascript; charset=utf-8"),
    "GET /live/:sale_id": (request, response) => {
      const { originalUrl = "" } = request as IncomingMessage & { originalUrl?: string };
      if (PAGE_PATH.test(originalUrl.split("?", 1)[0] ?? "")) page(request, response);
      else sendError(request, response, new PlatformError("SECKILL_SALE_NOT_FOUND"));
    },
  };
}

function serve(file: string, type: string): PageHandler {
  const text = readFileSync(join(import.meta.dirname, file), "utf8");
  return (_request, response) => {
    response.setHeader("Content-Security-Policy", POLICY);
    sendText(response, 200, { type, text });
  };
}
