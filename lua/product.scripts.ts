// The scripts of the product cache, with names and replies.
import { defineScript } from "./script.ts";

/** Keeps a product's text unless a newer version is known. */
export const PRODUCT_STORE = defineScript("product/store", {
  keys: ["entry"],
  args: ["version", "text", "ttl_ms"],
  reply: (raw): "stored" | "outdated" => (raw === 1 ? "stored" : "outdated"),
});

/** Deletes what is older than a version, and remembers the version for a while. */
export const PRODUCT_OUTDATE = defineScript("product/outdate", {
  keys: ["entry"],
  args: ["version", "ttl_ms"],
  reply: (raw): "outdated" | "current" => (raw === 1 ? "outdated" : "current"),
});
