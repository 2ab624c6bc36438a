// What the machine lets faults be made with: asked before a cell is run, so that it can say why it is not.
import { globSync } from "node:fs";

/** Path of the library that gives a process another time; empty when there is none. */
export function faketimeLibrary(): string {
  return globSync("/usr/lib/*/faketime/libfaketime.so.1")[0] ?? "";
}
