// `npm run repl`: a node without services that joins the running platform and reads commands.
import { loadSettings } from "../../config/load.ts";
import { createNode } from "../../services/node.ts";
import { dataFolderAt } from "./data-folder.ts";
import { readPlatformEnv } from "./run-state.ts";

export async function repl(dataDir: string): Promise<void> {
  const environment = readPlatformEnv(dataFolderAt(dataDir));
  const settings = loadSettings(environment, { NODE_ID: `repl-${process.pid}` });
  const node = createNode({ settings });
  await node.broker.start();
  node.broker.repl();
}
