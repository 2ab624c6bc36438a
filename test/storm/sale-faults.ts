// What is done to the platform in the middle of a sale. Each fault is armed before the sale, strikes while the
// crowd is there, and is healed when everybody has his answer - or heals by itself, which is then waited for.
import { Redis } from "ioredis";
import { SECKILL_FAILPOINTS } from "../../services/seckill/failpoints.ts";
import { signalPid } from "../../scripts/launcher/guard.ts";
import { startDoomedEdge } from "./doomed-edge.ts";
import { pidOf, type Stage, whenBack, whenReady } from "./stage.ts";

export interface ArmedFault {
  /** A gateway that the crowd is to go to as long as it lives; undefined for the platform's own. */
  readonly door: () => string | undefined;
  strike(): Promise<void>;
  /** Rejects when the fault did not happen, or its victim does not come back. */
  heal(): Promise<void>;
}

export interface ArmOptions {
  /** Times that a node passes its crash point unharmed. */
  readonly passes?: number;
}

type Arm = (stage: Stage, options?: ArmOptions) => Promise<ArmedFault>;

const NO_DOOR = (): undefined => undefined;

/** @param mend what is done for the process that was hit, before the shop is waited for. */
const hitWith =
  (
    signal: "SIGKILL" | "SIGSTOP",
    mend: (stage: Stage, name: string, pid: number) => Promise<void>,
  ) =>
  (name: string): Arm =>
  (stage) => {
    let pid = 0;
    return Promise.resolve({
      door: NO_DOOR,
      strike() {
        pid = pidOf(stage, name);
        signalPid(pid, signal);
        return Promise.resolve();
      },
      async heal() {
        await mend(stage, name, pid);
        await whenReady(stage.url);
      },
    });
  };

/** The platform's supervisor starts it again. */
const kill = hitWith("SIGKILL", whenBack);

/** Until it is healed connections stay open and nothing answers. */
const pause = hitWith("SIGSTOP", (_stage, _name, pid) => {
  signalPid(pid, "SIGCONT");
  return Promise.resolve();
});

const emptyRedis: Arm = (stage) =>
  Promise.resolve({
    door: NO_DOOR,
    async strike() {
      const redis = new Redis(stage.settings.REDIS_URL);
      await redis.flushall();
      redis.disconnect();
    },
    heal: () => whenReady(stage.url),
  });

/** A second edge process serves the crowd and kills itself at a crash point; its buyers come to the first one. */
const dieAt =
  (crashAt: string): Arm =>
  async (stage, { passes = 0 } = {}) => {
    const edge = await startDoomedEdge(stage, { crashAt, passes });
    return {
      door: () => (edge.isAlive() ? edge.url : undefined),
      strike: () => Promise.resolve(),
      heal: () => edge.whenDead(),
    };
  };

export const SALE_FAULTS = {
  "redis-kill": kill("redis"),
  "redis-flush": emptyRedis,
  "redis-pause": pause("redis"),
  "mysql-kill": kill("mysql"),
  "mysql-pause": pause("mysql"),
  "nats-kill": kill("nats"),
  "nats-pause": pause("nats"),
  "edge-kill": kill("edge"),
  "core-kill": kill("core"),
  "worker-kill": kill("worker"),
  "edge-dies-after-gate": dieAt(SECKILL_FAILPOINTS.admitAfterGate),
  "edge-dies-after-commit": dieAt(SECKILL_FAILPOINTS.admitAfterCommit),
} as const satisfies Readonly<Record<string, Arm>>;

export type SaleFault = keyof typeof SALE_FAULTS;
