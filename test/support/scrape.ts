// Reads what the processes of a platform tell Prometheus.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Sample {
  readonly role: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Target {
  readonly targets: readonly string[];
  readonly labels: { readonly role: string };
}

/** Every sample of every process that the platform's list of targets names. */
export async function scrape(dataDir: string): Promise<Sample[]> {
  const text = readFileSync(join(dataDir, "prometheus-targets.json"), "utf8");
  const samples: Sample[] = [];
  for (const { targets, labels } of JSON.parse(text) as Target[]) {
    for (const target of targets) {
      const answer = await fetch(`http://${target}/metrics`);
      samples.push(...parseSamples(labels.role, await answer.text()));
    }
  }
  return samples;
}

export function parseSamples(role: string, text: string): Sample[] {
  return text.split("\n").flatMap((line) => {
    const [, name, labels = "", value] = /^([a-z0-9_]+)(?:\{(.*)\})? (\S+)/i.exec(line) ?? [];
    if (name === undefined || value === undefined) return [];
    const pairs = [...labels.matchAll(/([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"/g)];
    return [
      {
        role,
        name,
        labels: Object.fromEntries(pairs.map(([, key = "", text = ""]) => [key, text])),
        value: Number(value),
      },
    ];
  });
}

/** Sum over all processes of the samples with this name and these labels. */
export function total(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  return samples
    .filter((sample) => sample.name === name)
    .filter((sample) =>
      Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    .reduce((sum, { value }) => sum + value, 0);
}
