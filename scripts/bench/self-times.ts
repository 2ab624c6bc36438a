// Self time by package and by function in a V8 CPU profile, for a part of the time it covers. Pure.

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
}

/** As Node writes it; times in microseconds of the monotonic clock. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface SelfTimes {
  /** All but idle time, microseconds. */
  readonly busyUs: number;
  readonly byPackage: ReadonlyMap<string, number>;
  readonly byFunction: ReadonlyMap<string, number>;
}

const IDLE = new Set(["(idle)", "(root)"]);

export function selfTimes(
  profile: CpuProfile,
  { fromUs, untilUs }: { readonly fromUs: number; readonly untilUs: number },
): SelfTimes {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const byPackage = new Map<string, number>();
  const byFunction = new Map<string, number>();
  let busyUs = 0;
  let atUs = profile.startTime;
  for (const [index, id] of profile.samples.entries()) {
    const us = profile.timeDeltas[index] ?? 0;
    atUs += us;
    const node = nodes.get(id);
    if (node === undefined || atUs < fromUs || atUs > untilUs) continue;
    const { functionName, url, lineNumber } = node.callFrame;
    if (IDLE.has(functionName)) continue;
    busyUs += us;
    const owner = packageOf(url, functionName);
    add(byPackage, owner, us);
    add(byFunction, `${functionName || "(anonymous)"} ${owner} ${placeOf(url, lineNumber)}`, us);
  }
  return { busyUs, byPackage, byFunction };
}

function add(times: Map<string, number>, name: string, us: number): void {
  times.set(name, (times.get(name) ?? 0) + us);
}

const PACKAGE = /node_modules\/((?:@[^/]+\/)?[^/]+)(?!.*node_modules)/;
const OURS = /\/((?:services|mixins|lua|config)\/[^/]+)/;

export function packageOf(url: string, functionName: string): string {
  if (url === "") return functionName === "(garbage collector)" ? "(gc)" : "(native)";
  if (url.startsWith("node:")) return "node";
  return PACKAGE.exec(url)?.[1] ?? OURS.exec(url)?.[1] ?? "(other)";
}

function placeOf(url: string, lineNumber: number): string {
  return url === "" ? "" : `${url.slice(url.lastIndexOf("/") + 1)}:${lineNumber + 1}`;
}
