// What the operator sees while a start goes on: one line a step, with the time it took. A line that moves on a
// terminal; plain lines when the output is a file or a CI log.
import picocolors from "picocolors";

const FRAME_INTERVAL_MS = 100;
const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const NAME_WIDTH = 13;
const TEXT_WIDTH = 62;
const CLEAR_LINE = "\r\u001b[2K";

export interface Step {
  /** Replaces what stands beside the step's name while it works. */
  say(text: string): void;
}

export interface Progress {
  /** Runs one step and shows it; `work` answers the text of the finished line. */
  step(name: string, work: (step: Step) => Promise<string>): Promise<void>;
  /** A line between or after the steps. */
  line(text: string): void;
}

export function createProgress(output: NodeJS.WriteStream = process.stdout): Progress {
  // A closed terminal must not end the launcher before it has stopped what it started.
  output.on("error", () => undefined);
  const isLive = output.isTTY && process.env["CI"] !== "true";
  return {
    step: (name, work) => (isLive ? liveStep(output, name, work) : plainStep(output, name, work)),
    line: (text) => void output.write(`${text}\n`),
  };
}

type StepWork = (step: Step) => Promise<string>;

async function liveStep(output: NodeJS.WriteStream, name: string, work: StepWork): Promise<void> {
  const startedAt = performance.now();
  let text = "";
  let frame = 0;
  const draw = (): void => {
    frame = (frame + 1) % FRAMES.length;
    const mark = picocolors.cyan(FRAMES[frame] ?? "");
    const room = Math.max(20, output.columns - NAME_WIDTH - 16);
    output.write(`${CLEAR_LINE}  ${mark} ${describe(name, text.slice(0, room), startedAt)}`);
  };
  const timer = setInterval(draw, FRAME_INTERVAL_MS);
  draw();
  try {
    const done = await work({ say: (now) => void (text = now) });
    output.write(`${CLEAR_LINE}  ${picocolors.green("✓")} ${describe(name, done, startedAt)}\n`);
  } catch (error) {
    output.write(`${CLEAR_LINE}  ${picocolors.red("✗")} ${describe(name, text, startedAt)}\n`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

async function plainStep(output: NodeJS.WriteStream, name: string, work: StepWork): Promise<void> {
  const startedAt = performance.now();
  let text = "";
  const say = (now: string): void => {
    text = now;
    output.write(`  ${name.padEnd(NAME_WIDTH)} ${now} ...\n`);
  };
  try {
    output.write(`  ${describe(name, await work({ say }), startedAt)}\n`);
  } catch (error) {
    output.write(`  ${describe(name, `failed: ${text}`, startedAt)}\n`);
    throw error;
  }
}

function describe(name: string, text: string, startedAt: number): string {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  return `${name.padEnd(NAME_WIDTH)} ${text.padEnd(TEXT_WIDTH)} ${seconds.padStart(5)} s`;
}
