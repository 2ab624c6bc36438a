// The equations of a flash sale. Pure: the figures were read so that none can have overtaken another: the
// ends of the logs, then the orders' sums, then the sale's row, then the entries it counts.
import type { OrderStatus } from "../../contracts/order.ts";
import { remainingOf, type Sale } from "./sale.ts";

/** What each rule says, as it is shown. */
export const AUDIT_RULES = {
  admittedLive: "admitted = live admissions",
  everCounted: "admissions ever = live + given back",
  admissionsNumbered: "admissions are numbered without a gap",
  giveBacksNumbered: "give-backs are numbered without a gap",
  quantityRunning: "quantity = live + remaining",
  quantityEnded: "quantity = live + returned",
  oneLivePerBuyer: "one live admission per buyer",
  everyAdmissionOrdered: "every admission has its order",
  orderAsPromised: "an order is its admission's: buyer, sale, SKU, one unit, the sale's price",
  givenBackCancelled: "a unit is given back when its order is cancelled",
  noStrayOrder: "no order without an admission",
  priceCharged: "every order costs the sale's price",
  paidPrice: "paid = price × paid orders",
  refundedPaid: "refunded <= paid",
  refundedWhole: "a refunded order got its price back",
  gateStock: "gate stock = quantity − admitted, when nobody is under way",
} as const;
export type AuditRule = keyof typeof AUDIT_RULES;

export interface OrderFigures {
  readonly status: OrderStatus;
  readonly orders: number;
  /** Minor units. */
  readonly totalPrice: number;
  readonly refunded: number;
}

export interface AuditReading {
  readonly sale: Sale;
  /** The highest numbers that were given out, read before the sale's row. */
  readonly lastSeq: number;
  readonly lastEnd: number;
  /** Entries found up to the sale's counters, and the orders found for them. */
  readonly admissions: number;
  readonly giveBacks: number;
  readonly orders: number;
  /** Whether all entries were looked at. */
  readonly isComplete: boolean;
  readonly orderFigures: readonly OrderFigures[];
  /** Units nobody holds by the gate and by the sale at one moment; undefined when the gate does not
   * decide or people are under way. */
  readonly gate: { readonly stock: number; readonly remaining: number } | undefined;
}

export interface BrokenRule {
  readonly rule: AuditRule;
  readonly rows: string[];
}

const PAID_STATUSES: readonly OrderStatus[] = ["paid", "shipped", "completed", "refunded"];

/** Where the logs must end. */
export function logEndsOf({ granted, admitted }: Sale): { admissions: number; giveBacks: number } {
  return { admissions: granted, giveBacks: Math.max(0, granted - admitted) };
}

export function brokenEquations(reading: AuditReading): readonly BrokenRule[] {
  return [...unitFaults(reading), ...orderFaults(reading), ...moneyFaults(reading)];
}

export interface MoneyFigures {
  readonly totalPrice: number;
  readonly paid: number;
  readonly refunded: number;
}

export function moneyOf(figures: readonly OrderFigures[]): MoneyFigures {
  return {
    totalPrice: sum(figures, ({ totalPrice }) => totalPrice),
    paid: sum(figures.filter(isPaid), ({ totalPrice }) => totalPrice),
    refunded: sum(figures, ({ refunded }) => refunded),
  };
}

/** All admissions there were and those given back, as found; beyond the counters when rows are. */
function foundOf(reading: AuditReading): { ever: number; givenBack: number } {
  const ends = logEndsOf(reading.sale);
  return {
    ever: reading.admissions + Math.max(0, reading.lastSeq - ends.admissions),
    givenBack: reading.giveBacks + Math.max(0, reading.lastEnd - ends.giveBacks),
  };
}

function unitFaults(reading: AuditReading): readonly BrokenRule[] {
  const { sale, isComplete } = reading;
  const { quantity, admitted, granted, returned } = sale;
  const gate =
    reading.gate === undefined
      ? []
      : equation("gateStock", reading.gate.stock, [reading.gate.remaining]);
  if (!isComplete) return gate;
  const { ever, givenBack } = foundOf(reading);
  const live = ever - givenBack;
  const isEnded = sale.status === "closing" || sale.status === "closed";
  return [
    ...gate,
    ...equation("admittedLive", admitted, [live]),
    ...equation("everCounted", granted, [live, givenBack]),
    ...(isEnded
      ? equation("quantityEnded", quantity, [live, returned])
      : equation("quantityRunning", quantity, [live, remainingOf(sale)])),
  ];
}

function orderFaults(reading: AuditReading): readonly BrokenRule[] {
  const made = sum(reading.orderFigures, ({ orders }) => orders);
  const isStray = reading.isComplete && made > reading.orders;
  return isStray ? [broken("noStrayOrder", `${made} > ${reading.orders}`)] : [];
}

function moneyFaults({ sale, orderFigures }: AuditReading): readonly BrokenRule[] {
  const { totalPrice, paid, refunded } = moneyOf(orderFigures);
  const made = sum(orderFigures, ({ orders }) => orders);
  const paidOrders = sum(orderFigures.filter(isPaid), ({ orders }) => orders);
  const whole = orderFigures.filter(({ status }) => status === "refunded");
  return [
    ...equation("priceCharged", totalPrice, [made * sale.price]),
    ...equation("paidPrice", paid, [paidOrders * sale.price]),
    ...(refunded > paid ? [broken("refundedPaid", `${refunded} > ${paid}`)] : []),
    ...whole.flatMap(({ orders, refunded: given }) =>
      equation("refundedWhole", given, [orders * sale.price]),
    ),
  ];
}

function isPaid({ status }: OrderFigures): boolean {
  return PAID_STATUSES.includes(status);
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

function equation(rule: AuditRule, left: number, terms: readonly number[]): readonly BrokenRule[] {
  if (left === sum(terms, (term) => term)) return [];
  return [broken(rule, `${left} <> ${terms.join(" + ")}`)];
}

function broken(rule: AuditRule, row: string): BrokenRule {
  return { rule, rows: [row] };
}
