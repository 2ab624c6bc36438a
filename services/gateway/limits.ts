// Every bound of the public listener, in one place.

export const BODY_BYTES_MAX = 32 * 1024;
export const BODY_DEPTH_MAX = 8;
export const URL_LENGTH_MAX = 2_048;
export const HEADER_BYTES_MAX = 16 * 1024;
export const QUERY_KEYS_MAX = 50;
export const HEADERS_TIMEOUT_MS = 5_000;
export const REQUEST_TIMEOUT_MS = 15_000;
export const KEEP_ALIVE_TIMEOUT_MS = 8_000;
/** Without it Node looks for slow senders only every 30 s, whatever the time-outs say. */
export const CONNECTIONS_CHECK_INTERVAL_MS = 1_000;
export const REQUESTS_PER_SOCKET_MAX = 10_000;
export const CONNECTIONS_MAX = 20_000;
/** Connections that may wait to be accepted; the kernel's own limit (net.core.somaxconn) is 4,096 too. */
export const LISTEN_BACKLOG = 4_096;
export const RETRY_AFTER_S = 1;
export const IDEMPOTENCY_TOKEN_LIFETIME_MS = 24 * 3_600_000;
