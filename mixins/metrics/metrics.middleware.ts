// Feeds the request metrics: moleculer-prometheus 0.2.5 listens to an event that Moleculer no
// longer sends, so its own counters would stay empty.
import type { ActionHandler, ActionSchema, Context, Middleware } from "moleculer";
import { errorSlug } from "../../services/contracts/errors.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import type { Metrics } from "./metrics.ts";

export function metricsMiddleware(metrics: Metrics, clock: Clock): Middleware {
  return {
    name: "RequestMetrics",
    localAction(handler: ActionHandler, action: ActionSchema): ActionHandler {
      const name = action.name ?? "";
      if (name.startsWith("$")) return handler;
      const service = name.slice(0, name.lastIndexOf("."));
      return async function measure(ctx: Context) {
        const labels = { action: name, service, nodeID: ctx.broker.nodeID };
        const startedMs = clock.monotonic();
        try {
          return (await handler.call(this, ctx)) as unknown;
        } catch (error) {
          metrics.increment("moleculer_req_errors_total", { ...labels, ...errorLabels(error) });
          throw error;
        } finally {
          metrics.increment("moleculer_req_total", labels);
          metrics.observe("moleculer_req_duration_ms", labels, clock.monotonic() - startedMs);
        }
      };
    },
  };
}

function errorLabels(error: unknown): Record<string, string | number> {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return {
    errorCode: typeof code === "number" ? code : 0,
    errorName: typeof name === "string" ? name : "Error",
    errorType: errorSlug(error) ?? "",
  };
}
