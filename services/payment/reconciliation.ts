// Compares one UTC day with a provider's own list, in pages, and books what differs. A capture near
// midnight may stand on another day there than here, so each side's list is compared with the other
// side's payments by id and not with its list.
import type { Database } from "../../mixins/database/database.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { PaymentChannel } from "../contracts/payment.ts";
import { DAY_MS } from "../kernel/clock.ts";
import type { CapturedCharge, Channel } from "./channels/channel.ts";
import type { Channels } from "./channels/channels.ts";
import { compareOurs, compareTheirs, type Difference } from "./domain/reconciliation.ts";
import {
  bookDifferences,
  capturedAmounts,
  capturedBetween,
  type OurCapture,
} from "./reconciliation.repository.ts";

const PAGE_SIZE = 200;
/** A day with more captures than this needs a tool of its own. */
const PAGES_MAX = 5_000;
const FIRST = "0";

export interface ReconcileResult {
  readonly day: string;
  /** Payments looked at, each once, whichever side knows it. */
  readonly compared: number;
  readonly differences: number;
}

export interface ReconcileDeps {
  readonly database: Database;
  readonly channels: Channels;
}

interface Tally {
  readonly seen: Set<string>;
  differences: number;
}

interface Comparison extends ReconcileDeps {
  readonly day: string;
  readonly channel: Channel;
}

/** Errors: PAYMENT_CHANNEL_UNAVAILABLE (also for a channel without a list),
 * PAYMENT_PROVIDER_UNAVAILABLE. Repeating it books nothing twice. */
export async function reconcile(
  deps: ReconcileDeps,
  day: string,
  name: PaymentChannel,
): Promise<ReconcileResult> {
  const comparison = { ...deps, day, channel: deps.channels.require(name) };
  const tally: Tally = { seen: new Set(), differences: 0 };
  await compareTheirList(comparison, tally);
  await compareOurList(comparison, tally);
  return { day, compared: tally.seen.size, differences: tally.differences };
}

async function compareTheirList(comparison: Comparison, tally: Tally): Promise<void> {
  const { database, day, channel } = comparison;
  const list = channel.listCaptured?.bind(channel);
  if (list === undefined) throw new PlatformError("PAYMENT_CHANNEL_UNAVAILABLE");
  await eachPage(
    (after) => list(day, after, PAGE_SIZE),
    async (page: readonly CapturedCharge[]) => {
      const ids = page.map(({ paymentId }) => paymentId);
      const ours = await capturedAmounts(database, channel.name, ids);
      const found = page.map((theirs) => compareTheirs(theirs, ours.get(theirs.paymentId)));
      await book(comparison, tally, ids, found);
    },
  );
}

async function compareOurList(comparison: Comparison, tally: Tally): Promise<void> {
  const { database, day, channel } = comparison;
  const from = new Date(`${day}T00:00:00.000Z`);
  const range = { channel: channel.name, from, to: new Date(from.getTime() + DAY_MS) };
  await eachPage(
    (after) => capturedBetween(database, range, after, PAGE_SIZE),
    async (page: readonly OurCapture[]) => {
      const unseen = page.filter(({ paymentId }) => !tally.seen.has(paymentId));
      if (unseen.length === 0) return;
      const ids = unseen.map(({ paymentId }) => paymentId);
      const states = new Map(
        (await channel.query(ids)).map((state) => [state.paymentId, state] as const),
      );
      const found = unseen.map((ours) => {
        const state = states.get(ours.paymentId);
        return compareOurs(ours, {
          isCaptured: state?.status === "captured",
          amount: state?.amount ?? 0,
          providerRef: state?.providerRef ?? "",
        });
      });
      await book(comparison, tally, ids, found);
    },
  );
}

async function eachPage<Row extends { readonly paymentId: string }>(
  read: (after: string) => Promise<readonly Row[]>,
  work: (page: readonly Row[]) => Promise<void>,
): Promise<void> {
  let after = FIRST;
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const page = await read(after);
    if (page.length > 0) await work(page);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE_SIZE) return;
    after = last.paymentId;
  }
}

async function book(
  { database, day, channel }: Comparison,
  tally: Tally,
  ids: readonly string[],
  found: readonly (Difference | null)[],
): Promise<void> {
  const differences = found.filter((one) => one !== null);
  await bookDifferences(database, day, channel.name, differences);
  for (const id of ids) tally.seen.add(id);
  tally.differences += differences.length;
}
