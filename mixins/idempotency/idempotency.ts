// Idempotency keys as the service that does the work sees them: a claim made by the gateway and
// kept in this service's schema, in the transaction that does the work.

/** What the gateway passes on for a route that takes an Idempotency-Key. */
export interface IdempotencyClaim {
  readonly userId: string;
  /** Method and route pattern, such as `POST /orders`. */
  readonly route: string;
  readonly key: string;
  /** SHA-256 of the canonical request body, hex. */
  readonly fingerprint: string;
}
