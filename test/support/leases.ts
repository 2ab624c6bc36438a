// Lets every saga that is under way be taken over at once, as if its node's lease had run out.
import { eventually } from "./eventually.ts";
import type { TestDatabase } from "./database.ts";

const END_LEASES = "UPDATE ??.sagas SET next_at = NOW(3) WHERE next_at IS NOT NULL";

/** Tried again when it meets the recovery's own locks. */
export async function endLeases(schemas: TestDatabase): Promise<void> {
  await eventually(
    async () => {
      await schemas.admin.query(END_LEASES, [schemas.nameOf("order")]);
      return true;
    },
    { timeoutMs: 10_000, what: "the leases are ended" },
  );
}
