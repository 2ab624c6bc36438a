// Whether steps that overlapped can be put into one order that a sequential model allows and that keeps
// apart what did not overlap. A search over orders that remembers the configurations it has met:
// J. M. Wing, C. Gong: Testing and Verifying Concurrent Objects (1993); G. Lowe: Testing for
// Linearizability (2017). Bounded: a search that met too many configurations is undecided.

export interface Step<State> {
  readonly name: string;
  /** It happens within these times, on the clock of all steps. */
  readonly from: number;
  readonly until: number;
  /** False: it may also never happen. */
  readonly isRequired: boolean;
  /** The state after it, the same object when nothing changes; undefined where it cannot happen. */
  readonly apply: (state: State) => State | undefined;
}

export type Linearization =
  | { readonly kind: "linearizable"; readonly order: readonly string[] }
  /** `stuck`: what could not happen after `order`, the longest one found. */
  | {
      readonly kind: "impossible";
      readonly order: readonly string[];
      readonly stuck: readonly string[];
    }
  | { readonly kind: "undecided" };

const CONFIGURATIONS_MAX = 20_000;

interface Configuration<State> {
  readonly state: State;
  /** Bit n: step n has happened. */
  readonly happened: bigint;
  readonly requiredLeft: number;
  readonly last: number;
  readonly before: Configuration<State> | undefined;
}

/** @param keyOf tells two states apart. */
export function linearize<State>(
  steps: readonly Step<State>[],
  initial: State,
  keyOf: (state: State) => string,
): Linearization {
  const sorted = [...steps].sort((left, right) => left.until - right.until);
  const requiredLeft = sorted.filter(({ isRequired }) => isRequired).length;
  const start = { state: initial, happened: 0n, requiredLeft, last: -1, before: undefined };
  const open: Configuration<State>[] = [start];
  const met = new Set<string>();
  let best: Configuration<State> = start;
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at.requiredLeft < best.requiredLeft) best = at;
    if (at.requiredLeft === 0) return { kind: "linearizable", order: orderOf(sorted, at) };
    const key = `${at.happened.toString(36)} ${keyOf(at.state)}`;
    if (met.has(key)) continue;
    if (met.size >= CONFIGURATIONS_MAX) return { kind: "undecided" };
    met.add(key);
    open.push(...successors(sorted, at));
  }
  const stuck = candidates(sorted, best.happened).filter((index) => sorted[index]!.isRequired);
  const names = stuck.map((index) => sorted[index]!.name);
  return { kind: "impossible", order: orderOf(sorted, best), stuck: names };
}

/** Steps that may be next: none that must happen was over before they began. */
function candidates<State>(steps: readonly Step<State>[], happened: bigint): readonly number[] {
  const left = steps.flatMap((_, index) => ((happened >> BigInt(index)) & 1n ? [] : [index]));
  // Sorted by their ends: the first one that must happen ends first.
  const first = left.find((index) => steps[index]!.isRequired);
  const end = first === undefined ? Number.POSITIVE_INFINITY : steps[first]!.until;
  return left.filter((index) => steps[index]!.from <= end);
}

/** The most promising one last. A step that changes nothing may as well be the next one. */
function successors<State>(
  steps: readonly Step<State>[],
  at: Configuration<State>,
): readonly Configuration<State>[] {
  const required: Configuration<State>[] = [];
  const optional: Configuration<State>[] = [];
  for (const index of candidates(steps, at.happened)) {
    const { apply, isRequired } = steps[index]!;
    const state = apply(at.state);
    if (state === undefined) continue;
    const next = {
      state,
      happened: at.happened | (1n << BigInt(index)),
      requiredLeft: at.requiredLeft - (isRequired ? 1 : 0),
      last: index,
      before: at,
    };
    if (isRequired && state === at.state) return [next];
    if (isRequired) required.push(next);
    else if (state !== at.state) optional.push(next);
  }
  return [...optional.reverse(), ...required.reverse()];
}

function orderOf<State>(
  steps: readonly Step<State>[],
  end: Configuration<State>,
): readonly string[] {
  const order: string[] = [];
  for (let at = end; at.before !== undefined; at = at.before) {
    order.push(steps[at.last]!.name);
  }
  return order.reverse();
}
