// Folders of one test file; they are removed when the process ends, whatever the tests did with them.
import {
  makeThrowAwayFolder,
  removeThrowAwayFolder,
} from "../../scripts/launcher/throw-away-folder.ts";

const made: string[] = [];

/** A new empty folder below the system's place for temporary files. */
export function tempFolder(): string {
  if (made.length === 0) process.once("exit", () => made.forEach(removeThrowAwayFolder));
  const folder = makeThrowAwayFolder("flash-sale-files-");
  made.push(folder);
  return folder;
}
