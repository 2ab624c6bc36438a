// What is told of a statement or a command that a server has answered: its name, never its values.
import type { RequestContext } from "../context.ts";

export interface ObservedCommand {
  readonly name: string;
  readonly ms: number;
  readonly isOk: boolean;
  /** The request it was sent for: the answer itself comes back outside of every context. */
  readonly context: RequestContext | undefined;
}
