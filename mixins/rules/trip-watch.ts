// Turns a switch on by itself when too many calls of what it protects fail on this node, or when the
// node is busy for too long. A watch stands on the node that does the work and counts failures only, so
// refusals never feed it. What was turned on goes off a while after the last report.
import type { ActionHandler, ActionSchema, Context, Middleware } from "moleculer";
import { errorSlug, type ErrorSlug } from "../../services/contracts/errors.ts";
import type { SwitchName } from "../../services/contracts/operations.ts";
import type { Clock } from "../../services/kernel/clock.ts";

/** Calls are counted in windows of this length. */
const WINDOW_MS = 10_000;
/** Fewer calls than this in a window prove nothing. */
const CALLS_MIN = 50;
const BUSY_CHECK_MS = 1_000;
/** Checks in a row that must find the node busy. */
const BUSY_CHECKS = 10;

/** Per cent of failed calls, or of busy time, that turns a switch on; 0 = never. */
export interface TripThresholds {
  readonly browsingFailedPercent: number;
  readonly browsingBusyPercent: number;
  readonly ordersFailedPercent: number;
  readonly channelFailedPercent: number;
}

export interface Trip {
  readonly name: SwitchName;
  readonly target: string;
  readonly reason: string;
}

export interface TripWatchParts {
  readonly thresholds: TripThresholds;
  readonly clock: Clock;
  /** Whether the switch is on already: then nothing is counted for it. */
  readonly isOn: (name: SwitchName, target: string) => boolean;
  readonly report: (trip: Trip) => void;
  /** Share of the time this process was busy since the last call, 0-1. */
  readonly busyShare: () => number;
}

export interface TripWatch {
  middleware(): Middleware;
  start(): void;
  stop(): void;
}

interface Watched {
  readonly name: SwitchName;
  readonly threshold: keyof TripThresholds;
  readonly targetOf: (params: unknown) => string;
  readonly isFailure: (slug: ErrorSlug | undefined) => boolean;
}

/** Faults of ours; a refusal with a reason is an answer. */
const OUR_FAULTS: readonly ErrorSlug[] = ["INTERNAL", "SERVICE_UNAVAILABLE", "OUTCOME_UNKNOWN"];
const isOurFault = (slug: ErrorSlug | undefined): boolean =>
  slug === undefined || OUR_FAULTS.includes(slug);
const shopWide = (): string => "";

const BROWSING: Watched = {
  name: "degrade_browsing",
  threshold: "browsingFailedPercent",
  targetOf: shopWide,
  isFailure: isOurFault,
};
const WATCHED: Readonly<Record<string, Watched>> = {
  "product.get": BROWSING,
  "product.list": BROWSING,
  "product.hot": BROWSING,
  "order.place": {
    name: "stop_orders",
    threshold: "ordersFailedPercent",
    targetOf: shopWide,
    isFailure: isOurFault,
  },
  "payment.create": {
    name: "disable_channel",
    threshold: "channelFailedPercent",
    targetOf: (params) => (params as { channel: string }).channel,
    isFailure: (slug) => slug === "PAYMENT_PROVIDER_UNAVAILABLE",
  },
};

interface Count {
  startedMs: number;
  calls: number;
  failures: number;
}

export function createTripWatch(parts: TripWatchParts): TripWatch {
  return new Watch(parts);
}

class Watch implements TripWatch {
  readonly #parts: TripWatchParts;
  readonly #counts = new Map<string, Count>();
  #busyChecks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: TripWatchParts) {
    this.#parts = parts;
  }

  middleware(): Middleware {
    const count = this.#count.bind(this);
    const { thresholds } = this.#parts;
    return {
      name: "TripWatch",
      localAction(handler: ActionHandler, action: ActionSchema): ActionHandler {
        const watched = WATCHED[action.name ?? ""];
        if (watched === undefined || thresholds[watched.threshold] === 0) return handler;
        return async function countOutcome(ctx: Context) {
          try {
            const result = (await handler.call(this, ctx)) as unknown;
            count(watched, ctx.params, false);
            return result;
          } catch (error) {
            count(watched, ctx.params, watched.isFailure(errorSlug(error)));
            throw error;
          }
        };
      },
    };
  }

  start(): void {
    if (this.#parts.thresholds.browsingBusyPercent === 0) return;
    this.#parts.busyShare();
    this.#timer = setInterval(() => {
      this.#checkBusy();
    }, BUSY_CHECK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #checkBusy(): void {
    const { thresholds, busyShare, isOn, report } = this.#parts;
    const percent = Math.round(busyShare() * 100);
    this.#busyChecks = percent >= thresholds.browsingBusyPercent ? this.#busyChecks + 1 : 0;
    if (this.#busyChecks < BUSY_CHECKS || isOn("degrade_browsing", "")) return;
    this.#busyChecks = 0;
    report({ name: "degrade_browsing", target: "", reason: `a node was busy ${percent} %` });
  }

  #count({ name, threshold, targetOf }: Watched, params: unknown, isFailure: boolean): void {
    const { thresholds, clock, isOn, report } = this.#parts;
    const target = targetOf(params);
    const key = `${name}:${target}`;
    const nowMs = clock.monotonic();
    let count = this.#counts.get(key);
    if (count === undefined || nowMs - count.startedMs >= WINDOW_MS) {
      count = { startedMs: nowMs, calls: 0, failures: 0 };
      this.#counts.set(key, count);
    }
    count.calls += 1;
    if (!isFailure) return;
    count.failures += 1;
    if (count.calls < CALLS_MIN || isOn(name, target)) return;
    const percent = Math.floor((count.failures * 100) / count.calls);
    if (percent < thresholds[threshold]) return;
    this.#counts.delete(key);
    report({ name, target, reason: `${percent} % of ${count.calls} calls failed` });
  }
}
