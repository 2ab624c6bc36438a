// A node on a network of its own, whose cable is pulled: no connection is closed, nothing is refused, nothing comes.
import { spawnSync } from "node:child_process";
import { faultyLink } from "../../support/faulty-link.ts";
import type { Cell } from "../cell.ts";
import { hasPrivateMounts } from "../machine.ts";
import type { Rig } from "../rig.ts";

/** Link-local, so that it can be no one else's. */
const HOST_SIDE = "169.254.213.1";
const NODE_SIDE = "169.254.213.2";
const UNPLUGGED_MS = 8_000;
const BACK_OFFICE =
  "user,product,inventory,order,payment,user-worker,product-worker,inventory-worker,order-worker,payment-worker,seckill-worker";

const ip = (...args: readonly string[]): boolean => spawnSync("ip", args).status === 0;
const NAME = `chaos${String(process.pid)}`;
const CABLE = `c${String(process.pid)}`;

function mayMakeNetworks(): boolean {
  if (!hasPrivateMounts()) return false;
  const isMade = ip("netns", "add", NAME);
  if (isMade) ip("netns", "del", NAME);
  return isMade;
}

function plugIn(): void {
  const steps = [
    ["netns", "add", NAME],
    ["link", "add", CABLE, "type", "veth", "peer", "name", "eth0", "netns", NAME],
    ["addr", "add", `${HOST_SIDE}/30`, "dev", CABLE],
    ["link", "set", CABLE, "up"],
    ["-n", NAME, "addr", "add", `${NODE_SIDE}/30`, "dev", "eth0"],
    ["-n", NAME, "link", "set", "eth0", "up"],
    ["-n", NAME, "link", "set", "lo", "up"],
  ];
  for (const step of steps) {
    if (!ip(...step)) throw new Error(`ip ${step.join(" ")} failed`);
  }
  process.once("exit", () => ip("netns", "del", NAME));
}

/** Where the servers are, seen from the other network. */
async function addresses({ servers, shop }: Rig): Promise<Record<string, string>> {
  const provider = `http://127.0.0.1:${shop.environment["PROVIDER_PORT"] ?? ""}`;
  const to = async (url: string): Promise<string> =>
    (await faultyLink(url, HOST_SIDE)).url.replace(/\/$/, "");
  return {
    MYSQL_URL: await to(servers.mysqlUrl),
    REDIS_URL: await to(servers.redisUrl),
    NATS_URL: await to(servers.natsUrl),
    PROVIDER_URL: await to(provider),
  };
}

export const NETWORK_CELLS: readonly Cell[] = [
  {
    id: "NET1",
    title: "The cable of one node pulled for 8 s",
    isImpossible: () => (mayMakeNetworks() ? undefined : "no right to make a network namespace"),
    prepare: async ({ rig }) => {
      plugIn();
      await rig.join({
        name: "elsewhere",
        services: BACK_OFFICE,
        environment: await addresses(rig),
        through: ["ip", "netns", "exec", NAME],
      });
    },
    inject: async ({ during }) => {
      ip("link", "set", CABLE, "down");
      await during(UNPLUGGED_MS);
      ip("link", "set", CABLE, "up");
    },
  },
];
