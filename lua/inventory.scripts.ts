// The scripts of the inventory, with names and replies.
import { defineScript } from "./script.ts";

/** Stores units per SKU unless a newer version is there; answers how many were stored. */
export const REMEMBER_AVAILABLE = defineScript("inventory/remember-available", {
  keys: ["available..."],
  args: ["ttl_ms", "version_and_units..."],
  reply: (raw) => Number(raw),
});
