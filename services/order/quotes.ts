// Quotes of the product service, shared by the orders that ask while one call is under way: a rush
// for one SKU costs one question at a time, not one per buyer.
import type { ServiceBroker } from "moleculer";
import {
  type CommitQueue,
  createCommitQueue,
  Refusal,
} from "../../mixins/database/commit-queue.ts";
import { call } from "../contracts/actions.ts";
import { errorDetails, isPlatformError, PlatformError } from "../contracts/errors.ts";
import { ORDER_LINES_MAX, type QuotedLine } from "../contracts/product.ts";
import { must } from "../kernel/assert.ts";
import { SECOND_MS } from "../kernel/clock.ts";

const REQUESTS_AT_ONCE_MAX = 256;
const REQUESTS_WAITING_MAX = 4_096;
const QUOTE_TIMEOUT_MS = SECOND_MS;

export interface Quotes {
  /** One line per SKU, in order. Errors: SKU_UNAVAILABLE (details.sku_ids), OVERLOADED. */
  quote(skuIds: readonly string[]): Promise<readonly QuotedLine[]>;
}

/** What is known of a SKU: its line, or why there is none. */
type Answers = ReadonlyMap<string, QuotedLine | Error>;

export function createQuotes(broker: ServiceBroker): Quotes {
  const queue: CommitQueue<readonly string[], readonly QuotedLine[]> = createCommitQueue({
    name: "order.quotes",
    batchSizeMax: REQUESTS_AT_ONCE_MAX,
    queueLengthMax: REQUESTS_WAITING_MAX,
    commit: async (requests: readonly (readonly string[])[]) => {
      const answers = await askAll(broker, [...new Set(requests.flat())]);
      return requests.map((skuIds) => answerOf(skuIds, answers));
    },
  });
  return { quote: (skuIds) => queue.submit(skuIds) };
}

async function askAll(broker: ServiceBroker, skuIds: readonly string[]): Promise<Answers> {
  const chunks: (readonly string[])[] = [];
  for (let first = 0; first < skuIds.length; first += ORDER_LINES_MAX) {
    chunks.push(skuIds.slice(first, first + ORDER_LINES_MAX));
  }
  const answers = await Promise.all(chunks.map((chunk) => askWithout(broker, chunk)));
  return new Map(answers.flatMap((answer) => [...answer]));
}

/** A SKU that cannot be bought must not stop the others: they are asked for once more without it. */
async function askWithout(broker: ServiceBroker, skuIds: readonly string[]): Promise<Answers> {
  try {
    return await ask(broker, skuIds);
  } catch (error) {
    const unavailable = isPlatformError(error, "SKU_UNAVAILABLE") ? namedSkus(error) : [];
    const others = skuIds.filter((skuId) => !unavailable.includes(skuId));
    if (unavailable.length === 0) return allFailed(skuIds, error);
    const rest =
      others.length === 0
        ? new Map<string, QuotedLine>()
        : await ask(broker, others).catch((again: unknown) => allFailed(others, again));
    return new Map([...allFailed(unavailable, error), ...rest]);
  }
}

async function ask(broker: ServiceBroker, skuIds: readonly string[]): Promise<Answers> {
  const params = { sku_ids: [...skuIds] };
  const { lines } = await call(broker, "product.quote", params, { timeout: QUOTE_TIMEOUT_MS });
  return new Map(lines.map((line) => [line.sku_id, line]));
}

function namedSkus(error: unknown): readonly string[] {
  return (errorDetails(error) as { sku_ids?: readonly string[] } | undefined)?.sku_ids ?? [];
}

function allFailed(skuIds: readonly string[], error: unknown): Map<string, Error> {
  const failure = error instanceof Error ? error : new PlatformError("SERVICE_UNAVAILABLE");
  return new Map(skuIds.map((skuId) => [skuId, failure]));
}

function answerOf(skuIds: readonly string[], answers: Answers): readonly QuotedLine[] | Refusal {
  const found = skuIds.map((skuId) => must(answers.get(skuId), "an answer per SKU"));
  const unavailable = skuIds.filter((_, index) => isPlatformError(found[index], "SKU_UNAVAILABLE"));
  if (unavailable.length > 0) {
    return new Refusal(new PlatformError("SKU_UNAVAILABLE", { sku_ids: unavailable }));
  }
  const failure = found.find((answer) => answer instanceof Error);
  return failure === undefined ? (found as QuotedLine[]) : new Refusal(failure);
}
