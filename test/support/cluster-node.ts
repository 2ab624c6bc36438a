// Entry of a node in the tests of clusters: the product's node with a failpoint that kills it, after it
// was passed CRASH_AFTER times. With CRASH_AT empty it is the product as it is.
import { loadSettings } from "../../config/load.ts";
import { runNode } from "../../services/run-node.ts";

const crashAt = process.env["CRASH_AT"] ?? "";
let passes = Number(process.env["CRASH_AFTER"] ?? "0");
const running = await runNode({
  settings: loadSettings(),
  failpoint: (name) => {
    if (name !== crashAt) return;
    passes -= 1;
    if (passes < 0) process.kill(process.pid, "SIGKILL");
  },
});
process.on("SIGTERM", () => {
  void running.stop().then(() => process.exit(0));
});
process.stdout.write('{"ready":true}\n');
