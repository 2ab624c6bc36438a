// Requests that API clients sign. A signature comes on top of the access token: the token says who the
// user is, the signature that the request is whole, fresh and sent by a program that an admin let in.
// Routes of SIGNED_ROUTES answer nobody without one; elsewhere one that is brought must be right.
import type { IncomingMessage } from "node:http";
import type { Log } from "../../mixins/log.ts";
import type { RuleBoard } from "../../mixins/rules/rule-board.ts";
import {
  clientSecret,
  contentDigest,
  isSignedBy,
  readClaim,
  type SignatureClaim,
} from "../../mixins/signing/request-signature.ts";
import { PlatformError } from "../contracts/errors.ts";
import { type Clock, SECOND_MS } from "../kernel/clock.ts";
import type { PlatformNode } from "../node.ts";
import { createNonceStore, type NonceStore } from "./nonce.store.ts";
import type { PublicRoute } from "./route-table.ts";

/** How far a signature's time may be from this node's clock, both ways. */
export const SIGNATURE_WINDOW_S = 300;

export interface SignedRequest {
  readonly request: IncomingMessage & { readonly originalUrl?: string };
  /** As the client sent it. */
  readonly method: string;
  readonly body: Uint8Array;
}

export interface RequestSignatures {
  /** Resolves for a request that may go on. Errors: SIGNATURE_REQUIRED, _INVALID, _EXPIRED, _REPLAYED. */
  check(route: PublicRoute, signed: SignedRequest): Promise<void>;
  /** Whether a route answers signed requests only, by its label. */
  isRequired(label: string): boolean;
}

export interface SignatureParts {
  /** The key that secrets are made from; empty = no API clients. */
  readonly shopKey: string;
  /** Labels of routes. */
  readonly required: ReadonlySet<string>;
  readonly rules: Pick<RuleBoard, "isKnown" | "versionOfClient">;
  readonly nonces: NonceStore;
  readonly clock: Clock;
  readonly log: Pick<Log, "warn">;
}

export function createRequestSignatures(parts: SignatureParts): RequestSignatures {
  const { required } = parts;
  return {
    isRequired: (label) => required.has(label),
    async check({ label, rest }, signed) {
      const { "signature-input": input, signature } = signed.request.headers;
      // A provider's webhook has a signature of its own, which its service checks.
      if (rest.acceptsForm === true) return;
      if (input === undefined && signature === undefined) {
        if (required.has(label)) throw new PlatformError("SIGNATURE_REQUIRED");
        return;
      }
      const claim = readClaim(textOf(input), textOf(signature));
      if (claim === undefined) throw new PlatformError("SIGNATURE_INVALID");
      await checkClaim(parts, claim, signed);
    },
  };
}

/** The nonce last: only who knows the secret can use one up. */
async function checkClaim(
  { shopKey, rules, nonces, clock, log }: SignatureParts,
  claim: SignatureClaim,
  { request, method, body }: SignedRequest,
): Promise<void> {
  const { keyId, nonce } = claim;
  const secret = secretOf({ shopKey, rules }, keyId);
  if (secret === undefined) throw new PlatformError("SIGNATURE_INVALID");
  const refuse = (
    slug: "SIGNATURE_INVALID" | "SIGNATURE_EXPIRED" | "SIGNATURE_REPLAYED",
  ): never => {
    log.warn({ api_client: keyId, error: slug }, "a signed request was refused");
    throw new PlatformError(slug);
  };
  const { headers, originalUrl, url = "" } = request;
  const message = {
    method,
    url: originalUrl ?? url,
    contentDigest: contentDigest(body),
    authorization: headers.authorization,
  };
  const isWhole = headers["content-digest"] === message.contentDigest;
  if (!isWhole || !isSignedBy(claim, message, secret)) refuse("SIGNATURE_INVALID");
  const leftS = claim.createdS + SIGNATURE_WINDOW_S - clock.now() / SECOND_MS;
  if (!isInWindow(leftS)) refuse("SIGNATURE_EXPIRED");
  if (!(await nonces.claim(`${keyId}:${nonce}`, (leftS + 1) * SECOND_MS))) {
    refuse("SIGNATURE_REPLAYED");
  }
}

/** Undefined for a client that is not let in. */
function secretOf(
  { shopKey, rules }: Pick<SignatureParts, "shopKey" | "rules">,
  keyId: string,
): string | undefined {
  if (!rules.isKnown()) throw new PlatformError("SERVICE_UNAVAILABLE");
  const version = shopKey === "" ? undefined : rules.versionOfClient(keyId);
  return version === undefined ? undefined : clientSecret(shopKey, keyId, version);
}

function isInWindow(leftS: number): boolean {
  return leftS >= 0 && leftS <= 2 * SIGNATURE_WINDOW_S;
}

/** @throws Error when SIGNED_ROUTES names what cannot be signed. */
export function wireRequestSignatures(
  node: PlatformNode,
  routes: readonly PublicRoute[],
): RequestSignatures {
  const { settings, rules, clock, log } = node;
  const prefix = `${settings.NAMESPACE}:gateway:nonce`;
  return createRequestSignatures({
    shopKey: settings.API_CLIENT_SECRET,
    required: requiredRoutes(settings, routes),
    rules,
    nonces: createNonceStore({ clock, log, redis: node.redis(), prefix }),
    clock,
    log,
  });
}

/** Streams are read by browsers, webhooks have their provider's signature: neither can be demanded. */
export function requiredRoutes(
  settings: Pick<PlatformNode["settings"], "API_CLIENT_SECRET" | "SIGNED_ROUTES">,
  routes: readonly PublicRoute[],
): ReadonlySet<string> {
  const wanted = settings.SIGNED_ROUTES.split(",").map((label) => label.trim());
  const labels = wanted.filter((label) => label !== "");
  for (const label of labels) {
    const rest = routes.find((route) => route.label === label)?.rest;
    if (rest === undefined || rest.isStream === true || rest.acceptsForm === true) {
      throw new Error(`SIGNED_ROUTES names "${label}", which is no route that can be signed`);
    }
  }
  if (labels.length > 0 && settings.API_CLIENT_SECRET === "") {
    throw new Error("SIGNED_ROUTES needs API_CLIENT_SECRET: no request could be signed");
  }
  return new Set(labels);
}

/** A header that is missing or came twice is of no form. */
function textOf(value: string | readonly string[] | undefined): string {
  return typeof value === "string" ? value : "";
}
