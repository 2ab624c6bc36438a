// Reads a body within its limits. The raw bytes are kept: a signature is over bytes.
import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { PlatformError } from "../contracts/errors.ts";
import { BODY_BYTES_MAX, BODY_DEPTH_MAX } from "./limits.ts";

export interface JsonBody {
  readonly value: unknown;
  readonly raw: Buffer;
}

const NO_BODY: JsonBody = { value: undefined, raw: Buffer.alloc(0) };
const JSON_TYPE = /^application\/json\s*(;|$)/i;
const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(;|$)/i;
const OTHER_CHARSET = /;\s*charset\s*=\s*(?!"?utf-?8\b)/i;

export interface BodyOptions {
  /** Whether a form is taken too; it is not parsed. */
  readonly acceptsForm?: boolean | undefined;
}

/** Rejects with BODY_TOO_LARGE, CONTENT_TYPE_UNSUPPORTED, BODY_NOT_JSON or REQUEST_MALFORMED. */
export async function readBody(
  request: IncomingMessage,
  { acceptsForm = false }: BodyOptions = {},
): Promise<JsonBody> {
  if (!hasBody(request)) return NO_BODY;
  const form = acceptsForm && isForm(request);
  if (!form && !isPlainJson(request)) throw new PlatformError("CONTENT_TYPE_UNSUPPORTED");
  const raw = await readBytes(request);
  if (raw.length === 0) return NO_BODY;
  return { value: form ? undefined : parse(raw), raw };
}

function hasBody({ headers }: IncomingMessage): boolean {
  if (headers["transfer-encoding"] !== undefined) return true;
  const length = Number(headers["content-length"] ?? 0);
  if (length > BODY_BYTES_MAX) throw new PlatformError("BODY_TOO_LARGE");
  return length > 0;
}

export function isForm({ headers }: IncomingMessage): boolean {
  return FORM_TYPE.test(headers["content-type"] ?? "");
}

/** JSON in UTF-8, and not compressed: nothing here would unpack it. */
function isPlainJson({ headers }: IncomingMessage): boolean {
  const { "content-type": type = "", "content-encoding": encoding = "identity" } = headers;
  return JSON_TYPE.test(type) && !OTHER_CHARSET.test(type) && encoding === "identity";
}

function readBytes(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const refuse = (): void => {
      reject(new PlatformError("REQUEST_MALFORMED"));
    };
    // A client who has hung up already sends no event any more: waiting for one would never end.
    if (request.destroyed) {
      refuse();
      return;
    }
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= BODY_BYTES_MAX) chunks.push(chunk);
      else reject(new PlatformError("BODY_TOO_LARGE"));
    });
    request.on("end", () => {
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    });
    request.on("error", refuse);
    request.on("aborted", refuse);
  });
}

/** An escaped NUL; a backslash before it that is itself escaped does not count. */
const ESCAPED_NUL = /(?<!\\)(?:\\\\)*\\u0000/;

function parse(raw: Buffer): unknown {
  // Decoding would quietly put replacement characters for what is not UTF-8.
  if (!isUtf8(raw)) throw new PlatformError("BODY_NOT_JSON");
  const text = raw.toString("utf8");
  if (nestingOf(text) > BODY_DEPTH_MAX || ESCAPED_NUL.test(text)) {
    throw new PlatformError("REQUEST_MALFORMED");
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new PlatformError("BODY_NOT_JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PlatformError("VALIDATION_FAILED", [
      { field: "", rule: "type", message: "must be object" },
    ]);
  }
  return value;
}

const QUOTE = 34;
const BACKSLASH = 92;
const OPENING = new Set(["{".charCodeAt(0), "[".charCodeAt(0)]);
const CLOSING = new Set(["}".charCodeAt(0), "]".charCodeAt(0)]);

/** Deepest nesting of a JSON text, found without building it. */
export function nestingOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let isInString = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (isInString) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) isInString = false;
    } else if (code === QUOTE) isInString = true;
    else if (OPENING.has(code)) deepest = Math.max(deepest, (depth += 1));
    else if (CLOSING.has(code)) depth -= 1;
  }
  return deepest;
}
