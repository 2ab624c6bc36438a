// What a rule may say: which switch has a target and of what form, when a threshold may turn one on.
// Pure; the rows are rule.repository.ts.
import type { FieldFault } from "../../contracts/errors.ts";
import type { BuyerList, SwitchName } from "../../contracts/operations.ts";
import { PaymentChannel } from "../../contracts/payment.ts";

const CHANNELS: readonly string[] = PaymentChannel.anyOf.map((one) => one.const);
const SALE_ID = /^[1-9][0-9]{0,18}$/;

/** What a switch may be aimed at; a switch without a row here is of the whole shop. */
const TARGETS: Readonly<Partial<Record<SwitchName, (target: string) => boolean>>> = {
  pause_sale: (target) => SALE_ID.test(target),
  disable_channel: (target) => CHANNELS.includes(target),
};

/** Faults of a switch's target; empty = none. */
export function targetFaults(name: SwitchName, target: string | undefined): FieldFault[] {
  const fits = TARGETS[name];
  if (fits === undefined) {
    const isFree = target === undefined || target === "";
    return isFree ? [] : [fault("target", "this switch is of the whole shop")];
  }
  return target !== undefined && fits(target) ? [] : [fault("target", "is not one this fits")];
}

/** Faults of a change of a list: an invitation is to a sale, a block is from everything. */
export function listFaults(list: BuyerList, saleId: string | undefined): FieldFault[] {
  if (list === "invited") {
    return saleId === undefined ? [fault("sale_id", "an invitation needs a sale")] : [];
  }
  return saleId === undefined ? [] : [fault("sale_id", "a block is from all sales")];
}

function fault(field: string, message: string): FieldFault {
  return { field, rule: "target", message };
}

/** What a threshold finds when it wants a switch to be on. */
export interface TripState {
  readonly isOn: boolean;
  readonly source: "admin" | "trigger" | "expiry";
  /** Since the last change, by the database's clock. */
  readonly ageMs: number;
}

/** An admin's word stands this long against a threshold. */
export const ADMIN_WORD_MS = 10 * 60_000;

/** - `turn_on`; - `renew`: it is on through a threshold, for longer now; - `leave`. */
export type TripDecision = "turn_on" | "renew" | "leave";

export function decideTrip(state: TripState | undefined): TripDecision {
  if (state === undefined) return "turn_on";
  if (state.isOn) return state.source === "trigger" ? "renew" : "leave";
  const isAdminsWord = state.source === "admin" && state.ageMs < ADMIN_WORD_MS;
  return isAdminsWord ? "leave" : "turn_on";
}
