// A node of its own that relays or consumes and kills itself with SIGKILL at a named point. Run as
// a child process: argv[2] is the ChannelNodeTask as JSON.
import { databaseCredentials } from "../../config/database.ts";
import { consumer } from "../../mixins/channels/channel.ts";
import { createChannels } from "../../mixins/channels/channels.ts";
import { createBus } from "../../mixins/channels/jetstream.ts";
import { createDatabase } from "../../mixins/database/mysql-database.ts";
import type { MigrationSettings } from "../../migrations/migrate.ts";
import { consumersOf, FAST_LIMITS, recordingPaid } from "./channels.ts";
import { silentLog } from "./database.ts";

export interface ChannelNodeTask {
  readonly role: "relay" | "consumer";
  readonly settings: MigrationSettings;
  readonly natsUrl: string;
  readonly dieAt: string;
}

const task = JSON.parse(process.argv[2] ?? "") as ChannelNodeTask;
const owner = task.role === "relay" ? "order" : "inventory";
const channels = createChannels({
  owner,
  database: createDatabase({
    ...databaseCredentials(task.settings, owner),
    poolSize: 4,
    log: silentLog,
  }),
  bus: createBus({
    url: task.natsUrl,
    namespace: task.settings.NAMESPACE,
    name: "doomed",
    log: silentLog,
    ackWaitMs: 1_000,
  }),
  consumers:
    task.role === "relay"
      ? consumersOf("order")
      : consumersOf("inventory", consumer(recordingPaid)),
  nodeId: `doomed-${process.pid}`,
  log: silentLog,
  limits: FAST_LIMITS,
  failpoint: (name) => {
    if (name === task.dieAt) process.kill(process.pid, "SIGKILL");
  },
});
await channels.start();
