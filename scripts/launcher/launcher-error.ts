// A fault the operator can do something about: one clear sentence and a way out, never a stack.

/** Exit codes the launcher uses: 1 = a step failed, 2 = something must be installed or changed first. */
export type LauncherExitCode = 1 | 2;

export class LauncherError extends Error {
  readonly wayOut: string;
  readonly exitCode: LauncherExitCode;
  /** Log file whose last lines explain the fault, when there is one. */
  readonly logFile: string | null;

  constructor(
    sentence: string,
    wayOut: string,
    options: { exitCode?: LauncherExitCode; logFile?: string; cause?: unknown } = {},
  ) {
    super(sentence, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "LauncherError";
    this.wayOut = wayOut;
    this.exitCode = options.exitCode ?? 1;
    this.logFile = options.logFile ?? null;
  }
}

const NO_SPACE_CODES: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);
const NO_RIGHT_CODES: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EROFS"]);

/** Turns a file-system error into the sentence its cause deserves; returns anything else unchanged. */
export function explainFileError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code ?? "";
  if (NO_SPACE_CODES.has(code)) {
    return new LauncherError(
      `The disk that holds ${path} is full.`,
      "Free some space there, or set DATA_DIR to a folder on another disk, and start again.",
      { cause: error },
    );
  }
  if (NO_RIGHT_CODES.has(code)) {
    return new LauncherError(
      `This user may not write to ${path}.`,
      "Give the folder to this user (chown), or set DATA_DIR to a folder of its own.",
      { cause: error },
    );
  }
  return error;
}
