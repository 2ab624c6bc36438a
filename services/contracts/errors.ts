// The catalogue of operating errors: slug -> HTTP status, number, whether a retry may help, and
// the message. One class; across nodes only `type`, `code`, `retryable` and `data` survive, so
// callers match with isPlatformError() and never with instanceof. Messages never carry data.
import { Errors } from "moleculer";

interface ErrorRow {
  readonly status: number;
  /** 1-99, unique within its status. The public code is status * 100 + n. */
  readonly n: number;
  /** True when the same request may succeed later without being changed. */
  readonly retryable: boolean;
  readonly message: string;
}

const row = (status: number, n: number, message: string, retryable = false): ErrorRow => ({
  status,
  n,
  retryable,
  message,
});

export const ERROR_CATALOGUE = {
  BODY_NOT_JSON: row(400, 1, "The request body is not valid JSON."),
  IDEMPOTENCY_KEY_REQUIRED: row(400, 2, "This operation needs an Idempotency-Key header."),
  IDEMPOTENCY_KEY_MALFORMED: row(400, 3, "Idempotency-Key is 1-255 visible ASCII characters."),
  REQUEST_MALFORMED: row(400, 4, "The request cannot be read."),

  AUTH_REQUIRED: row(401, 1, "An access token is needed."),
  AUTH_TOKEN_INVALID: row(401, 2, "The access token is not valid."),
  AUTH_BAD_CREDENTIALS: row(401, 3, "E-mail or password is wrong."),
  AUTH_REFRESH_INVALID: row(401, 4, "The refresh token is not valid."),
  AUTH_TOKEN_REUSED: row(401, 5, "The refresh token was used before; all its sessions are ended."),
  AUTH_RESET_INVALID: row(401, 6, "The reset token is not valid."),
  WEBHOOK_SIGNATURE_INVALID: row(401, 7, "The signature of the callback is not valid."),
  SIGNATURE_REQUIRED: row(401, 10, "This operation answers signed requests only."),
  SIGNATURE_INVALID: row(401, 11, "The signature of the request is not valid."),
  SIGNATURE_EXPIRED: row(
    401,
    12,
    "The signature was made too long ago, or by a clock ahead of ours.",
  ),
  SIGNATURE_REPLAYED: row(401, 13, "This signature was used before."),

  FORBIDDEN: row(403, 1, "Your role does not allow this."),
  SECKILL_PASS_REQUIRED: row(403, 2, "This sale needs a valid purchase pass."),
  BUYER_BLOCKED: row(403, 3, "You cannot buy here; ask the shop."),
  SECKILL_NOT_INVITED: row(403, 4, "This sale is for invited buyers."),

  NOT_FOUND: row(404, 1, "There is nothing here."),
  USER_NOT_FOUND: row(404, 2, "There is no such user."),
  ADDRESS_NOT_FOUND: row(404, 3, "There is no such address."),
  PRODUCT_NOT_FOUND: row(404, 4, "There is no such product."),
  CATEGORY_NOT_FOUND: row(404, 5, "There is no such category."),
  SKU_NOT_FOUND: row(404, 6, "There is no such SKU."),
  ORDER_NOT_FOUND: row(404, 7, "There is no such order."),
  PAYMENT_NOT_FOUND: row(404, 8, "There is no such payment."),
  DEAD_LETTER_NOT_FOUND: row(404, 9, "There is no such dead letter."),
  SECKILL_SALE_NOT_FOUND: row(404, 10, "There is no such sale."),

  METHOD_NOT_ALLOWED: row(405, 1, "This method is not supported here."),

  REQUEST_TOO_SLOW: row(408, 1, "The request took too long to arrive.", true),

  USER_EMAIL_TAKEN: row(409, 1, "This e-mail is already registered."),
  IDEMPOTENCY_IN_PROGRESS: row(409, 2, "The first request with this key is still running.", true),
  INVENTORY_OUT_OF_STOCK: row(409, 3, "Not enough stock."),
  INVENTORY_BELOW_RESERVED: row(409, 4, "Stock cannot go below what is reserved or allotted."),
  ORDER_ILLEGAL_TRANSITION: row(409, 5, "The order's status does not allow this."),
  PAYMENT_ILLEGAL_STATE: row(409, 6, "The payment's status does not allow this."),
  PAYMENT_ORDER_CLOSED: row(409, 7, "The order can no longer be paid."),
  REFUND_EXCEEDS_CAPTURED: row(409, 8, "A refund cannot exceed what was captured."),
  CATEGORY_NAME_TAKEN: row(409, 9, "This category exists already."),
  VERSION_CONFLICT: row(409, 10, "Somebody else changed this at the same time.", true),
  PAYMENT_CHANNEL_UNAVAILABLE: row(409, 11, "This payment channel is not configured."),
  DEAD_LETTER_CLOSED: row(409, 12, "This dead letter is closed already."),
  SECKILL_NOT_STARTED: row(409, 13, "The sale has not started.", true),
  SECKILL_ENDED: row(409, 14, "The sale is over."),
  SECKILL_SOLD_OUT: row(409, 15, "The sale is sold out."),
  SECKILL_ALREADY_PURCHASED: row(409, 16, "You have bought this already."),
  SECKILL_ILLEGAL_TRANSITION: row(409, 17, "The sale's status does not allow this."),
  PURCHASE_LIMIT_EXCEEDED: row(409, 30, "More units than one order may have."),
  PAYMENT_CHANNEL_DISABLED: row(409, 31, "This payment channel is closed at the moment.", true),
  BUYER_LIST_FULL: row(409, 32, "The lists of buyers are full."),
  SECKILL_SALES_FULL: row(409, 33, "As many sales run as can run at once; close one first."),
  API_CLIENT_LIST_FULL: row(409, 40, "There are too many API clients."),

  BODY_TOO_LARGE: row(413, 1, "The request body is too large."),
  URL_TOO_LONG: row(414, 1, "The URL is too long."),
  CONTENT_TYPE_UNSUPPORTED: row(415, 1, "Send application/json."),

  VALIDATION_FAILED: row(422, 1, "Some fields are not valid."),
  IDEMPOTENCY_KEY_REUSED: row(422, 2, "This key was used with another body."),
  PAYMENT_AMOUNT_MISMATCH: row(422, 3, "The amount is not the payment's amount."),
  COUPON_UNKNOWN: row(422, 4, "There is no such coupon."),
  SKU_UNAVAILABLE: row(422, 5, "A SKU is unknown or not on sale."),

  RATE_LIMITED: row(429, 1, "Too many requests.", true),
  LOGIN_THROTTLED: row(429, 2, "Too many failed logins; try again later.", true),

  HEADERS_TOO_LARGE: row(431, 1, "The request headers are too large."),

  INTERNAL: row(500, 1, "Something went wrong on our side."),

  OVERLOADED: row(503, 1, "Too busy at the moment; try again shortly.", true),
  SERVICE_UNAVAILABLE: row(503, 2, "A part of the shop is not reachable; try again.", true),
  OUTCOME_UNKNOWN: row(503, 3, "The outcome is not known yet; ask again.", true),
  PAYMENT_PROVIDER_UNAVAILABLE: row(503, 4, "The payment provider does not answer.", true),
  SHUTTING_DOWN: row(503, 5, "This node is stopping; try again.", true),
  SECKILL_AUDIT_UNFINISHED: row(503, 6, "The audit is not finished; ask again.", true),
  SECKILL_NOT_SIGNING: row(503, 7, "This shop has no key to sign certificates with."),
  ORDERS_STOPPED: row(503, 10, "The shop takes no orders at the moment; try again later.", true),
  SECKILL_PAUSED: row(503, 11, "The sale is paused; try again shortly.", true),
  BROWSING_DEGRADED: row(503, 12, "Only some pages are shown at the moment; try again.", true),
} as const satisfies Record<string, ErrorRow>;

