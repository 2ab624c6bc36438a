// The parts of the payment service on one node, made from its ports. The service and the worker both
// have them: either can apply callbacks and carry refunds out, whichever comes first.
import { createBackgroundLoop } from "../../mixins/background-loop.ts";
import type { Database } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import type { Clock } from "../kernel/clock.ts";
import { SECOND_MS } from "../kernel/clock.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import { type Applier, createApplier } from "./apply-callbacks.ts";
import type { Channels } from "./channels/channels.ts";
import { type Closer, createCloser } from "./close-orders.ts";
import { createOpener, type Opener } from "./open-payment.ts";
import { createReceiver, type Receiver } from "./receive-callback.ts";
import { runRefunds } from "./refund-runner.ts";

/** How long a callback or a refund that its own node forgot waits for another one, at most. */
const LOOK_INTERVAL_MS = SECOND_MS;

export interface PaymentDeps {
  readonly database: Database;
  /** Where callbacks are stored: the same rows over connections of their own, so that a shop that is too busy to
   * take orders still hears of its money. The other one when not given. */
  readonly callbackDatabase?: Database;
  readonly channels: Channels;
  readonly ids: IdGenerator;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly failpoint: Failpoint;
  /** Told after a commit that wrote events. */
  readonly hintOutbox: () => void;
}

export interface PaymentNode {
  readonly opener: Opener;
  readonly receiver: Receiver;
  readonly applier: Applier;
  readonly closer: Closer;
  /** A refund was promised: look for it now. */
  wakeRefunds(): void;
  start(): void;
  /** Finishes what is under way. */
  stop(): Promise<void>;
}

export function createPaymentNode(deps: PaymentDeps): PaymentNode {
  const { log, random, hintOutbox } = deps;
  const refunds = createBackgroundLoop({
    name: "payment.refunds",
    log,
    random,
    turn: async () => {
      const hasMore = await runRefunds({ ...deps, onBooked: hintOutbox });
      return hasMore ? 0 : LOOK_INTERVAL_MS;
    },
  });
  const onSettled = (told: { readonly events: boolean; readonly refunds: boolean }): void => {
    if (told.events) hintOutbox();
    if (told.refunds) refunds.wake();
  };
  const applier = createApplier({ ...deps, onSettled });
  const sweep = createBackgroundLoop({
    name: "payment.sweep",
    log,
    random,
    turn: async () => {
      await applier.sweep();
      return LOOK_INTERVAL_MS;
    },
  });
  const opener = createOpener(deps);
  const receiver = createReceiver({
    ...deps,
    database: deps.callbackDatabase ?? deps.database,
    applier,
  });
  const closer = createCloser({ ...deps, onSettled });
  return {
    opener,
    receiver,
    applier,
    closer,
    wakeRefunds: () => refunds.wake(),
    start() {
      refunds.start();
      sweep.start();
    },
    async stop() {
      await Promise.all([opener.drain(), receiver.drain(), closer.drain(), sweep.stop()]);
      await Promise.all([applier.drain(), refunds.stop()]);
      deps.channels.close();
    },
  };
}
