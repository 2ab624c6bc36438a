// Parts of a program that die between two steps while their process lives on: from then on nothing they call ever
// answers, and what was sent before has happened.
import type { Failpoint } from "../../services/kernel/failpoint.ts";

export type Fate = "dies" | "fails";

/** A failpoint that is armed for one spot, and the death it may bring. */
export class MortalSpot {
  readonly #death = Promise.withResolvers<undefined>();
  #armed: { readonly spot: string; readonly fate: Fate } | undefined;
  #isDead = false;

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Resolves at the death. */
  get died(): Promise<undefined> {
    return this.#death.promise;
  }

  arm(spot: string, fate: Fate): void {
    this.#armed = { spot, fate };
  }

  disarm(): void {
    this.#armed = undefined;
  }

  readonly failpoint: Failpoint = async (spot) => {
    if (this.#armed?.spot !== spot) return;
    const { fate } = this.#armed;
    this.#armed = undefined;
    if (fate === "fails") throw new Error(`failed at ${spot}`);
    this.#isDead = true;
    this.#death.resolve(undefined);
    await never();
  };
}

/** The same object, none of whose methods answers once its owner is dead. */
export function mortal<T extends object>(target: T, owner: Pick<MortalSpot, "isDead">): T {
  return new Proxy(target, {
    get(object, name) {
      const value: unknown = Reflect.get(object, name, object);
      if (typeof value !== "function") return value;
      return (...args: readonly unknown[]): unknown => {
        if (owner.isDead) return never();
        const answer: unknown = Reflect.apply(value, object, args);
        if (!(answer instanceof Promise)) return answer;
        return answer.finally(() => (owner.isDead ? never() : undefined));
      };
    },
  });
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
