// What is told of answers that are given before the router, by the fast lane and to those who are refused: counted in
// plain numbers, which the metrics take over when they are collected. Telling each by itself would cost a good part of
// what such an answer does.
import type { Log } from "../../mixins/log.ts";
import type { Metrics } from "../../mixins/metrics/metrics.ts";
import { type EndedRequest, logRequest } from "./request-observer.ts";

/** One answer in this many is measured for the histogram. */
const MEASURED_SHARE = 16;

/** An answer that has been sent; none of these is traced. */
export type QuickAnswer = Readonly<Omit<EndedRequest, "traceId">>;

export type TellAnswer = (answer: QuickAnswer) => void;

export interface TallyParts {
  readonly metrics: Pick<Metrics, "increment" | "observe" | "onCollect">;
  readonly log: Pick<Log, "info">;
  /** Whether every request gets a line. */
  readonly isLogging: boolean;
}

export function createAnswerTally({ metrics, log, isLogging }: TallyParts): TellAnswer {
  const counts = new Map<string, Map<number, number>>();
  let answers = 0;
  metrics.onCollect(() => {
    for (const [route, statuses] of counts) {
      for (const [status, count] of statuses) {
        metrics.increment("app_http_requests_total", { route, status }, count);
      }
      statuses.clear();
    }
  });
  return (answer) => {
    const { route, status, durationMs } = answer;
    let statuses = counts.get(route);
    if (statuses === undefined) counts.set(route, (statuses = new Map<number, number>()));
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    answers += 1;
    if (answers % MEASURED_SHARE === 0) {
      metrics.observe("app_http_request_duration_ms", { route }, durationMs);
    }
    if (isLogging) logRequest(log, { ...answer, traceId: undefined });
  };
}
