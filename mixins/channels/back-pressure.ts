// Refuses new work while what was taken on before is not carried out: events of a service wait in its
// outbox (the message server is away or full) or in its stream (their consumers are away or slow).
// Above the limit new work is refused; again taken on when half of it is worked off, so that it does
// not flicker. What cannot be counted says nothing: the last count stands.
import type { EventOwner } from "../../services/contracts/events.ts";
import { SECOND_MS } from "../../services/kernel/clock.ts";
import type { Database } from "../database/database.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { readBacklog } from "../outbox/outbox.repository.ts";
import { repeatEvery, type Repeated } from "./repeat.ts";

const COUNT_INTERVAL_MS = SECOND_MS;
/** Share of the limit to which a backlog must fall. */
const RESUME_SHARE = 0.5;

export interface BackPressureParts {
  readonly owner: EventOwner;
  readonly database: Database;
  readonly bus: {
    /** Events of the owner's stream that its slowest consumer has not settled. */
    backlogOf(owner: EventOwner): Promise<number>;
  };
  /** Events that may wait. */
  readonly backlogMax: number;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "set" | "increment" | "onCollect">;
}

export interface BackPressure extends Pick<Repeated, "stop"> {
  /** Whether new work is to be refused; `requests` are counted as refused if so. Begins to count at the
   * first request: who takes nothing on needs no count. */
  refuses(requests: number): boolean;
}

export function createBackPressure(parts: BackPressureParts): BackPressure {
  const { owner, backlogMax, log, metrics } = parts;
  let isHigh = false;

  const count = async (): Promise<void> => {
    const backlog = await countEvents(parts);
    const bound = isHigh ? backlogMax * RESUME_SHARE : backlogMax;
    const isOver = backlog > bound;
    if (isOver !== isHigh) log.warn({ owner, backlog, isOver }, "the backlog crosses its limit");
    isHigh = isOver;
  };

  const counts = repeatEvery(COUNT_INTERVAL_MS, log, count);

  metrics.onCollect(() => {
    metrics.set("app_back_pressure", { owner }, isHigh ? 1 : 0);
  });
  return {
    refuses(requests) {
      counts.start();
      if (isHigh) metrics.increment("app_back_pressure_refused_total", { owner }, requests);
      return isHigh;
    },
    stop: () => counts.stop(),
  };
}

async function countEvents({ owner, database, bus, log }: BackPressureParts): Promise<number> {
  const [outbox, stream] = await Promise.all([
    readBacklog(database),
    bus.backlogOf(owner).catch((error: unknown) => {
      // While the message server is away everything new waits in the outbox.
      log.debug({ err: error, owner }, "the stream's backlog is not known");
      return 0;
    }),
  ]);
  return outbox.rows + stream;
}
