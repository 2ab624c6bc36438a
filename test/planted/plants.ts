// The planted bugs as their files tell them: a header that names the bug and who must notice it, then the
// patch.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = import.meta.dirname;
const SIMULATE = "simulate ";
const TEST = "test ";

/** Who must notice: a scenario of the simulation, or one test by its full title. */
export type Catcher =
  | { readonly kind: "simulation"; readonly scenario: string }
  | { readonly kind: "test"; readonly file: string; readonly title: string };

export interface Plant {
  readonly name: string;
  readonly bug: string;
  readonly catcher: Catcher;
  /** Path of the patch. */
  readonly patch: string;
}

/** All of them, in the order of their numbers; throws when a header lacks something. */
export function plants(): readonly Plant[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".patch"))
    .sort()
    .map((file) => {
      const patch = join(FOLDER, file);
      const header = headerOf(file, readFileSync(patch, "utf8"));
      return {
        name: file.slice(0, -".patch".length),
        bug: header("Bug"),
        catcher: catcherOf(header),
        patch,
      };
    });
}

type Header = (field: string) => string;

function headerOf(file: string, text: string): Header {
  const lines = text.split("\n");
  return (field) => {
    const line = lines.find((one) => one.startsWith(`${field}: `));
    if (line === undefined) throw new Error(`${file} has no ${field}`);
    return line.slice(field.length + 2);
  };
}

function catcherOf(header: Header): Catcher {
  const who = header("Caught-by");
  if (who.startsWith(SIMULATE)) return { kind: "simulation", scenario: who.slice(SIMULATE.length) };
  return { kind: "test", file: who.slice(TEST.length), title: header("Test") };
}

export function nameOf(catcher: Catcher): string {
  return catcher.kind === "test" ? catcher.file : `simulation, ${catcher.scenario}`;
}
