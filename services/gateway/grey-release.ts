// Which requests go to the nodes of another release: those that ask for it by header, the users that are
// named, and a share of everybody. A user, or an address without one, always gets the same answer.
import { createHash } from "node:crypto";
import type { Settings } from "../../config/schema.ts";

const PARTS = 10_000;
const PARTS_PER_PERCENT = 100;

export interface Asking {
  /** Value of X-Release. */
  readonly header: string | undefined;
  readonly userId: string | undefined;
  readonly address: string;
}

export interface GreyRelease {
  /** False when no other release runs. */
  readonly isOn: boolean;
  /** The release a request belongs to; undefined = that of the node it came to. */
  releaseOf(asking: Asking): string | undefined;
}

type GreySettings = Pick<Settings, "VERSION" | "GREY_VERSION" | "GREY_PERCENT" | "GREY_USERS">;

export function createGreyRelease(settings: GreySettings): GreyRelease {
  const { VERSION: own, GREY_VERSION: grey, GREY_PERCENT: percent } = settings;
  const named = new Set(settings.GREY_USERS.split(",").map((id) => id.trim()));
  const isOn = grey !== "";
  return {
    isOn,
    releaseOf({ header, userId, address }) {
      if (!isOn) return undefined;
      if (header === grey) return grey;
      if (header === own) return own;
      if (userId !== undefined && named.has(userId)) return grey;
      return partOf(userId ?? address) < percent * PARTS_PER_PERCENT ? grey : own;
    },
  };
}

/** 0 to PARTS - 1, evenly spread over ids and addresses. */
function partOf(id: string): number {
  return createHash("sha256").update(id).digest().readUInt32BE(0) % PARTS;
}
