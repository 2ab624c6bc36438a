// Answers "sold out" without asking, for a moment, and only to buyers who surely hold no unit: a
// winner who lost his answer must be told his order, also after the sell-out.
//
// The gate's version grows with every admission and give-back. Holders are read page by page; the list
// is whole when the version is the same before the first and after the last page, and it stays whole as
// long as the version stays. A mark lives MARK_TTL_MS from the moment the gate was asked, and while
// buyers keep coming it is asked again before that.
import bloomFilters from "bloom-filters";
import type { Log } from "../../../mixins/log.ts";
import type { ActionParams, ActionResult } from "../../contracts/actions.ts";
import type { Clock } from "../../kernel/clock.ts";

const MARK_TTL_MS = 200;
const ASK_AGAIN_AFTER_MS = 100;
/** A sale whose holders change all the time is left to the gate. */
const READ_AGAIN_AFTER_MS = 1_000;
const SALES_MAX = 1_000;
/** Up to here holders are known exactly; above, a filter knows who is surely none. */
const EXACT_HOLDERS_MAX = 100_000;
const HOLDERS_MAX = 2_000_000;
const FALSE_MAYBE_RATE = 0.01;

export interface HolderPort {
  holders(params: ActionParams<"seckill.holders">): Promise<ActionResult<"seckill.holders">>;
}

export interface SoldOutParts {
  readonly port: HolderPort;
  readonly clock: Clock;
  readonly log: Log;
}

export interface SoldOutMarks {
  /** Whether there was no unit a moment ago and this buyer surely holds none. */
  isSoldOutFor(saleId: string, userId: string): boolean;
  /** A buyer has just been refused because there was no unit. */
  note(saleId: string): void;
  /** A unit may be there again. */
  clear(saleId: string): void;
}

interface HolderList {
  readonly version: string;
  mayHold(userId: string): boolean;
}

interface Mark {
  holders: HolderList | undefined;
  /** When the gate was last asked and had no unit; by the monotonic clock. */
  askedMs: number;
  readMs: number;
  isAsking: boolean;
}

export function createSoldOutMarks(parts: SoldOutParts): SoldOutMarks {
  const { clock, log } = parts;
  const marks = new Map<string, Mark>();

  function ask(saleId: string, mark: Mark): void {
    if (mark.isAsking) return;
    mark.isAsking = true;
    renew(parts, saleId, mark)
      .catch((error: unknown) => {
        mark.holders = undefined;
        log.debug({ err: error, sale_id: saleId }, "holders are not known");
      })
      .finally(() => {
        mark.isAsking = false;
      });
  }

  return {
    isSoldOutFor(saleId, userId) {
      const mark = marks.get(saleId);
      if (mark?.holders === undefined) return false;
      const ageMs = clock.monotonic() - mark.askedMs;
      if (ageMs > ASK_AGAIN_AFTER_MS) ask(saleId, mark);
      return ageMs < MARK_TTL_MS && !mark.holders.mayHold(userId);
    },
    note(saleId) {
      const mark = marks.get(saleId) ?? newMark();
      if (!marks.has(saleId)) {
        const [oldest] = marks.keys();
        if (marks.size >= SALES_MAX && oldest !== undefined) marks.delete(oldest);
        marks.set(saleId, mark);
      }
      ask(saleId, mark);
    },
    clear: (saleId) => void marks.delete(saleId),
  };
}

function newMark(): Mark {
  const longAgo = Number.NEGATIVE_INFINITY;
  return { holders: undefined, askedMs: longAgo, readMs: longAgo, isAsking: false };
}

/** Asks the gate; leaves the mark without holders when there is a unit, or nobody can tell. */
async function renew({ port, clock }: SoldOutParts, saleId: string, mark: Mark): Promise<void> {
  const askedMs = clock.monotonic();
  const known = mark.holders?.version;
  const first = await port.holders({
    sale_id: saleId,
    ...(known === undefined ? {} : { known_version: known }),
  });
  if (first.version === null || first.stock > 0) {
    mark.holders = undefined;
    return;
  }
  if (first.version === known) {
    mark.askedMs = askedMs;
    return;
  }
  mark.holders = undefined;
  if (askedMs - mark.readMs < READ_AGAIN_AFTER_MS) return;
  mark.readMs = askedMs;
  mark.holders = await readHolders(port, saleId, first);
  // The last page and the check after it were read later; counting from the first is the safe side.
  mark.askedMs = askedMs;
}

/** Undefined when the holders changed meanwhile, or are too many. */
async function readHolders(
  port: HolderPort,
  saleId: string,
  first: ActionResult<"seckill.holders">,
): Promise<HolderList | undefined> {
  const { version } = first;
  if (version === null || first.holders > HOLDERS_MAX) return undefined;
  const list = newList(version, first.holders);
  let page = first;
  while (page.version === version) {
    for (const userId of page.user_ids) list.add(userId);
    if (page.next === null) break;
    page = await port.holders({ sale_id: saleId, cursor: page.next });
  }
  const last = await port.holders({ sale_id: saleId, known_version: version });
  return page.version === version && last.version === version ? list : undefined;
}

function newList(version: string, size: number): HolderList & { add(userId: string): void } {
  if (size <= EXACT_HOLDERS_MAX) {
    const exact = new Set<string>();
    return { version, add: (id) => void exact.add(id), mayHold: (id) => exact.has(id) };
  }
  const filter = bloomFilters.BloomFilter.create(size, FALSE_MAYBE_RATE);
  return { version, add: (id) => filter.add(id), mayHold: (id) => filter.has(id) };
}
