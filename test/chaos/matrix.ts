// The fault matrix: every cell there is, in the order it is run.
import type { Cell } from "./cell.ts";
import { DATABASE_CELLS } from "./cells/database.ts";
import { MESSAGE_CELLS } from "./cells/messages.ts";
import { NETWORK_CELLS } from "./cells/network.ts";
import { OVERLOAD_CELLS } from "./cells/overload.ts";
import { PAYMENT_CELLS } from "./cells/payments.ts";
import { REDIS_CELLS } from "./cells/redis.ts";
import { SERVICE_CELLS } from "./cells/services.ts";

export const CELLS: readonly Cell[] = [
  ...REDIS_CELLS,
  ...DATABASE_CELLS,
  ...MESSAGE_CELLS,
  ...PAYMENT_CELLS,
  ...SERVICE_CELLS,
  ...NETWORK_CELLS,
  ...OVERLOAD_CELLS,
];
