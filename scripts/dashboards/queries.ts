// Parts of questions to Prometheus that several panels ask.

/** Times a second over the last five minutes. */
export function rate(metric: string, by = ""): string {
  return `${by === "" ? "sum" : `sum by (${by})`} (rate(${metric}[5m]))`;
}

/** @param by labels to keep, `le` among them */
export function quantile(share: number, buckets: string, by: string): string {
  return `histogram_quantile(${String(share)}, sum by (${by}) (rate(${buckets}[5m])))`;
}

export function lastHour(metric: string): string {
  return `sum(increase(${metric}[1h]))`;
}