export type ErrorSlug = keyof typeof ERROR_CATALOGUE;

/** One fault of a validation: which field, which rule, and the message. Never the value. */
export interface FieldFault {
  readonly field: string;
  readonly rule: string;
  readonly message: string;
}

export class PlatformError extends Errors.MoleculerError {
  readonly slug: ErrorSlug;

  /** @param details public data for the client; must not hold secrets or rejected values. */
  constructor(slug: ErrorSlug, details?: unknown) {
    const { status, retryable, message } = ERROR_CATALOGUE[slug];
    super(message, status, slug, details === undefined ? undefined : { details });
    this.name = "PlatformError";
    this.retryable = retryable;
    this.slug = slug;
  }
}

/** True for an error of the catalogue, made here or on another node. */
export function isPlatformError(error: unknown, ...slugs: readonly ErrorSlug[]): boolean {
  const slug = errorSlug(error);
  return slug !== undefined && (slugs.length === 0 || slugs.includes(slug));
}

/** The catalogue slug of an error, or undefined for anything that is not of the catalogue. */
export function errorSlug(error: unknown): ErrorSlug | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const type = (error as { type?: unknown }).type;
  return typeof type === "string" && type in ERROR_CATALOGUE ? (type as ErrorSlug) : undefined;
}

/** The public details of an error of the catalogue. */
export function errorDetails(error: unknown): unknown {
  return (error as { data?: { details?: unknown } | null }).data?.details;
}

/** The public number of an error: HTTP status x 100 + n. */
export function errorCode(slug: ErrorSlug): number {
  const { status, n } = ERROR_CATALOGUE[slug];
  return status * 100 + n;
}
