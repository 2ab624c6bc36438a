// Who comes to a simulated sale, when, and what each of them is like. Pure and seeded: the same seed is
// the same crowd.

export const PERSONAS = ["human", "double-clicker", "bot", "abandoner", "late payer"] as const;
export type Persona = (typeof PERSONAS)[number];

export interface BuyerPlan {
  readonly index: number;
  readonly persona: Persona;
  /** First request, in milliseconds from the opening of the sale; bots come before it. */
  readonly arrivesMs: number;
  /** Requests that do not wait for each other's answers. */
  readonly clicks: number;
  readonly clickGapMs: number;
  /** From the order to its payment; undefined for who never pays. */
  readonly paysAfterMs: number | undefined;
  /** From the order to its cancellation, for who changes his mind. */
  readonly cancelsAfterMs?: number;
  /** Looks again this long after "sold out"; undefined for who gives up. */
  readonly comesBackAfterMs: number | undefined;
}

export interface CrowdShape {
  readonly buyers: number;
  /** First requests per second. */
  readonly ratePerS: number;
  readonly seed: number;
  /** Time to pay an order, ms. */
  readonly paymentWindowMs: number;
}

/** Shares of the crowd; humans are the rest. */
const SHARES: readonly (readonly [Persona, number])[] = [
  ["double-clicker", 0.15],
  ["bot", 0.03],
  ["abandoner", 0.12],
  ["late payer", 0.05],
];
const COMES_BACK_SHARE = 0.2;
const THINK_MS = { min: 300, max: 2_000 } as const;
const BOT_EARLY_MS = 400;
const BOT_CLICKS = 12;
const BOT_GAP_MS = 40;
const DOUBLE_CLICK_GAP_MS = 15;
/** After the window: the order is being closed, or is closed already. */
const LATE_BY_MS = { min: 100, max: 1_500 } as const;
const COMES_BACK_SPREAD_MS = 4_000;

/** Buyers in the order of their first requests, spread evenly with random gaps. */
export function planCrowd(shape: CrowdShape): readonly BuyerPlan[] {
  const random = seededRandom(shape.seed);
  const spanMs = (shape.buyers / shape.ratePerS) * 1_000;
  const plans = Array.from({ length: shape.buyers }, (_, index) =>
    planBuyer(shape, { index, random, spanMs }),
  );
  return plans.sort((left, right) => left.arrivesMs - right.arrivesMs);
}

/**
 * The same crowd where nobody waits for the window's end: late payers abandon their orders, and who
 * found nothing does not come back.
 */
export function withoutWaiting(plans: readonly BuyerPlan[]): readonly BuyerPlan[] {
  return plans.map((plan) => {
    const paysAfterMs = plan.persona === "late payer" ? undefined : plan.paysAfterMs;
    return { ...plan, paysAfterMs, comesBackAfterMs: undefined };
  });
}

interface Draw {
  readonly index: number;
  readonly random: () => number;
  readonly spanMs: number;
}

function planBuyer({ paymentWindowMs }: CrowdShape, { index, random, spanMs }: Draw): BuyerPlan {
  const persona = personaOf(random());
  const between = ({ min, max }: { min: number; max: number }) => min + random() * (max - min);
  const isBot = persona === "bot";
  const arrivesMs = random() * spanMs - (isBot ? BOT_EARLY_MS : 0);
  const thinkMs = between(THINK_MS);
  const lateMs = paymentWindowMs + between(LATE_BY_MS);
  const isBack = random() < COMES_BACK_SHARE;
  const backMs = paymentWindowMs + random() * COMES_BACK_SPREAD_MS;
  return {
    index,
    persona,
    arrivesMs,
    clicks: isBot ? BOT_CLICKS : persona === "double-clicker" ? 2 : 1,
    clickGapMs: isBot ? BOT_GAP_MS : DOUBLE_CLICK_GAP_MS,
    paysAfterMs: persona === "abandoner" ? undefined : persona === "late payer" ? lateMs : thinkMs,
    comesBackAfterMs: isBack && !isBot ? backMs : undefined,
  };
}

function personaOf(draw: number): Persona {
  let below = 0;
  for (const [persona, share] of SHARES) {
    below += share;
    if (draw < below) return persona;
  }
  return "human";
}

/** Mulberry32 (Tommy Ettinger, public domain): small, and good enough to tell people apart. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
