// Deployment files as data, by the reader of YAML that mocha brings; the product itself reads none.
import { createRequire } from "node:module";
import { readRoot } from "./source.ts";

const mochaFile = createRequire(import.meta.url).resolve("mocha/package.json");
const { load, loadAll } = createRequire(mochaFile)("js-yaml") as {
  load: (text: string) => unknown;
  loadAll: (text: string) => unknown[];
};

/** The one document of a file of the repository. Throws when it is no YAML. */
export function readYaml(path: string): unknown {
  return load(readRoot(path));
}

/** All documents of a text. */
export function parseYaml(text: string): readonly unknown[] {
  return loadAll(text).filter((one) => one !== null && one !== undefined);
}
