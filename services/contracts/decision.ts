// The result of a pure business rule: the new state and the events that tell of the change.
// Only a repository stores the two, in one transaction; only the relay publishes the events.
import type { NewEvent } from "./events.ts";

export interface Decision<State> {
  readonly state: State;
  readonly events: readonly NewEvent[];
}

/** The command changes nothing: a repetition of what has already been done. */
export function unchanged<State>(state: State): Decision<State> {
  return { state, events: [] };
}
