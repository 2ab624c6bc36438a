// Reads of single orders, many in one statement: buyers who wait for their order ask again and again,
// and those who ask while a read is under way share the next one.
import { type CommitQueue, createCommitQueue } from "../../mixins/database/commit-queue.ts";
import type { Database } from "../../mixins/database/database.ts";
import type { Order } from "./domain/order.ts";
import { findAnswers, type OrderQuestion, shown } from "./order.repository.ts";

const QUESTIONS_AT_ONCE_MAX = 128;
const QUESTIONS_WAITING_MAX = 4_096;

export interface OrderReader {
  /** An order that may be shown. Errors: ORDER_NOT_FOUND, also for another owner's; OVERLOADED. */
  find(question: OrderQuestion): Promise<Order>;
}

export function createOrderReader(database: Database): OrderReader {
  const queue: CommitQueue<OrderQuestion, Order | undefined> = createCommitQueue({
    name: "order.read",
    batchSizeMax: QUESTIONS_AT_ONCE_MAX,
    queueLengthMax: QUESTIONS_WAITING_MAX,
    commit: (questions: readonly OrderQuestion[]) => findAnswers(database, questions),
  });
  return { find: async (question) => shown(await queue.submit(question)) };
}
