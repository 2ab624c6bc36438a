// Programs that judge deployment files. A missing one is installed where the launcher may install; where it
// may not, the test fails with the command that does.
import { findProgram } from "../../scripts/launcher/find-programs.ts";
import { installPrograms } from "../../scripts/launcher/install-programs.ts";

/** Time an installation may take before its test counts as failed. */
export const INSTALL_TIMEOUT_MS = 100_000;

/** Full path. Throws LauncherError, with the way out in its text, when it cannot be had. */
export async function programPath(name: "nginx" | "promtool"): Promise<string> {
  const found = findProgram(name);
  if (found !== null) return found;
  await installPrograms([name]);
  const installed = findProgram(name);
  if (installed === null) throw new Error(`${name} was installed but is not found`);
  return installed;
}
