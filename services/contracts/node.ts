// Contract that every node of the cluster fulfils: what it tells of itself. Asked node by node.
import { type Static, Type } from "@sinclair/typebox";
import { Nullable, Strict, Timestamp } from "../kernel/schema.ts";
import { defineContract } from "./contract.ts";

export const CallReport = Type.Object({
  /** Name of an action, or label of a route such as `POST /orders`. */
  name: Type.String(),
  per_s: Type.Number(),
  /** Answers that are the platform's fault, per second. */
  failures_per_s: Type.Number(),
  /** Upper bounds of the buckets; null when nothing was measured. */
  p50_ms: Nullable(Type.Number()),
  p99_ms: Nullable(Type.Number()),
});
export type CallReport = Static<typeof CallReport>;

export const NodeReport = Type.Object({
  started_at: Timestamp,
  /** Share of one core, 0 to the number of cores. */
  cpu_cores: Type.Number(),
  memory_bytes: Type.Integer(),
  event_loop_delay_ms: Type.Number(),
  /** Seconds that the rates and times below are about. */
  window_s: Type.Number(),
  routes: Type.Array(CallReport),
  actions: Type.Array(CallReport),
  /** Actions of other nodes that this node does not call for now. */
  open_circuits: Type.Array(Type.String()),
  pools: Type.Array(
    Type.Object({
      schema: Type.String(),
      busy: Type.Integer(),
      idle: Type.Integer(),
      waiting: Type.Integer(),
      max: Type.Integer(),
    }),
  ),
  queues: Type.Array(
    Type.Object({ name: Type.String(), waiting: Type.Integer(), flushed: Type.Integer() }),
  ),
});
export type NodeReport = Static<typeof NodeReport>;

export const nodeContract = defineContract({
  report: { params: Strict({}), result: NodeReport, auth: "internal", idempotent: true },
});
