// Health of one container: an edge is healthy when it is ready to sell, every other role when its
// metrics answer. Exits with 0 or 1 and must never take longer than the container's time-out.
const PROBE_TIMEOUT_MS = 4_000;

const { SERVICES = "edge,core,worker", PORT = "8080", METRICS_PORT = "9101" } = process.env;
const isEdge = SERVICES.split(",").some((word) => ["edge", "gateway"].includes(word.trim()));
const url = isEdge ? `http://127.0.0.1:${PORT}/readyz` : `http://127.0.0.1:${METRICS_PORT}/metrics`;

try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  if (!answer.ok) process.stderr.write(`${url} answers ${String(answer.status)}\n`);
  process.exitCode = answer.ok ? 0 : 1;
} catch (error) {
  process.stderr.write(`${url}: ${String(error)}\n`);
  process.exitCode = 1;
}
