// What lives at the root: health, the OpenAPI document and its page, the operations page. No
// authentication, no limits but the listener's; nothing here tells hosts, versions of servers or secrets.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import ApiGateway from "moleculer-web";
import type { PlatformNode } from "../node.ts";
import { DOCS_PAGE, DOCS_SCRIPT } from "./docs-page.ts";
import { sendJson, sendText } from "./http-errors.ts";
import { opsPageHandlers } from "./ops/ops-page.ts";

const ROOT_PATHS = [
  "/healthz",
  "/livez",
  "/readyz",
  "/openapi.json",
  "/docs",
  "/docs/start.js",
] as const;
type RootPath = (typeof ROOT_PATHS)[number];
type RootRoute = `GET ${RootPath}`;

type RootHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** A probe that hangs is a dependency that is away. */
const PROBE_TIMEOUT_MS = 1_000;
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

export interface RootParts {
  readonly node: PlatformNode;
  /** The OpenAPI document as JSON. */
  readonly document: () => string;
  /** Whether the services the gateway calls are there. */
  readonly missingServices: () => readonly string[];
  readonly isDraining: () => boolean;
}

/** Middleware that serves swagger-ui's files. */
export function serveDocsAssets(): unknown {
  const { serveStatic } = ApiGateway as unknown as {
    serveStatic: (folder: string, options: object) => unknown;
  };
  const folder = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
  return serveStatic(folder, { index: false, redirect: false });
}

/** Methods of a path at the root, for the Allow header; none for an unknown path. */
export function rootMethods(path: string): readonly string[] {
  return ROOT_PATHS.includes(path as RootPath) ? ["GET", "HEAD", "OPTIONS"] : [];
}

export function createRootHandlers(parts: RootParts): Readonly<Record<RootRoute, RootHandler>> {
  const alive: RootHandler = (_request, response) => {
    sendJson(response, 200, { status: "ok" });
  };
  let asking: Promise<Readiness> | undefined;
  /** Everybody who asks while an answer is being found gets that one: probes cost the servers. */
  const sharedReadiness = (): Promise<Readiness> =>
    (asking ??= readiness(parts).finally(() => (asking = undefined)));
  return {
    ...opsPageHandlers(),
    "GET /healthz": alive,
    "GET /livez": alive,
    "GET /readyz": async (_request, response) => {
      const report = await sharedReadiness();
      sendJson(response, report.status === "ready" ? 200 : 503, report);
    },
    "GET /openapi.json": (_request, response) => {
      sendText(response, 200, { type: "application/json; charset=utf-8", text: parts.document() });
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
