// When and how the launcher stops: on a signal, on the death of the npm that started it, or by force.

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** npm passes the terminal's Ctrl-C on to us although we got it ourselves: the second one is no second wish. */
const REPEATED_SIGNAL_MS = 1_000;
const PARENT_CHECK_INTERVAL_MS = 500;

export interface StopHandlers {
  /** Asked once, at the first reason to stop. */
  stop: (reason: string) => void;
  /** A later signal: the operator does not want to wait. */
  force: () => void;
}

export function listenForStop({ stop, force }: StopHandlers): void {
  let stoppingSince: number | null = null;
  const onReason = (reason: string): void => {
    if (stoppingSince === null) {
      stoppingSince = performance.now();
      stop(reason);
    } else if (performance.now() - stoppingSince > REPEATED_SIGNAL_MS) {
      force();
    }
  };
  for (const signal of SIGNALS) process.on(signal, () => onReason(signal));
  if (process.env["npm_lifecycle_event"] === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onReason("npm ended");
  }, PARENT_CHECK_INTERVAL_MS);
  timer.unref();
}
