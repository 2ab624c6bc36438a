// Contract that every owner of an outbox fulfils through mixins/channels: what the auditor and an
// admin may ask of its messages.
import { Type } from "@sinclair/typebox";
import { Id, Strict } from "../kernel/schema.ts";
import { defineContract } from "./contract.ts";

export const REPUBLISH_IDS_MAX = 500;

export const messagingContract = defineContract({
  /** Publishes these outbox rows again; consumers that have had them ignore them. */
  republish: {
    params: Strict({ outbox_ids: Type.Array(Id, { minItems: 1, maxItems: REPUBLISH_IDS_MAX }) }),
    result: Type.Object({ republished: Type.Integer() }),
    auth: "internal",
    idempotent: true,
  },
  /** Runs the consumer on a dead letter once more, now. */
  replayDeadLetter: {
    params: Strict({ id: Id }),
    result: Type.Null(),
    auth: "internal",
    idempotent: true,
    timeoutMs: 10_000,
  },
  discardDeadLetter: {
    params: Strict({ id: Id }),
    result: Type.Null(),
    auth: "internal",
    idempotent: true,
  },
});
