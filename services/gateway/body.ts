// Reads a JSON body within its limits. The raw bytes are kept: a signature is over bytes.
import type { IncomingMessage } from "node:http";
import { PlatformError } from "../contracts/errors.ts";
import { BODY_BYTES_MAX, BODY_DEPTH_MAX } from "./limits.ts";

export interface JsonBody {
  readonly value: unknown;
  readonly raw: Buffer;
}

const NO_BODY: JsonBody = { value: undefined, raw: Buffer.alloc(0) };
const JSON_TYPE = /^application\/json\s*(;|$)/i;

/** Rejects with BODY_TOO_LARGE, CONTENT_TYPE_UNSUPPORTED, BODY_NOT_JSON or REQUEST_MALFORMED. */
export async function readJsonBody(request: IncomingMessage): Promise<JsonBody> {
  const declared = request.headers["content-length"];
  const isChunked = request.headers["transfer-encoding"] !== undefined;
  if (!isChunked && (declared === undefined || declared === "0")) return NO_BODY;
  if (declared !== undefined && Number(declared) > BODY_BYTES_MAX) {
    throw new PlatformError("BODY_TOO_LARGE");
  }
  if (!JSON_TYPE.test(request.headers["content-type"] ?? "")) {
    throw new PlatformError("CONTENT_TYPE_UNSUPPORTED");
  }
  const raw = await readBytes(request);
  return raw.length === 0 ? NO_BODY : { value: parse(raw), raw };
}

function readBytes(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
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
    request.on("error", () => {
      reject(new PlatformError("REQUEST_MALFORMED"));
    });
    request.on("aborted", () => {
      reject(new PlatformError("REQUEST_MALFORMED"));
    });
  });
}

function parse(raw: Buffer): unknown {
  const text = raw.toString("utf8");
  if (nestingOf(text) > BODY_DEPTH_MAX) throw new PlatformError("REQUEST_MALFORMED");
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
