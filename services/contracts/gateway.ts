// Contract of what the gateway answers by itself.
import { Type } from "@sinclair/typebox";
import { Strict, Timestamp } from "../kernel/schema.ts";
import { defineContract } from "./contract.ts";

export const gatewayContract = defineContract({
  createIdempotencyToken: {
    params: Strict({}),
    result: Type.Object({ token: Type.String(), expires_at: Timestamp }),
    auth: "customer",
    idempotent: false,
    rest: {
      method: "POST",
      path: "/idempotency-tokens",
      status: 201,
      summary: "A server-made key that names one operation",
      tag: "Idempotency",
    },
  },
});
