// The page at /live/{sale_id}. It reads the sale's event stream like any other client.
import type { IncomingMessage } from "node:http";
import { PlatformError } from "../../contracts/errors.ts";
import { sendError } from "../http-errors.ts";
import { type PageHandler, servePageFile, servePageStyle } from "../page-files.ts";

const PAGE_PATH = /^\/live\/[1-9][0-9]{0,18}$/;

/** Handlers by route, in the form of the root's. */
export function livePageHandlers(): Readonly<Record<string, PageHandler>> {
  const page = servePageFile(import.meta.dirname, "live.html");
  return {
    "GET /live/assets/page.css": servePageStyle(),
    "GET /live/assets/live.css": servePageFile(import.meta.dirname, "live.css"),
    "GET /live/assets/live.js": servePageFile(import.meta.dirname, "live.js"),
    "GET /live/:sale_id": (request, response) => {
      const { originalUrl = "" } = request as IncomingMessage & { originalUrl?: string };
      if (PAGE_PATH.test(originalUrl.split("?", 1)[0] ?? "")) page(request, response);
      else sendError(request, response, new PlatformError("SECKILL_SALE_NOT_FOUND"));
    },
  };
}
