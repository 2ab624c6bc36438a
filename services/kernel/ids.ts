// Ids as a port. The product's generator is mixins/ids/snowflake-ids.ts.

export interface IdGenerator {
  /** A new id: decimal string of at most 63 bits, unique over all nodes, roughly ordered by time. */
  next(): string;
}
