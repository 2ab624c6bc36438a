// Where Redis is: one server, or the master that sentinels name.
//
//   redis://[user][:password]@host:port/db, rediss:// for TLS
//   redis-sentinel://[user][:password]@host:port/master?sentinel=host:port&db=0&sentinel_password=…
//
// User and password are Redis' own; more sentinels are given by repeating `sentinel`.
import type { RedisOptions } from "ioredis";

const SENTINEL_PORT = 26_379;
const SENTINEL_RETRY_MS = 200;
const SENTINEL_SCHEME = "redis-sentinel:";

/** What the client is given instead of a URL; undefined for a single server. Throws for a URL without a master. */
export function sentinelOptions(url: string): RedisOptions | undefined {
  const parsed = new URL(url);
  if (parsed.protocol !== SENTINEL_SCHEME) return undefined;
  const { username, password, pathname, searchParams, host } = parsed;
  const master = pathname.slice(1);
  if (master === "") throw new Error("a redis-sentinel:// URL names its master as its path");
  const sentinelPassword = searchParams.get("sentinel_password");
  return {
    sentinels: [host, ...searchParams.getAll("sentinel")].map(addressOf),
    name: master,
    role: "master",
    db: Number(searchParams.get("db") ?? "0"),
    ...(username === "" ? {} : { username: decodeURIComponent(username) }),
    ...(password === "" ? {} : { password: decodeURIComponent(password) }),
    ...(sentinelPassword === null ? {} : { sentinelPassword }),
    sentinelRetryStrategy: () => SENTINEL_RETRY_MS,
    // Who was a master a moment ago refuses writes: the sentinels are asked again.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  };
}

function addressOf(text: string): { host: string; port: number } {
  const { hostname, port } = new URL(`tcp://${text}`);
  return { host: hostname, port: port === "" ? SENTINEL_PORT : Number(port) };
}
