// A process of its own that starts private servers and tells their process ids, to be killed by a test.
import { startServers } from "../../scripts/launcher/servers.ts";

const servers = await startServers({ dataDir: process.argv[2] ?? "" });
const pids = Object.values(servers.processes).map((server) => server.pid);
process.stdout.write(`${JSON.stringify(pids)}\n`);
process.stdin.resume();
