// The operations page at /ops. The page itself is nothing secret: everything it shows it asks the API for,
// with the token of the admin who signs in on it.
import { type PageHandler, servePageFile, servePageStyle } from "../page-files.ts";

const ASSETS = [
  "ops.css",
  "ops.js",
  "ops-client.js",
  "ops-figures.js",
  "ops-panels.js",
  "ops-troubles.js",
] as const;

/** Handlers by route, in the form of the root's. */
export function opsPageHandlers(): Readonly<Record<string, PageHandler>> {
  const folder = import.meta.dirname;
  const assets = ASSETS.map(
    (file) => [`GET /ops/assets/${file}`, servePageFile(folder, file)] as const,
  );
  return {
    ...Object.fromEntries(assets),
    "GET /ops/assets/page.css": servePageStyle(),
    "GET /ops": servePageFile(folder, "ops.html"),
  };
}
