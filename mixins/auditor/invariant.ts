// The form of an invariant: a query that finds what breaks it.
import type { OwnedSchema } from "../../config/database.ts";

export interface Invariant {
  /** `<service>.<what holds>`; a metric label. */
  readonly name: string;
  /** What it checks, in one sentence. */
  readonly checks: string;
  /**
   * One statement, so that it sees one moment of all schemas. Answers one column, `offender`.
   * `{order}` stands for a schema's name.
   */
  readonly query: string;
  /** What its question marks mean, in order. */
  readonly params?: readonly (keyof InvariantTimes)[];
}

export interface InvariantTimes {
  /** Time that messages, deadlines and retries may take before being late is a violation. Seconds. */
  readonly graceS: number;
  /** Time that a reservation may be held: payment window and ten minutes. Seconds. */
  readonly holdS: number;
}

const PLACEHOLDER = /\{([a-z]+)\}/g;

/** The schemas that a query with placeholders reads. */
export function schemasOf(query: string): readonly OwnedSchema[] {
  return [...new Set([...query.matchAll(PLACEHOLDER)].map(([, name]) => name as OwnedSchema))];
}

/** Puts the schemas' names in. They come from configuration, never from a request. */
export function qualify(query: string, nameOf: (schema: OwnedSchema) => string): string {
  return query.replaceAll(PLACEHOLDER, (_, name: OwnedSchema) => `\`${nameOf(name)}\``);
}
