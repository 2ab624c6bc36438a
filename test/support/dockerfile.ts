// The instructions of a Dockerfile, and what good practice (hadolint's rules, by their numbers) has
// against them. It reads text; nothing is built.

export interface Instruction {
  /** In capitals. */
  readonly name: string;
  /** What follows, continued lines joined. */
  readonly text: string;
}

export function instructionsOf(dockerfile: string): readonly Instruction[] {
  const lines = dockerfile
    .split("\n")
    .filter((line) => !/^\s*(?:#|$)/.test(line))
    .join("\n")
    .replaceAll(/\\\n\s*/g, " ");
  return lines
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [name = "", ...rest] = line.trim().split(/\s+/);
      return { name: name.toUpperCase(), text: rest.join(" ") };
    });
}

/** What the image's last stage copies from the repository: sources, and where they go. */
export function copiesOf(
  dockerfile: string,
): readonly { readonly sources: readonly string[]; readonly target: string }[] {
  return lastStage(instructionsOf(dockerfile))
    .filter(({ name, text }) => name === "COPY" && !text.startsWith("--from"))
    .map(({ text }) => {
      const words = text.split(" ");
      return { sources: words.slice(0, -1), target: words.at(-1) ?? "" };
    });
}

function lastStage(all: readonly Instruction[]): readonly Instruction[] {
  return all.slice(all.findLastIndex(({ name }) => name === "FROM"));
}

type Rule = readonly [fault: string, isBroken: (all: readonly Instruction[]) => boolean];

const some =
  (name: string, bad: RegExp) =>
  (all: readonly Instruction[]): boolean =>
    all.some((one) => one.name === name && bad.test(one.text));

const lastUser = (all: readonly Instruction[]): string =>
  lastStage(all).findLast(({ name }) => name === "USER")?.text ?? "root";

const stages = (all: readonly Instruction[]): readonly (string | undefined)[] =>
  all.filter(({ name }) => name === "FROM").map(({ text }) => / AS (\S+)$/i.exec(text)?.[1]);

const RULES: readonly Rule[] = [
  ["DL3006 a base without a fixed tag", some("FROM", /^(?!\S+(?::\d+\.\d+\.\d+|@sha256:))/)],
  ["DL3002 it runs as root", (all) => /^(?:root|0)(?::|$)/.test(lastUser(all))],
  ["DL3000 a work folder that is not absolute", some("WORKDIR", /^[^/]/)],
  ["DL3003 cd instead of WORKDIR", some("RUN", /(?:^|&& )cd /)],
  ["DL3004 sudo", some("RUN", /\bsudo\b/)],
  ["DL3009 apt's lists stay", some("RUN", /apt-get install(?!.*rm -rf \/var\/lib\/apt\/lists)/)],
  [
    "DL3015 apt installs what is only recommended",
    some("RUN", /apt-get install(?!.*--no-install)/),
  ],
  ["DL3016 npm without a lockfile", some("RUN", /npm (?:i|install)\b/)],
  ["DL3020 ADD instead of COPY", (all) => all.some(({ name }) => name === "ADD")],
  ["DL3025 a command that a shell reads", some("CMD", /^[^[]/)],
  ["DL3025 an entry that a shell reads", some("ENTRYPOINT", /^[^[]/)],
  ["DL3045 a copy of everything", some("COPY", /^(?:\S+ )*\.\/? \S+$/)],
  ["DL3055 no check of its health", (all) => !all.some(({ name }) => name === "HEALTHCHECK")],
  ["DL4003 several commands", (all) => all.filter(({ name }) => name === "CMD").length !== 1],
  ["a secret in the image", some("ENV", /(?:SECRET|PASSWORD|TOKEN|PRIVATE_KEY)\w*=/)],
  ["a secret as an argument", some("ARG", /SECRET|PASSWORD|TOKEN|PRIVATE_KEY/)],
  ["one stage only", (all) => stages(all).length < 2],
  [
    "DL3022 a copy from a stage that is not there",
    (all) =>
      all.some(({ name, text }) => {
        const from = name === "COPY" ? /^--from=(\S+)/.exec(text)?.[1] : undefined;
        return from !== undefined && !stages(all).includes(from);
      }),
  ],
];

/** The rules it breaks. */
export function faultsOfDockerfile(dockerfile: string): readonly string[] {
  const all = instructionsOf(dockerfile);
  return RULES.filter(([, isBroken]) => isBroken(all)).map(([fault]) => fault);
}
