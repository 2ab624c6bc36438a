// What lives at the root: health, the OpenAPI document and its page. No authentication, no limits
// but the listener's; nothing here tells hosts, versions of servers or secrets.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import type { PlatformNode } from "../node.ts";
import { DOCS_PAGE, DOCS_SCRIPT } from "./docs-page.ts";
import { sendJson, sendText } from "./http-errors.ts";

type RootHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** A probe that hangs is a dependency that is away. */
const PROBE_TIMEOUT_MS = 1_000;
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

export interface RootParts {
  readonly node: PlatformNode;
  readonly document: () => object;
  /** Whether the services the gateway calls are there. */
  readonly missingServices: () => readonly string[];
  readonly isDraining: () => boolean;
}

/** Folder of swagger-ui's files, served below /docs/assets. */
export function docsAssetsFolder(): string {
  return dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
}

export function createRootHandlers(parts: RootParts): Readonly<Record<string, RootHandler>> {
  const alive: RootHandler = (_request, response) => {
    sendJson(response, 200, { status: "ok" });
  };
  return {
    "GET /healthz": alive,
    "GET /livez": alive,
    "GET /readyz": async (_request, response) => {
      const report = await readiness(parts);
      sendJson(response, report.status === "ready" ? 200 : 503, report);
    },
    "GET /openapi.json": (_request, response) => {
      sendJson(response, 200, parts.document());
    },
    "GET /docs": (_request, response) => {
      sendPage(response, "text/html; charset=utf-8", DOCS_PAGE);
    },
    "GET /docs/start.js": (_request, response) => {
      sendPage(response, "text/javascript; charset=utf-8", DOCS_SCRIPT);
    },
  };
}

interface Readiness {
  readonly status: "ready" | "draining" | "not_ready";
  readonly checks: Readonly<Record<string, "ok" | "away">>;
}

async function readiness({ node, missingServices, isDraining }: RootParts): Promise<Readiness> {
  const checks: Record<string, "ok" | "away"> = {};
  await Promise.all(
    node.dependencies().map(async ({ name, probe }) => {
      checks[name] = (await answersInTime(probe)) ? "ok" : "away";
    }),
  );
  for (const service of missingServices()) checks[`service:${service}`] = "away";
  // Redis makes things fast and shared; without it the shop still sells.
  const isUsable = Object.entries(checks).every(
    ([name, state]) => state === "ok" || name === "redis",
  );
  const status = isDraining() ? "draining" : isUsable ? "ready" : "not_ready";
  return { status, checks };
}

async function answersInTime(probe: () => Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => {
      resolve(false);
    }, PROBE_TIMEOUT_MS);
  });
  const answered = probe().then(
    () => true,
    () => false,
  );
  const isAnswered = await Promise.race([answered, late]);
  clearTimeout(timer);
  return isAnswered;
}

function sendPage(response: ServerResponse, type: string, text: string): void {
  response.setHeader("Content-Security-Policy", PAGE_POLICY);
  sendText(response, 200, { type, text });
}
